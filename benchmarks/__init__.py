"""Benchmarks for the figures in ``benchmarks/README.md``: ``make bench``.

Timings vary between machines and runs, so every comparison is a ratio of times measured alternately in one run.
"""
