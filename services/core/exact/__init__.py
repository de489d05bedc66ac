"""Exact numbers: rounding, percentages, splits to the last minor unit."""
