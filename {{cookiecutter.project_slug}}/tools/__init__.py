"""What the tasks do that one command cannot."""
