"""The tasks of CI. Workflows only call them, and a person can call them too."""
