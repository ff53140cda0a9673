"""The pipeline's infrastructure: one module per concern, put together in :mod:`infrastructure.pipeline`."""
