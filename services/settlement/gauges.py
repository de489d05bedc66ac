"""What settlement shows to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from services.shell import metrics
from services.shell.postgres import Connection

SERVICE = "settlement"

STATEMENTS = Counter(
    "earnback_statements_total", "Statement revisions by outcome: posted, adjusted.", ["outcome"]
)
PENDING = Gauge("earnback_settlement_pending", "Closed periods that cannot be settled yet.")

BOOK_SECONDS = Histogram(
    "earnback_book_held_seconds",
    "How long a batch that posts kept the head of the book from others, until it was committed.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)

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


class BookHold:
    """How long one batch holds the head of the book."""

    def __init__(self) -> None:
        self._since: float | None = None

    def taken(self) -> None:
        """It is held from now on, if it was not before."""
        if self._since is None:
            self._since = time.perf_counter()

    def released(self) -> None:
        """The batch is committed."""
        if self._since is not None:
            BOOK_SECONDS.observe(time.perf_counter() - self._since)


async def pending(connection: Connection) -> int:
    """How many periods wait."""
    return int(await connection.fetchval("select count(*) from settlement_pending"))


async def show_pending(connection: Connection) -> None:
    """Show how many periods wait."""
    PENDING.set(await pending(connection))
