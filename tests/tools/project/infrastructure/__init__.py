"""What the tools' own tests deploy: one resource of every type that the tools can read."""
