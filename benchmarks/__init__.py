"""Benchmarks for the figures in ``benchmarks/README.md``: ``make bench``.

Machines are noisy, so comparisons are ratios of times that are measured alternately in one run.
"""
