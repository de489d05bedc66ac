"""Reads records of given partitions without any group: for commands, while no worker runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.shell.broker import NONE, Security, for_aiokafka, parted
from services.shell.steps import Record

PATIENCE = 30.0
"""Seconds without a record that should be there."""
FETCH_WAIT_MS = 20
"""So long the broker may hold a fetch that finds nothing. What else is asked on the same
connection waits behind it."""


class LogReader:
    """Committed records, by partition and offset."""

    def __init__(self, consumer: AIOKafkaConsumer, dial: Mapping[str, Any]) -> None:
        """``dial``: the options by which a client finds the broker."""
        self._consumer, self._dial = consumer, dial

    async def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions.

        Raises:
            LookupError: there is no such topic.
        """
        admin = AIOKafkaAdminClient(**self._dial)
        try:
            await admin.start()
            (found,) = await admin.describe_topics([topic])
        finally:
            await parted(admin.close())
        if not found["partitions"]:
            raise LookupError(f"topic {topic} is not there: run 'earnback prepare'")
        return sorted(each["partition"] for each in found["partitions"])

    async def bounds(self, topic: str, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """The first offset that the log has, and the one after its last, of each partition."""
        places = [TopicPartition(topic, each) for each in partitions]
        first = await self._consumer.beginning_offsets(places)
        end = await self._consumer.end_offsets(places)
        return {place.partition: (first[place], end[place]) for place in places}

    async def records(
        self, topic: str, partition: int, first: int, end: int
    ) -> AsyncIterator[list[Record]]:
        """The records from one offset up to another, that one excluded, in batches.

        Raises:
            TimeoutError: the broker does not give them.
        """
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, first)
        heard = monotonic()
        while await self._consumer.position(place) < end:
            found = (await self._consumer.getmany(place, timeout_ms=500)).get(place, [])
            batch = [
                Record(each.offset, each.timestamp, each.key, each.value, tuple(each.headers))
                for each in found
                if each.offset < end
            ]
            if batch:
                yield batch
            if found:
                heard = monotonic()
            elif monotonic() - heard > PATIENCE:
                raise TimeoutError(f"{topic}-{partition} could not be read from {first} to {end}")


@asynccontextmanager
async def log_reader(kafka: str, security: Security = NONE) -> AsyncIterator[LogReader]:
    """A reader, closed at the end."""
    dial = for_aiokafka(kafka, security)
    consumer = AIOKafkaConsumer(
        **dial,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    try:
        yield LogReader(consumer, dial)
    finally:
        await parted(consumer.stop())
