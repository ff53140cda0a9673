"""Figures that the README quotes, each measured anew by ``make bench``.

Machines are noisy, so that every figure that compares is a ratio of two things measured in turn in one run.
"""
