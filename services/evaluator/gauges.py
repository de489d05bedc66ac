"""What the evaluator shows beside the shared collectors."""

from prometheus_client import Gauge

CLOSE_ALARMS = Gauge(
    "earnback_close_alarms", "Periods that stay open because tallies and stored facts differ."
)
IDENTITIES = Gauge(
    "earnback_identities_held", "Accepted events whose identity is in memory.", ["partition"]
)
