"""Who sees what: one decision, and what it leaves of statements and figures."""
