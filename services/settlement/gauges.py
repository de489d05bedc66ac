"""What settlement shows to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from services.shell import metrics
from services.shell.postgres import Connection

SERVICE = "settlement"

STATEMENTS = Counter(
    "earnback_statements_total", "Statement revisions by outcome: posted, adjusted.", ["outcome"]
)
PENDING = Gauge("earnback_settlement_pending", "Closed periods that cannot be settled yet.")

HELD = Gauge(
    "earnback_restatements_held",
    "Settled periods that today's rules would settle otherwise; nothing of them is posted.",
)


def count(counts: Mapping[str, int], waiting: int) -> None:
    """Count a committed batch. Outcomes of evaluations: settled,
    repeated, refused, parked."""
    for outcome in ("settled", "repeated", "refused", "parked"):
        if counts.get(outcome):
            metrics.EVENTS.labels(SERVICE, outcome).inc(counts[outcome])
    for outcome in ("posted", "adjusted"):
        if counts.get(outcome):
            STATEMENTS.labels(outcome).inc(counts[outcome])
    PENDING.set(waiting)


async def pending(connection: Connection) -> int:
    """How many periods wait."""
    return int(await connection.fetchval("select count(*) from settlement_pending"))


async def show_pending(connection: Connection) -> None:
    """Show how many periods wait."""
    PENDING.set(await pending(connection))
