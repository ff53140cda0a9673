"""The code behind the tasks, and helpers for tests."""
