"""Contract files: reading, checking, comparing, inheriting, and exchange formats."""
