"""Source code of the function."""
