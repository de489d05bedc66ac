"""The example of docs/settlement-api.md: a contract and a month of events, ready to be loaded."""
