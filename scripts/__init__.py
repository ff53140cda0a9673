"""Scripts of the Makefile's targets."""
