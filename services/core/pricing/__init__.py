"""From results to amounts: quantity times rate times factors, and points."""
