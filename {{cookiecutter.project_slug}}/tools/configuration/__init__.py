"""Reads a stack's configuration without the engine, and checks it with the project's model."""
