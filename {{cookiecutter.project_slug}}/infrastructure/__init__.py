"""The pipeline's infrastructure: one module per concern, assembled in :mod:`infrastructure.pipeline`."""
