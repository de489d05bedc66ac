"""The vendors: each sends its stream at its pace, and again until it is told that it arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import httpx
from confluent_kafka import Producer

from tests.chaos.feed import Item

BATCH = 250
PATIENCE = 300.0
"""Seconds that a batch is tried for: workers are killed, but come back."""


class Refused(AssertionError):
    """An event that must be taken was not."""


class Sending:
    """All streams, each in a thread of its own. ``wait`` tells of the first failure.

    ``contested``: identities that are sent with two contents. A door that has met only the second
    of them calls the first a conflict; which one stands is settled by the order in the log.
    """

    def __init__(self, seconds: float, contested: set[tuple[str, str]]) -> None:
        self._seconds, self._contested = seconds, contested
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self.repeated = 0
        """Requests that had to be made again."""
        self.acknowledged: set[tuple[str, str]] = set()
        """Source and id of what was answered with 202, and taken or known already."""

    def over_http(
        self, name: str, doors: Sequence[str], key: str, items: Sequence[Item], seed: int
    ) -> None:
        """Send batches to any of the doors; a batch that is not acknowledged is sent again."""
        chance = Random(seed)

        def work() -> None:
            with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=4) as client:
                for first in self._paced(len(items), BATCH):
                    self._acknowledged(client, doors, items[first : first + BATCH], chance)

        self._start(f"http {name}", work)

    def over_kafka(self, name: str, kafka: str, topic: str, items: Sequence[Item]) -> None:
        """Write to a vendor's own topic, as any Kafka producer does."""

        def work() -> None:
            producer = Producer(
                {"bootstrap.servers": kafka, "enable.idempotence": True, "log_level": 0}
            )
            lost: list[Any] = []
            for first in self._paced(len(items), BATCH):
                for item in items[first : first + BATCH]:
                    producer.produce(
                        topic,
                        item.raw,
                        key=item.source,
                        on_delivery=lambda error, _: lost.append(error) if error else None,
                    )
                producer.poll(0)
            left = producer.flush(PATIENCE)
            if left or lost:
                raise Refused(f"{topic}: {left} records are not delivered, {lost[:3]}")

        self._start(f"kafka {name}", work)

    def wait(self, seconds: float) -> None:
        """Wait until all is acknowledged. Raises what went wrong in a stream."""
        until = time.monotonic() + seconds
        while any(thread.is_alive() for thread in self._threads) and not self._failures:
            alive = [thread.name for thread in self._threads if thread.is_alive()]
            assert time.monotonic() < until, f"{alive} have not sent everything in {seconds} s"
            time.sleep(0.1)
        if self._failures:
            raise self._failures[0]

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # told to the waiting thread, whatever it was
                self._failures.append(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _paced(self, count: int, step: int) -> Any:
        """Where each batch begins, not before its time."""
        began = time.monotonic()
        for first in range(0, count, step):
            time.sleep(max(0.0, began + self._seconds * first / count - time.monotonic()))
            yield first

    def _acknowledged(
        self, client: httpx.Client, doors: Sequence[str], items: Sequence[Item], chance: Random
    ) -> None:
        body = b"[" + b",".join(item.raw for item in items) + b"]"
        headers = {"content-type": "application/cloudevents-batch+json"}
        door = chance.randrange(len(doors))
        until = time.monotonic() + PATIENCE
        while True:
            said = "no answer"
            try:
                answer = client.post(f"{doors[door]}/v1/events", content=body, headers=headers)
                if answer.status_code in (202, 207):
                    return self._check(items, answer.json()["results"])
                said = answer.text[:500]
                if answer.status_code not in (500, 503):
                    raise Refused(f"{answer.status_code}: {said}")
            except httpx.TransportError as error:
                said = repr(error)
            if time.monotonic() > until:
                raise Refused(f"a batch was not taken in {PATIENCE} s: {said}")
            self.repeated += 1
            door = (door + 1) % len(doors)
            time.sleep(0.1)

    def _check(self, items: Sequence[Item], results: Sequence[Any]) -> None:
        """Every event is taken, but for those that contradict each other."""
        for item, result in zip(items, results, strict=True):
            if result["status"] == "rejected" and not (
                result["problem"]["code"] == "conflict"
                and (result["source"], result["id"]) in self._contested
            ):
                raise Refused(f"{item.raw!r}: {result}")
            if result["status"] != "rejected":
                self.acknowledged.add((result["source"], result["id"]))
