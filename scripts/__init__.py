"""What the Makefile's targets do that one command cannot."""
