"""What a change would have cost: simulation over past periods, and service goals."""
