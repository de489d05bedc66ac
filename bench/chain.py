"""The chain under load: fill the vendor's topic while the intake stands still, then let it go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from confluent_kafka import Consumer, Producer, TopicPartition

from bench import processes
from bench.events import METRICS, PROGRAMME, SOURCES, VENDOR, Expected, Probes, programme
from infra.cluster import WantedTopics, apply_topics
from infra.progress import Progress
from infra.topics import topic_partitions
from services.catalogue import store
from services.cli.stack import Stack
from services.shell.frames import partition_of
from services.shell.postgres import Connection, connect

TOPIC = f"intake.{VENDOR}"
EVALUATOR = "earnback-evaluator"
COMPILED = "earnback_ingest_compiled"
WARM_UP = 150_000
"""Events after which the intake has compiled what it compiles only under load."""
PATIENCE_SECONDS = 60.0

Ranges = dict[int, tuple[int, int]]


class Wrong(RuntimeError):
    """The chain did not count what was sent. The text says what differs."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the database holds: events counted, repetitions, and windows as `Expected` has them."""

    accepted: int
    duplicates: int
    windows: Mapping[tuple[str, int], list[int]]


class Chain:
    """A running stack with the bench's programme; expects more with everything that is sent."""

    def __init__(self, running: Stack) -> None:
        self.stack = running
        self.kafka = running.addresses.kafka
        self.expected = Expected()
        self._partitions = topic_partitions(TOPIC)

    def prepare(self, seed: int, progress: Progress) -> None:
        """Apply the programme and let a few events through, so that everyone is in their groups."""
        asyncio.run(apply_topics(self.kafka, WantedTopics("trial", (VENDOR,))))
        asyncio.run(self._query(_apply_programme))
        warm = Probes(seed=seed, duplicates=0.0, prefix="warm-up")
        self.fill(warm, WARM_UP, progress)
        self.wait(progress)
        self._wait_for_loops()

    def _wait_for_loops(self) -> None:
        """Wait until the intake judges batches by its compiled loops, or says that it can't."""
        until = time.monotonic() + PATIENCE_SECONDS
        while f"\n{COMPILED} 0.0" in httpx.get(f"{self.stack.addresses.ingest}/metrics").text:
            if time.monotonic() > until:
                raise Wrong("the intake's loops were not compiled in time")
            time.sleep(0.2)

    def fill(self, probes: Probes, count: int, progress: Progress) -> Ranges:
        """Write events to the intake topic, each a record; the offsets that they have there."""
        before = self._ends()
        producer = Producer(
            {
                "bootstrap.servers": self.kafka,
                "acks": "all",
                "linger.ms": 20,
                "batch.size": 512 * 1024,
                "queue.buffering.max.messages": 200_000,
            }
        )
        lanes = {source: partition_of(source, self._partitions) for source in SOURCES}
        for number, (source, event) in enumerate(probes.make(count), 1):
            while True:
                try:
                    producer.produce(TOPIC, event, partition=lanes[source])
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % 10_000 == 0:
                producer.poll(0)
                progress("Events into the topic", number, count)
        if producer.flush(PATIENCE_SECONDS):
            raise Wrong("the broker did not take all events in time")
        progress("Events into the topic", count, count)
        self.expect(probes.expected)
        return {each: (before[each], end) for each, end in self._ends().items()}

    def expect(self, more: Expected) -> None:
        """Add to what must be counted in the end."""
        self.expected.accepted += more.accepted
        self.expected.duplicates += more.duplicates
        for window, (total, good) in more.windows.items():
            held = self.expected.windows.setdefault(window, [0, 0])
            held[0] += total
            held[1] += good

    @contextmanager
    def intake_stopped(self) -> Iterator[Callable[[], float]]:
        """Hold the intake while the topic is filled. What is given lets it go, and tells when."""
        supervisor = self.stack.supervisor
        pids = [supervisor.pid(each) for each in supervisor.names() if each.startswith("ingest")]

        def tell(number: signal.Signals) -> None:
            for pid in pids:
                os.kill(pid, number)

        def release() -> float:
            started = time.time()
            tell(signal.SIGCONT)
            return started

        tell(signal.SIGSTOP)
        try:
            yield release
        finally:
            tell(signal.SIGCONT)

    def raw(self, ranges: Ranges, decoder: str, *, fastest: bool = True) -> dict[str, Any]:
        """The raw limit for the same records. ``fastest``: else with librdkafka's own settings."""
        told = {
            "kafka": self.kafka,
            "topic": TOPIC,
            "ranges": ranges,
            "decoder": decoder,
            "fastest": fastest,
        }
        return ask("bench.raw", told)

    def wait(self, progress: Progress, step: str = "Chain") -> float:
        """Wait until all that is expected is committed; when the last of it was, on the clock."""
        done = asyncio.run(self._query(lambda connection: self._wait(connection, progress, step)))
        return float(done)

    async def _wait(self, connection: Connection, progress: Progress, step: str) -> float:
        total = self.expected.total
        done, moved = -1, time.monotonic()
        while True:
            counted = await connection.fetchval(_DONE)
            if counted > done:
                done, moved = counted, time.monotonic()
                progress(step, min(done, total), total)
            if done >= total:
                return float(await connection.fetchval(_LAST_COMMIT, EVALUATOR))
            if time.monotonic() - moved > PATIENCE_SECONDS:
                raise Wrong(f"{done} of {total} events are committed, and no more come")
            await asyncio.sleep(0.1)

    def verify(self) -> list[str]:
        """Hold the database against the independent count. What was checked; raises Wrong."""
        counted = asyncio.run(self._query(_counted))
        expected = self.expected
        if (counted.accepted, counted.duplicates) != (expected.accepted, expected.duplicates):
            raise Wrong(
                f"counted {counted.accepted} events and {counted.duplicates} repetitions, sent "
                f"were {expected.accepted} and {expected.duplicates}"
            )
        if counted.windows != expected.windows:
            differing = sum(
                counted.windows.get(window) != found for window, found in expected.windows.items()
            )
            raise Wrong(f"{differing} of {len(expected.windows)} minute windows differ")
        aside = asyncio.run(self._query(lambda connection: connection.fetchval(_ASIDE)))
        if aside:
            raise Wrong(f"{aside} good events were set aside")
        return [
            f"stored facts: {expected.accepted:,}, repetitions not counted again: "
            f"{expected.duplicates:,}; together every event that was sent",
            f"all {len(expected.windows):,} (metric, minute) windows: events and good ones equal "
            "to a count made when the events were",
            "nothing in quarantine",
        ]

    def pids(self) -> dict[str, list[int]]:
        """The processes of each part, where they run on this machine."""
        supervisor = self.stack.supervisor
        found = {name.removesuffix("-1"): [supervisor.pid(name)] for name in supervisor.names()}
        if self.stack.servers.embedded_kafka is not None:
            found["kafka"] = [self.stack.servers.embedded_kafka.pid]
        if self.stack.servers.embedded_postgres is not None:
            found["postgres"] = processes.tree(self.stack.servers.embedded_postgres.pid)
        return found

    async def _query(self, asked: Callable[[Connection], Any]) -> Any:
        connection = await connect(self.stack.addresses.postgres, name="earnback-bench")
        try:
            return await asked(connection)
        finally:
            await connection.close()

    def _ends(self) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "bench-ends"})
        try:
            return {
                each: consumer.get_watermark_offsets(TopicPartition(TOPIC, each), timeout=30)[1]
                for each in range(self._partitions)
            }
        finally:
            consumer.close()


