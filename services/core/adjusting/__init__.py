"""What happens to amounts afterwards: caps, single events, claims, earn-backs, balances, fees."""
