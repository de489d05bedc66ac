"""The order of operations over one period, and over the whole history."""
