"""Somebody who orders closes again and again, each until it is acknowledged, under one key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import httpx

from tests.chaos.installation import Installation
from tests.chaos.sending import PATIENCE, Refused

EVERY = 2.0
"""Seconds between two orders."""
RETRIED = 0.2


class Orders:
    """Orders closes of periods that are closed already, in a thread. ``given``: key to order."""

    def __init__(self, made: Installation, settlement: str, key: str, seed: int) -> None:
        self._made, self._url, self._chance = made, f"{settlement}/v1/closes", Random(seed)
        self._client = httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=8)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)
        self.given: dict[str, str] = {}

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Order no more. Raises what went wrong."""
        self._stopping.set()
        self._thread.join(2 * PATIENCE)
        if self._failure is not None:
            raise self._failure

    def assert_answered(self) -> None:
        """Each order was taken once, a repeat is told the same, and the evaluator has answered."""
        assert len(set(self.given.values())) == len(self.given)
        for order in self.given.values():
            state = self._until(partial(self._client.get, f"{self._url}/{order}"), is_done)
            assert state["outcome"] in ("unchanged", "revised"), state

    def _run(self) -> None:
        try:
            while not self._stopping.wait(EVERY):
                closed = self._closed()
                if closed:
                    self._order(*self._chance.choice(closed))
        except BaseException as error:  # told to the waiting thread, whatever it was
            self._failure = error

    def _closed(self) -> list[tuple[str, str]]:
        try:
            rows = self._made.rows(
                "select distinct agreement, period from evaluation order by 1, 2"
            )
        except Exception:  # the database is away
            return []
        return [(row["agreement"], row["period"]) for row in rows]

    def _order(self, agreement: str, period: str) -> None:
        key = f"order-{len(self.given)}"
        told = {"agreement": agreement, "period": period}
        post = partial(self._client.post, self._url, json=told, headers={"idempotency-key": key})
        first, again = (self._until(post, lambda _: True)["order_id"] for _ in range(2))
        assert first == again, key
        self.given[key] = first

    def _until(self, ask: Callable[[], httpx.Response], enough: Callable[[Any], bool]) -> Any:
        """Ask until the answer is enough. Raises Refused where it never is, or never could be."""
        until = time.monotonic() + PATIENCE
        said = "no answer"
        while time.monotonic() < until:
            try:
                answer = ask()
                if answer.is_success and enough(answer.json()):
                    return answer.json()
                said = f"{answer.status_code}: {answer.text[:500]}"
                if answer.status_code in (400, 401, 403, 404, 422):
                    raise Refused(said)
            except httpx.TransportError as error:
                said = repr(error)
            time.sleep(RETRIED)
        raise Refused(f"an order was not taken in {PATIENCE} s: {said}")


def is_done(state: Any) -> bool:
    """Whether the evaluator has answered an order."""
    return state["outcome"] is not None
