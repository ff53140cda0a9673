"""Helpers for tests: record the program, find the deployed stack, and compare the two."""
