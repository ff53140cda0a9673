"""Scripts that the project's tasks run."""
