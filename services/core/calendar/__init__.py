"""Windows, labels, days and business hours, in the time zone that a programme states."""
