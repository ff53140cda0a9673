"""Scripts for the Makefile's targets."""
