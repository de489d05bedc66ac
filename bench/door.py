"""A client of the HTTP door in a process of its own: bodies made beforehand, then sent.

Two runs: as fast as answers come, then at half that load. In the second a request has a moment at
which it is due, and its latency counts from there: a slow answer is not hidden by sending less.
"""

from __future__ import annotations

import http.client
import itertools
import json
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.events import Probes

CONNECTIONS = 8
PER_BATCH = 500
TIMEOUT_SECONDS = 30.0
HEADERS = {"Content-Type": "application/cloudevents-batch+json"}


def bodies(probes: Probes, batches: int) -> list[bytes]:
    """Batches of events as JSON arrays."""
    return [
        b"[" + b",".join(event for _, event in probes.make(PER_BATCH)) + b"]"
        for _ in range(batches)
    ]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request: seconds from when it was due, and what the answer counted."""

    latency: float
    status: int
    accepted: int
    duplicate: int


class Client:
    """Sends bodies over a fixed number of connections."""

    def __init__(self, address: str, key: str) -> None:
        where = urlsplit(address)
        self._host, self._port = where.hostname or "", where.port or 80
        self._headers = {**HEADERS, "Authorization": f"Bearer {key}"}

    def send(self, given: Sequence[bytes], per_second: float | None) -> tuple[float, list[Sent]]:
        """Seconds for all, and each answer. ``per_second``: batches; None for all they take."""
        places, sent = itertools.count(), [Sent(0.0, 0, 0, 0)] * len(given)
        started = time.perf_counter() + 0.05
        failures: list[BaseException] = []

        def due(place: int) -> float:
            return started + place / per_second if per_second else time.perf_counter()

        def work() -> None:
            try:
                self._work(given, places, due, sent)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return time.perf_counter() - started, sent

    def _work(
        self,
        given: Sequence[bytes],
        places: Any,
        due: Callable[[int], float],
        sent: list[Sent],
    ) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        while (place := next(places)) < len(given):
            moment = due(place)
            time.sleep(max(0.0, moment - time.perf_counter()))
            connection.request("POST", "/v1/events", given[place], self._headers)
            answer = connection.getresponse()
            text = answer.read()
            latency = time.perf_counter() - moment
            counted = json.loads(text[: text.index(b',"results"')] + b"}")
            sent[place] = Sent(latency, answer.status, counted["accepted"], counted["duplicate"])
        connection.close()


def summary(seconds: float, sent: Sequence[Sent], events: int) -> dict[str, Any]:
    """Events a second, latencies in milliseconds, and how the answers counted."""
    ordered = sorted(each.latency * 1000 for each in sent)
    return {
        "events": events,
        "seconds": seconds,
        "events_per_second": events / seconds,
        "p50_ms": ordered[math.ceil(len(ordered) * 0.5) - 1],
        "p99_ms": ordered[math.ceil(len(ordered) * 0.99) - 1],
        "max_ms": ordered[-1],
        "accepted": sum(each.accepted for each in sent),
        "duplicate": sum(each.duplicate for each in sent),
        "other_than_202": sum(each.status != 202 for each in sent),
    }


def run(told: dict[str, Any]) -> dict[str, Any]:
    """Both runs."""
    probes = Probes(**told["probes"])
    client = Client(told["address"], told["key"])
    first = bodies(probes, CONNECTIONS * 4)
    warm = summary(*client.send(first, None), len(first) * PER_BATCH)
    full = bodies(probes, told["batches"])
    most = summary(*client.send(full, None), len(full) * PER_BATCH)
    half = bodies(probes, told["batches"] // 2)
    pace = most["events_per_second"] / 2 / PER_BATCH
    calm = summary(*client.send(half, pace), len(half) * PER_BATCH)
    told_again = sum(each["duplicate"] for each in (warm, most, calm))
    batches = [len(first), len(full), len(half)]
    return {"full": most, "half": calm, "told_duplicate": told_again, "batches": batches}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.stdin.readline()))))
