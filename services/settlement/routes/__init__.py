"""The routes of the settlement API, a file per noun."""
