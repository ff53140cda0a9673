"""Compares stack files with each other, ``policies.toml`` and the deployed stacks: the task ``validate``."""
