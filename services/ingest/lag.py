"""How far the intake is behind, for the metrics: also while it waits for the database."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence, Set
from time import monotonic
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from prometheus_client import Gauge

from services.shell.logs import log
from services.shell.watchdog import StallDetector

INTAKE_LAG = Gauge(
    "earnback_intake_lag_records",
    "Records of intake topics that this reader has not processed and acknowledged.",
    ["topic", "partition"],
)
EVERY = 2.0
"""Seconds between two looks, each one request or two."""
_ASK_SECONDS = 2.0

TopicPartitionKey = tuple[str, int]
"""Topic and partition."""


class LagWatch:
    """Looks from a thread of its own and over connections of its own: the one that reads could not
    tell that it waits, and its client answers others only between two reads."""

    def __init__(
        self,
        options: Mapping[str, Any],
        group: str,
        acknowledged: Mapping[TopicPartitionKey, int],
        stall: float,
    ) -> None:
        """``options``: by which a client finds the broker. ``acknowledged``: the next offset of
        each partition of which something was taken in; kept current, by another thread.
        ``stall``: after how many seconds a partition stands still."""
        # It never joins the group. The admin client would ask for more at once, but was seen to
        # abort the process when a question found no broker (librdkafka 2.16).
        self._asks = Consumer(
            {**options, "group.id": group, "enable.auto.commit": False}
            | {"enable.partition.eof": True}
        )
        self._acknowledged = acknowledged
        self.ours: frozenset[TopicPartitionKey] = frozenset()
        """The partitions that are read here; replaced by the thread that reads."""
        self._began: dict[TopicPartitionKey, int] = {}
        """Where reading began, of the partitions that are ours."""
        self.stuck: frozenset[TopicPartitionKey] = frozenset()
        """Those of ours that stand still: records wait, and none was taken in for that long."""
        self._detector = StallDetector(stall)
        self._waited: dict[TopicPartitionKey, int] = {}
        """Where each partition with records waiting was at the last look."""
        self._empty: dict[TopicPartitionKey, tuple[int, int]] = {}
        """Of each partition offsets without a record: what ends a transaction takes one."""
        self._told: set[TopicPartitionKey] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake-lag", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and tell nothing any more."""
        self._stopped.set()
        self._thread.join()
        self._asks.close()
        self._tell({})

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                self._look()
            except KafkaException as error:
                log(__name__).info("intake_lag_not_known", error=str(error))

    def _look(self) -> None:
        ours = self.ours
        self._began = {place: at for place, at in self._began.items() if place in ours}
        if new := ours - self._began.keys():
            self._began |= self._beginnings(new)
        taken_in = dict(self._acknowledged)
        done = {place: taken_in.get(place, at) for place, at in self._began.items()}
        ends = self._offsets(done.keys(), OFFSET_END)
        behind = {place: done[place] for place, end in ends.items() if end > done[place]}
        waiting = {place: at for place, at in behind.items() if self._waits(place, at, ends[place])}
        self._waited = waiting
        self.stuck = frozenset(self._detector.look(waiting, ours, monotonic()))
        self._tell({place: end - waiting.get(place, end) for place, end in ends.items()})

    def _waits(self, place: TopicPartitionKey, at: int, end: int) -> bool:
        """Whether a record waits there, and not only what ends a transaction. Looked for only
        where nothing was taken in since the last look."""
        if self._empty.get(place) == (at, end):
            return False
        if self._waited.get(place) != at:
            return True
        self._asks.assign([TopicPartition(*place, at)])
        try:
            found = self._asks.poll(_ASK_SECONDS)
        finally:
            self._asks.unassign()
        error = None if found is None else found.error()
        if error is None or error.code() != KafkaError._PARTITION_EOF:
            return True
        self._empty[place] = at, end
        return False

    def _beginnings(self, places: Set[TopicPartitionKey]) -> dict[TopicPartitionKey, int]:
        """What the group has committed; where that is nothing, the first record that is there."""
        asked = [TopicPartition(*place) for place in places]
        committed = _known(self._asks.committed(asked, _ASK_SECONDS))
        return committed | self._offsets(places - committed.keys(), OFFSET_BEGINNING)

    def _offsets(self, places: Set[TopicPartitionKey], which: int) -> dict[TopicPartitionKey, int]:
        """The beginnings or the ends: what the broker is asked for as if it were a time."""
        asked = [TopicPartition(*place, which) for place in places]
        return _known(self._asks.offsets_for_times(asked, _ASK_SECONDS) if asked else [])

    def _tell(self, lags: Mapping[TopicPartitionKey, int]) -> None:
        for topic, partition in self._told - lags.keys():
            INTAKE_LAG.remove(topic, partition)
        for (topic, partition), lag in lags.items():
            INTAKE_LAG.labels(topic, partition).set(lag)
        self._told = set(lags)


def _known(answers: Sequence[TopicPartition]) -> dict[TopicPartitionKey, int]:
    return {
        (each.topic, each.partition): each.offset
        for each in answers
        if each.error is None and each.offset >= 0
    }
