"""A running ingest over real servers, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from infra.cluster import WantedTopics, apply_topics
from infra.processes import free_port
from services.catalogue import keys
from services.catalogue.store import apply
from services.core.events.facts import Row
from services.shell.frames import decode
from services.shell.outbox import declare
from tests.catalogue.builders import a_programme, an_agreement
from tests.forked import PATIENCE, Forked
from tests.ingest.test_frames import rows_of
from tests.ladder import Rung


@dataclass
class Ingest:
    """One ingest process, the keys of its parties, and the topics as seen since it was made.

    Vendors and sources carry a suffix of this test's own: topics are shared with other tests.
    """

    kafka: str
    postgres: str
    folder: Path
    suffix: str
    keys: dict[str, str] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    """One for all requests: to make one costs more than to send one."""
    process: Forked | None = None
    port: int = 0
    now: float = field(default_factory=time.time)
    """Events that are told twice must say the same, also where an hour ends between the two."""
    began: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The group of those who read the intake topics."""
        return f"test-{self.suffix}-ingest-intake"

    def source(self, source: str) -> str:
        return f"{source}-{self.suffix}"

    def vendor(self, vendor: str) -> str:
        return f"{vendor}-{self.suffix}"

    def start(self, parts: str = "http", *, ready: bool = True, **environ: str) -> None:
        """Start the process and, unless it is to die early, wait until it is ready."""
        self.port = free_port()
        told = {
            "EARNBACK_KAFKA": self.kafka,
            "EARNBACK_POSTGRES": self.postgres,
            "EARNBACK_GROUP": f"test-{self.suffix}",
            "EARNBACK_HTTP_PORT": str(self.port),
            "EARNBACK_INGEST_PARTS": parts,
            # A killed reader's partitions are free again after this, not after half a minute.
            "EARNBACK_SESSION_TIMEOUT": "6",
            "EARNBACK_HEARTBEAT": "2",
        }
        self.process = Forked(
            "services.ingest",
            log=self.folder / "ingest.log",
            env={**os.environ, **told, **environ},
        )
        if ready:
            self.wait_for(lambda: self._status("/readyz") == 200, "ingest is not ready")

    def _status(self, path: str) -> int:
        assert self.process is not None
        assert self.process.returncode is None, self.process.tail(40)
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            return 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send(number)
        return self.process.wait()

    def post(self, content: bytes, party: str | None = "north", **headers: str) -> httpx.Response:
        """POST /v1/events with the party's key."""
        sent = {"content-type": "application/cloudevents+json"}
        if party is not None:
            sent["authorization"] = f"Bearer {self.keys[party]}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"{self.url}/v1/events", content=content, headers=sent)

    def event(self, event_id: str, kind: str = "sample", data: Any = None, **more: Any) -> Any:
        """A good sample of this test's own probe, with changes."""
        return {
            "specversion": "1.0",
            "id": event_id,
            "source": self.source("https://probe.example/net-1"),
            "type": f"earnback.{kind}.v1",
            "time": time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(self.now - 7200)),
            "data": data or {"metric": "net.availability", "up": True},
            **more,
        }

    def rows(self, number: int) -> list[Row]:
        """This test's rows in `measurements`, once there are at least so many."""
        found: list[Row] = []

        def read() -> bool:
            found[:] = [
                row
                for record in self.records("measurements")
                for row in rows_of(decode(record.value()))
                if row.source.endswith(self.suffix)
            ]
            return len(found) >= number

        self.wait_for(read, f"fewer than {number} rows")
        return found

    def quarantined(self, number: int) -> list[Any]:
        """The records that tell of what was refused, once there are at least so many."""
        found: list[Any] = []

        def read() -> bool:
            bodies = self.query("select body from outbox where topic = 'refused' order by seq")
            found[:] = [json.loads(row["body"]) for row in bodies]
            return len(found) >= number

        self.wait_for(read, f"fewer than {number} quarantine records")
        return found

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Meanwhile the database keeps no refusal: whoever wants one kept has to wait."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.postgres))
            held = connection.transaction()
            runner.run(held.start())
            runner.run(connection.execute("lock table intake_refusal in share mode"))
            try:
                yield
            finally:
                runner.run(held.rollback())
                runner.run(connection.close())

    def waits(self) -> bool:
        """Whether somebody waits to have a refusal kept."""
        (found,) = self.query(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock' and query like '%insert into intake_refusal%'"
        )
        return bool(found[0])

    def query(self, statement: str, *arguments: Any) -> list[Any]:
        """Rows of this test's database."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self.postgres)
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def records(self, topic: str) -> list[Any]:
        """All records of a topic since the fixture was made, as a plain consumer reads them."""
        consumer = _consumer(self.kafka)
        try:
            ends = _ends(consumer, topic)
            start = [TopicPartition(topic, each.partition, self.began[each]) for each in ends]
            consumer.assign(start)
            missing = sum(ends[each] - self.began[each] for each in ends)
            found: list[Any] = []
            while len(found) < missing:
                got = consumer.consume(missing - len(found), 2)
                found += [each for each in got if each.error() is None]
            return found
        finally:
            consumer.close()

    def wait_for(self, true: Callable[[], bool], otherwise: str) -> None:
        """Wait until something holds; if it never does, say so with what ingest logged."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline:
                log = self.folder / "ingest.log"
                raise AssertionError(f"{otherwise}\n{log.read_text()[-3000:]}")
            time.sleep(0.1)

    def produce(
        self, topic: str, records: list[tuple[bytes, list[tuple[str, bytes]]]], partition: int = -1
    ) -> None:
        """Write records as a vendor would."""
        producer = Producer({"bootstrap.servers": self.kafka})
        for value, headers in records:
            producer.produce(topic, value, headers=headers, partition=partition)
        assert producer.flush(30) == 0


