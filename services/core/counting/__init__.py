"""From facts to figures: each measure, and the evaluation of one period."""
