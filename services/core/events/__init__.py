"""From an event to a row: what is accepted, what is corrected, what is too late."""
