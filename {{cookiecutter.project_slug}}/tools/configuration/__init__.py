"""A stack's configuration: its files read without the engine, and checked with the project's own model."""
