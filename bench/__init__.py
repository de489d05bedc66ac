"""How fast the chain is, beside what the machine could do at all. See docs/bench.md."""
