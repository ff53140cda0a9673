"""The ``validate`` task: compares stack files with each other, with ``policies.toml``, and with the deployed stacks."""
