"""How far the intake is behind, for the metrics: also while it waits for the database."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Set
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from prometheus_client import Gauge

from services.shell.logs import log

INTAKE_LAG = Gauge(
    "earnback_intake_lag_records",
    "Records of intake topics that this reader has not taken in and acknowledged.",
    ["topic", "partition"],
)
EVERY = 2.0
"""Seconds between two looks. A look asks the broker only about partitions that are new here."""
_ASK_SECONDS = 2.0

Place = tuple[str, int]
"""Topic and partition."""


class LagWatch:
    """Looks from a thread of its own: one that reads could not tell that it waits."""

    def __init__(self, consumer: Any, acknowledged: Mapping[Place, int]) -> None:
        """``acknowledged``: the next offset of each partition of which something was taken in;
        kept current, by another thread."""
        self._consumer, self._acknowledged = consumer, acknowledged
        self.ours: frozenset[Place] = frozenset()
        """The partitions that are read here; replaced by the thread that reads. Asked for them from
        this thread, the client was seen never to answer."""
        self._began: dict[Place, int] = {}
        """Where reading began, of the partitions that are ours."""
        self._told: set[Place] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake-lag", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and tell nothing any more. The consumer may be closed after this."""
        self._stopped.set()
        self._thread.join()
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
        ends = {place: self._end(place) for place in done}
        # Not known, the end is below zero: nothing came from there so far.
        self._tell({place: max(0, end - done[place]) for place, end in ends.items() if end >= 0})

    def _end(self, place: Place) -> int:
        """The end as the broker last told it; asks nobody."""
        partition = TopicPartition(*place)
        known: int = self._consumer.get_watermark_offsets(partition, cached=True)[1]
        return known

    def _beginnings(self, places: Set[Place]) -> dict[Place, int]:
        """What the group has committed; where that is nothing, the first record that is there."""
        partitions = [TopicPartition(*place) for place in places]
        answers = self._consumer.committed(partitions, _ASK_SECONDS)
        return {
            (each.topic, each.partition): each.offset if each.offset >= 0 else self._first(each)
            for each in answers
            if each.error is None
        }

    def _first(self, partition: TopicPartition) -> int:
        known: int = self._consumer.get_watermark_offsets(partition, _ASK_SECONDS)[0]
        return known

    def _tell(self, lags: Mapping[Place, int]) -> None:
        for topic, partition in self._told - lags.keys():
            INTAKE_LAG.remove(topic, partition)
        for (topic, partition), lag in lags.items():
            INTAKE_LAG.labels(topic, partition).set(lag)
        self._told = set(lags)