def ask(module: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Run a module of the bench as a process: a line of JSON in, a line of JSON out."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(told) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Wrong(f"{module} failed: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def _apply_programme(connection: Connection) -> None:
    await store.apply(connection, programme())


_DONE = """
    select coalesce(sum(n), 0)::bigint + coalesce(sum(octet_length(dup_ids) / 16), 0)::bigint
    from fact_frame
"""
_LAST_COMMIT = """
    select extract(epoch from max(last_advanced_at)) from progress
    where app = $1 and topic = 'measurements'
"""
_ASIDE = "select coalesce(sum(times), 0)::bigint from quarantine_item"


async def _counted(connection: Connection) -> Counted:
    accepted, duplicates = await connection.fetchrow(
        "select sum(n)::bigint, sum(octet_length(dup_ids) / 16)::bigint from fact_frame"
    )
    rows = await connection.fetch(
        """
        select m.metric, t.window_us, sum(t.n)::bigint as n, sum(t.a)::bigint as a
        from tally t join metric_number m on m.number = t.metric
        where m.programme = $1 and m.metric = any($2::text[])
        group by m.metric, t.window_us
        """,
        PROGRAMME,
        list(METRICS),
    )
    windows = {(row["metric"], row["window_us"]): [row["n"], row["a"]] for row in rows}
    return Counted(accepted, duplicates, windows)
