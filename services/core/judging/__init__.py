"""From figures to results: each level held against its promise."""
