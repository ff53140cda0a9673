"""What the project's own tasks run."""
