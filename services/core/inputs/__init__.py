"""What a period is settled with: its evaluation, its past, and the worksheet in the making."""
