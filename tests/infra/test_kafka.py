"""The broker that the tests stand on keeps the promises that the services rest on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.embedded.kafka import EmbeddedKafka, KafkaError
from tests.ladder import Rung


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker that a test may kill."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


async def new_topic(kafka: str) -> str:
    """A topic of one partition under a name of its own."""
    name = f"test-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()
    return name


async def committed(kafka: str, topic: str, count: int) -> list[bytes]:
    """The first `count` values that a reader with read_committed gets."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        found: list[bytes] = []
        deadline = time.monotonic() + 60
        while len(found) < count and time.monotonic() < deadline:
            batches = await consumer.getmany(timeout_ms=200)
            found += [record.value for records in batches.values() for record in records]
        return found
    finally:
        await consumer.stop()


async def send(kafka: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def test_an_idempotent_producer_is_served(servers: Rung) -> None:
    topic = await new_topic(servers.kafka)
    await send(servers.kafka, topic, b"1", b"2", b"3")
    assert await committed(servers.kafka, topic, 3) == [b"1", b"2", b"3"]


async def test_what_a_transaction_aborted_is_never_read(servers: Rung) -> None:
    topic = await new_topic(servers.kafka)
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka, transactional_id=topic)
    await producer.start()
    try:
        for value, fails in ((b"kept", False), (b"aborted", True), (b"kept too", False)):
            try:
                async with producer.transaction():
                    await producer.send_and_wait(topic, value, partition=0)
                    if fails:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                assert fails
    finally:
        await producer.stop()
    assert await committed(servers.kafka, topic, 2) == [b"kept", b"kept too"]


async def test_a_topic_that_nobody_declared_does_not_appear(servers: Rung) -> None:
    name = f"never-{secrets.token_hex(4)}"
    with pytest.raises(Exception, match=r"(?i)unknown|timeout|not.*found"):
        await send_within(servers.kafka, name, 2_000)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    try:
        assert name not in await admin.list_topics()
    finally:
        await admin.close()


async def send_within(kafka: str, topic: str, milliseconds: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, request_timeout_ms=milliseconds)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"lost")
    finally:
        await producer.stop()


async def test_a_killed_broker_comes_back_with_its_data_at_its_address(
    broker: EmbeddedKafka,
) -> None:
    address, topic = broker.bootstrap, await new_topic(broker.bootstrap)
    await send(address, topic, b"before")
    pid = broker.pid
    broker.kill()
    broker.start()
    assert broker.pid != pid
    assert broker.bootstrap == address
    await send(address, topic, b"after")
    assert await committed(address, topic, 2) == [b"before", b"after"]


async def test_a_stopped_broker_keeps_its_data(broker: EmbeddedKafka) -> None:
    topic = await new_topic(broker.bootstrap)
    await send(broker.bootstrap, topic, b"before")
    broker.stop()
    broker.start()
    assert await committed(broker.bootstrap, topic, 1) == [b"before"]


def test_a_second_broker_over_the_same_folder_is_refused(broker: EmbeddedKafka) -> None:
    with pytest.raises(KafkaError, match="something listens there already"):
        EmbeddedKafka(broker.data_dir).start()


def test_a_broker_that_can_not_start_says_why(tmp_path: Path) -> None:
    broken = EmbeddedKafka(tmp_path, heap_mb=1)
    with pytest.raises(KafkaError, match="log says"):
        broken.start()
