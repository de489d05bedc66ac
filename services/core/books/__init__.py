"""Double entries for what was settled, and the states of a dispute."""
