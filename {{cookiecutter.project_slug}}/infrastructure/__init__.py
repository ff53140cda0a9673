"""The pipeline's infrastructure: one module for each concern, joined by :mod:`infrastructure.pipeline`."""
