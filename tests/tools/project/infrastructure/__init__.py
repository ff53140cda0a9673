"""The infrastructure of the tools' tests: one resource of every type that the tools can read."""