@pytest.fixture
def ingest(
    servers: Rung, database: str, topics: tuple[str, ...], tmp_path: Path
) -> Iterator[Ingest]:
    """An ingest that is not started yet, with a programme of its own, keys and topics."""
    with an_ingest(servers.kafka, database, tmp_path) as made:
        yield made


@contextmanager
def an_ingest(kafka: str, postgres: str, folder: Path) -> Iterator[Ingest]:
    """The same over any broker."""
    made = Ingest(kafka, postgres, folder, suffix=uuid4().hex[:8])
    asyncio.run(_prepare(made))
    consumer = _consumer(kafka)
    for topic in ("measurements",):
        made.began |= _ends(consumer, topic)
    consumer.close()
    try:
        yield made
    finally:
        made.client.close()
        if made.process is not None:
            made.process.kill()


async def _prepare(made: Ingest) -> None:
    programme = a_programme()
    sources = [
        {
            "source": made.source(each.source),
            "reports_for": each.reports_for
            if each.reports_for == "town"
            else made.vendor(each.reports_for),
            "metrics": each.metrics,
        }
        for each in programme.sources
    ]
    vendors = [{"vendor": made.vendor(each), "name": each} for each in ("north", "desk")]
    connection = await asyncpg.connect(made.postgres)
    await apply(connection, a_programme(sources=sources, vendors=vendors, restated_for_days=3660))
    await apply(connection, an_agreement(vendor=made.vendor("north")))
    await declare(connection, "refused", 4)
    # As the evaluator would note it: this source has come to the present day.
    await connection.execute(
        "insert into source_latest (partition, source, latest_us) values (0, $1, $2)",
        made.source("https://probe.example/net-1"),
        time.time_ns() // 1000,
    )
    for party in ("north", "desk"):
        made.keys[party] = await keys.create(
            connection, party=made.vendor(party), role="vendor", label="test"
        )
    made.keys["town"] = await keys.create(
        connection, party="town", role="procurement", label="test"
    )
    for role in ("finance", "probe"):
        made.keys[role] = await keys.create(connection, party="town", role=role, label="test")
    made.keys["operator"] = await keys.create(
        connection, party="earnback", role="admin", label="test"
    )
    await connection.close()
    vendors = made.vendor("north"), made.vendor("desk")
    await apply_topics(made.kafka, WantedTopics("trial", vendors))


def _consumer(kafka: str) -> Any:
    return Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"plain-{uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


def _ends(consumer: Any, topic: str) -> dict[TopicPartition, int]:
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    return {
        each: _end(consumer, each)
        for each in (TopicPartition(topic, number) for number in partitions)
    }


def _end(consumer: Any, partition: TopicPartition) -> int:
    """The end of a partition; one that was made just now has no leader for a moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return int(consumer.get_watermark_offsets(partition, timeout=10)[1])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
