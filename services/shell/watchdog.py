"""Ends a worker that has work and does none.

It stands outside Faust and outside the worker's event loop: its own thread, loop, consumer and
connection. It asks the broker for the end of each partition and Postgres for the stored offset.
Only when both answer, and records wait while the offset stands still for the whole time, does it
end the process; an unreachable server is no reason to.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.shell import metrics, progress
from services.shell.broker import for_aiokafka, parted
from services.shell.logs import leave, log
from services.shell.postgres import connect
from services.shell.settings import Settings

Watched = Callable[[], Mapping[str, Collection[int]]]
"""Topics of the app, each with the partitions that Kafka assigns to us. Called from another
thread."""

LOOKS_PER_STALL = 10


@dataclass(slots=True)
class Standstill:
    """Since when a partition has been at the same offset with records waiting."""

    offset: int
    since: float


class StallDetector:
    """Decides which partitions stand still. Pure but for its memory; time is given."""

    def __init__(self, stall: float) -> None:
        self._stall = stall
        self._seen: dict[TopicPartition, Standstill] = {}

    def look(
        self, waiting: Mapping[TopicPartition, int], ours: Collection[TopicPartition], now: float
    ) -> list[TopicPartition]:
        """Return the partitions that stood still for too long.

        `waiting` maps partitions with records waiting to their stored offset. A worker that holds
        nothing may itself be what hangs, so it watches all of the app's partitions, with twice the
        patience.
        """
        patience = self._stall if ours else 2 * self._stall
        watched = {tp: offset for tp, offset in waiting.items() if not ours or tp in ours}
        self._seen = {
            tp: self._seen[tp]
            if tp in self._seen and self._seen[tp].offset == offset
            else Standstill(offset, now)
            for tp, offset in watched.items()
        }
        return [tp for tp, seen in self._seen.items() if now - seen.since >= patience]

    def slow(self, now: float) -> list[TopicPartition]:
        """The partitions that have stood still for a quarter of the time that ends the process."""
        return [tp for tp, seen in self._seen.items() if now - seen.since >= self._stall / 4]


class Watchdog:
    """The thread that looks."""

    def __init__(self, settings: Settings, watched: Watched, health: metrics.Health) -> None:
        self._settings, self._watched, self._health = settings, watched, health
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. A look under way ends by itself; the thread does not keep the process
        alive."""
        self._stopped.set()

    def _run(self) -> None:
        judge = StallDetector(self._settings.stall)
        pause = max(1.0, min(10.0, self._settings.stall / LOOKS_PER_STALL))
        while not self._stopped.wait(pause):
            try:
                asyncio.run(self._watch(judge, pause))
            except Exception as error:
                log(__name__).info("watchdog_cannot_look", error=repr(error))

    async def _watch(self, judge: StallDetector, pause: float) -> None:
        """Look again and again over one pair of connections, until one of them breaks."""
        reader = AIOKafkaConsumer(
            **for_aiokafka(self._settings.kafka, self._settings.security),
            isolation_level="read_committed",
            client_id=f"{self._settings.app}-watchdog",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=64 * 1024,
        )
        await reader.start()
        try:
            connection = await connect(
                self._settings.postgres, name=f"{self._settings.app}-watchdog"
            )
            try:
                while not self._stopped.is_set():
                    await self._look(judge, reader, connection)
                    await asyncio.sleep(pause)
            finally:
                await connection.close()
        finally:
            await parted(reader.stop())

    async def _look(self, judge: StallDetector, reader: Any, connection: Any) -> None:
        watched = {topic: set(partitions) for topic, partitions in self._watched().items()}
        stored = {
            TopicPartition(topic, partition): offset
            for (topic, partition), offset in (
                await progress.positions(connection, self._settings.app)
            ).items()
            if topic in watched
        }
        if not stored:
            return
        ends = await reader.end_offsets(list(stored))
        behind = {tp: offset for tp, offset in stored.items() if offset < ends[tp]}
        waiting = await with_records(reader, behind)
        for tp, offset in stored.items():
            lag = ends[tp] - offset if tp in waiting else 0
            metrics.LAG.labels(self._settings.app, tp.topic, tp.partition).set(lag)
        ours = {TopicPartition(topic, each) for topic, parts in watched.items() for each in parts}
        stuck = judge.look(waiting, ours, monotonic())
        tell_lag(self._health, judge.slow(monotonic()))
        if stuck and not self._stopped.is_set():
            leave("stands_still", partitions=[f"{tp.topic}-{tp.partition}" for tp in stuck])


def tell_lag(health: metrics.Health, slow: Collection[TopicPartition]) -> None:
    """Say on `/readyz` which partitions stand still with records waiting, if any."""
    if slow:
        names = ", ".join(sorted(f"{tp.topic}-{tp.partition}" for tp in slow))
        health.not_ready("lag", f"records wait and none is applied: {names}")
    else:
        health.ready("lag")


async def with_records(
    reader: Any, behind: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Keep the partitions where a record really waits.

    On topics written in transactions the end lies behind a marker, which is no record.
    """
    if not behind:
        return {}
    reader.assign(list(behind))
    for tp, offset in behind.items():
        reader.seek(tp, offset)
    found: set[TopicPartition] = set()
    deadline = monotonic() + 3.0
    while len(found) < len(behind) and monotonic() < deadline:
        found |= set(await reader.getmany(timeout_ms=500, max_records=len(behind)))
        if all([tp in found or await reader.position(tp) > behind[tp] for tp in behind]):
            break
    return {tp: behind[tp] for tp in found}
