"""The implementation of the tasks, and helpers for tests."""
