"""A whole installation on this machine, and the steps that a test takes with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from services.cli.applying import apply_files
from services.cli.client import Client, RequestRefused
from services.cli.stack import Stack, Workers, stack
from tests.integration.real import Event, Place
from tests.ladder import climb_alone

PATIENCE_SECONDS = 180.0
ONE_OF_EACH = Workers()
QUICK = {"EARNBACK_CLOSE_EVERY": "0.2", "EARNBACK_QUIET": "0.2"}
"""Looks more often than an installation needs to, so that tests wait less."""


@dataclass
class Living:
    """A running installation with the operator's client."""

    stack: Stack
    client: Client
    last: dict[str, str] = field(default_factory=dict)
    """The last event of each source that was taken."""

    def apply(self, contracts: Path) -> list[str]:
        """Apply the contract files of a folder."""
        return asyncio.run(apply_files(self.stack.addresses, [contracts]))

    def client_of(self, key: str) -> Client:
        """The client of somebody else."""
        where = self.stack.addresses
        return Client(ingest=where.ingest, settlement=where.settlement, key=key)

    def submit(self, client: Client, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Submit events in order; one result each."""
        raw = [json.dumps(event).encode() for event in events]
        results = [result for batch in client.submit(raw) for result in batch]
        for event, result in zip(events, results, strict=True):
            if result["status"] != "rejected":
                self.last[event["source"]] = event["id"]
        return results

    def wait_until_seen(self) -> None:
        """Wait until the evaluator has applied the last event of every source."""
        for source, identity in self.last.items():
            path = f"/v1/events/{quote(source, safe='')}/{quote(identity, safe='')}"
            wait_for(f"{source} {identity}", lambda p=path: self._standing(p) != "not_seen")

    def _standing(self, path: str) -> str:
        return str(self.client.get(path)["standing"])

    def close(self, places: Iterable[Place]) -> Counter[str]:
        """Order a close of every period, wait until each is settled, and count the outcomes."""
        orders = [
            self.client.post("/v1/closes", {"agreement": agreement, "period": period})
            for agreement, period in places
        ]
        outcomes: Counter[str] = Counter()
        for order in orders:
            done = self._done(order)
            assert done["outcome"] in ("closed", "revised", "unchanged"), done
            outcomes[done["outcome"]] += 1
            self._wait_until_settled(done)
        return outcomes

    def _done(self, order: dict[str, Any]) -> dict[str, Any]:
        found = [order]

        def answered() -> bool:
            if found[0]["outcome"] is None:
                found[0] = self.client.get(f"/v1/closes/{order['order_id']}")
            return found[0]["outcome"] is not None

        wait_for(f"the close of {order['agreement']} {order['period']}", answered)
        return found[0]

    def _wait_until_settled(self, order: dict[str, Any]) -> None:
        """Settlement stores an evaluation together with the statement that follows from it."""
        path = f"/v1/agreements/{order['agreement']}/evaluations/{order['period']}"

        def settled() -> bool:
            try:
                return bool(self.client.get(path)["revision"] >= (order["revision"] or 1))
            except RequestRefused:
                return False

        wait_for(f"{order['agreement']} {order['period']} to be settled", settled)

    def reasons(self, agreement: str) -> dict[str, str]:
        """Why each period of an agreement was first closed."""
        rows = self.client.items(f"/v1/agreements/{agreement}/evaluations")
        return {row["period"]: row["reason"] for row in rows if row["revision"] == 1}

    def documents(self, agreement: str) -> dict[str, bytes]:
        """The statement documents of an agreement, by period."""
        periods = {
            row["period"] for row in self.client.items("/v1/statements", agreement=agreement)
        }
        return {period: self.client.document(agreement, period) for period in sorted(periods)}


@contextmanager
def living(folder: Path, config: pytest.Config, workers: Workers = ONE_OF_EACH) -> Iterator[Living]:
    """Start a whole installation over servers of its own; stop it at the end."""
    with ExitStack() as held:
        rung = held.enter_context(climb_alone(folder / "servers"))
        rung.tell(config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EARNBACK_KAFKA", rung.kafka)
            patch.setenv("EARNBACK_POSTGRES", rung.postgres)
            running = held.enter_context(stack(folder, workers=workers, environment=QUICK))
        yield held.enter_context(entered(running))


@contextmanager
def entered(running: Stack) -> Iterator[Living]:
    """An installation with the operator's client."""
    where = running.addresses
    client = Client(ingest=where.ingest, settlement=where.settlement, key=where.key)
    try:
        yield Living(running, client)
    finally:
        client.close()


def wait_for(what: str, happened: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again and again until it has happened. Fails when it takes too long."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what} in vain"
        time.sleep(0.05)
