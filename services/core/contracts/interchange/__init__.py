"""Other formats of service levels, in and out, each with a report of what is lost on the way."""
