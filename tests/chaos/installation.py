"""An earnback of this run's own on given servers, and what can be read of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from infra.topics import topic_partitions
from services.catalogue.keys import create
from services.catalogue.store import apply
from services.cli.applying import apply_files
from services.cli.prepare import prepare
from services.cli.stack import Addresses, Stack, Workers, stack
from tests.chaos.feed import BUYER, KINDS, contracts, poisoned
from tests.conftest import with_database

TWO_OF_EACH = Workers(ingest=2, evaluator=2, settlement=2)
SESSION_TIMEOUT = 6
PACE = {
    "EARNBACK_SESSION_TIMEOUT": str(SESSION_TIMEOUT),
    "EARNBACK_HEARTBEAT": "2",
    "EARNBACK_IDLE_IN_TRANSACTION": "5",
    "EARNBACK_QUIET": "0.5",
    "EARNBACK_CLOSE_EVERY": "0.3",
}
Ends = dict[tuple[str, int], int]
"""Topic and partition to the offset of the record that comes next."""


@dataclass(frozen=True)
class Installation:
    """``vendors``: kind to the vendor's name. ``keys``: sender to its API key.
    ``prefix``: of its topics, groups and roles; it has them to itself. ``backup``: a database as
    this one was before anything was sent.
    """

    kafka: str
    postgres: str
    prefix: str
    vendors: Mapping[str, str]
    keys: Mapping[str, str]
    contracts: Path
    backup: str

    def topic(self, name: str) -> str:
        """A declared topic as it is called here."""
        return f"{self.prefix}.{name}"

    def rows(self, query: str, *values: Any) -> list[Any]:
        """The rows of a query."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self.postgres)
            try:
                return list(await connection.fetch(query, *values))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def value(self, query: str, *values: Any) -> Any:
        """The one value of a query."""
        return self.rows(query, *values)[0][0]

    def records(self, topic: str) -> list[Any]:
        """What a plain consumer reads of a topic: committed records."""
        settings = {"isolation.level": "read_committed", "auto.offset.reset": "error"}
        with _reader(self.kafka, **settings, **{"enable.partition.eof": True}) as consumer:
            places = [
                TopicPartition(self.topic(topic), partition, 0)
                for partition in range(topic_partitions(topic))
            ]
            consumer.assign(places)
            return list(_to_the_end(consumer, len(places)))

    def ends(self, *topics: str) -> Ends:
        """Where topics end now."""
        with _reader(self.kafka) as consumer:
            return {
                (topic, each): _log_end(consumer, TopicPartition(self.topic(topic), each))
                for topic in topics
                for each in range(topic_partitions(topic))
            }

    def read_by(self, group: str, topics: list[str]) -> Ends:
        """How far a group has committed."""
        with _reader(self.kafka, group=f"{self.prefix}.earnback-{group}") as consumer:
            wanted = [
                TopicPartition(self.topic(topic), each)
                for topic in topics
                for each in range(topic_partitions(topic))
            ]
            found = consumer.committed(wanted, timeout=10)
            begin = self.topic("")
            return {
                (each.topic.removeprefix(begin), each.partition): max(each.offset, 0)
                for each in found
            }


@contextmanager
def _reader(kafka: str, group: str = "", **settings: Any) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": group or f"reader-{token_hex(4)}",
            "enable.auto.commit": False,
            "log_level": 0,
            **settings,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer, partitions: int) -> Iterator[Any]:
    ended: set[int] = set()
    deadline = time.monotonic() + 60
    while len(ended) < partitions:
        assert time.monotonic() < deadline, "a topic could not be read to its end"
        for message in consumer.consume(1000, 0.5):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise AssertionError(f"a topic could not be read: {error}")


def _log_end(consumer: Consumer, place: TopicPartition) -> int:
    """Where a partition ends; one that was made just now has no leader for a moment."""
    deadline = time.monotonic() + 30
    while True:
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            return int(end)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def founded(kafka: str, database: str, folder: Path) -> Iterator[Installation]:
    """Topics, contracts and keys, and no worker yet.

    The database is empty before. Others use the same servers: this one has a prefix of its own.
    """
    token = token_hex(3)
    vendors = {kind: f"{kind}-{token}" for kind in KINDS}
    prefix = f"chaos-{token}"
    path = folder / "contracts.yaml"
    path.write_text(contracts(vendors))
    keys = asyncio.run(_found(kafka, database, path, vendors, prefix))
    with a_copy(database) as backup:
        yield Installation(kafka, database, prefix, vendors, keys, path, backup)


@contextmanager
def at_work(
    made: Installation, postgres: str, folder: Path, further: Mapping[str, str]
) -> Iterator[Stack]:
    """Two workers of each service under a supervisor, which reach Postgres at an address."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EARNBACK_KAFKA", made.kafka)
        environment.setenv("EARNBACK_POSTGRES", postgres)
        settings = {**PACE, "EARNBACK_PREFIX": made.prefix, **further}
        with stack(folder, workers=TWO_OF_EACH, environment=settings) as running:
            yield running


@contextmanager
def a_copy(database: str) -> Iterator[str]:
    """A copy of a database to which nobody is connected, on the same server."""
    name = urlsplit(database).path.removeprefix("/")
    copy = f"{name}_{token_hex(3)}"
    server = with_database(database, "postgres")
    asyncio.run(_execute(server, f'create database "{copy}" template "{name}"'))
    try:
        yield with_database(database, copy)
    finally:
        asyncio.run(_execute(server, f'drop database "{copy}" with (force)'))


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _found(
    kafka: str, database: str, path: Path, vendors: Mapping[str, str], prefix: str
) -> dict[str, str]:
    await prepare(kafka, database, prefix=prefix)
    await apply_files(Addresses(kafka, database, "", "", ""), [path])
    connection = await asyncpg.connect(database)
    try:
        for agreement in poisoned(vendors):
            await apply(connection, agreement)
        keys = {
            kind: await create(connection, party=vendor, role="vendor", label="test")
            for kind, vendor in vendors.items()
        }
        keys[BUYER] = await create(connection, party=BUYER, role="procurement", label="test")
    finally:
        await connection.close()
    return keys


def sequence(message: Any) -> int:
    """The number of a relayed record within its partition."""
    return int(dict(message.headers())["sequence"])


def cloud_event(message: Any) -> Any:
    """A record's value."""
    return json.loads(message.value())
