"""What leaves through the outbox: each record once, in order, without holes, whatever dies."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Producer

from services.shell import relay as relay_module
from services.shell.logs import correlated
from services.shell.outbox import Outgoing, declare, enqueue, enqueue_many, partition_of
from services.shell.postgres import open_pool
from services.shell.relay import MAX_REQUEST_BYTES, OutboxBroken, Relay, committed_tails
from services.shell.settings import Settings
from tests.forked import PATIENCE, Forked
from tests.shell.bench_of_workers import Bench, wait

PARTITIONS = 2


def settings_of(bench: Bench, **more: Any) -> Settings:
    return Settings("relay", bench.kafka, bench.database, group=bench.group, **more)


async def until_published(
    connection: Any, topic: str, rows: int, *children: Forked, seconds: float = PATIENCE
) -> None:
    deadline = time.monotonic() + seconds
    while True:
        done = await connection.fetchval(
            "select coalesce(sum(published_seq), 0)::bigint from relay_position where topic = $1",
            topic,
        )
        if done >= rows:
            return
        logs = "\n".join(f"--- {each.log.name}\n{each.tail(30)}" for each in children)
        assert time.monotonic() < deadline, f"{done} of {rows} published\n{logs}"
        await asyncio.sleep(0.05)


def assert_each_once(found: dict[int, list[tuple[int, str]]], count: int) -> None:
    """Every partition reads 1, 2, 3 ... and together they hold every event id once."""
    for partition, records in found.items():
        numbers = [number for number, _ in records]
        assert numbers == list(range(1, len(records) + 1)), f"partition {partition}"
    ids = sorted(int(event) for records in found.values() for _, event in records)
    assert ids == list(range(count))


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fill(connection: Any, topic: str, first: int, end: int) -> None:
    async with connection.transaction():
        await enqueue_many(
            connection,
            topic,
            [Outgoing(f"k{each % 7}", str(each), b"%d" % each) for each in range(first, end)],
        )


async def test_numbers_follow_commit_order_without_holes_when_transactions_race(
    bench: Bench,
) -> None:
    connection = await bench.prepare(("out", PARTITIONS))
    pool = await asyncpg.create_pool(bench.database, min_size=8, max_size=8)

    async def one(number: int) -> None:
        async with pool.acquire() as held:
            transaction = held.transaction()
            await transaction.start()
            await enqueue(held, "out", f"k{number % 5}", str(number), b"{}")
            await asyncio.sleep(0.001 * (number % 3))
            # Every fourth gives up: its number must not be missing afterwards.
            await (transaction.rollback() if number % 4 == 0 else transaction.commit())

    await asyncio.gather(*[one(number) for number in range(200)])
    for partition in range(PARTITIONS):
        numbers = [
            row["seq"]
            for row in await connection.fetch(
                "select seq from outbox where partition = $1 order by seq", partition
            )
        ]
        assert numbers == list(range(1, len(numbers) + 1))
        head = await connection.fetchval(
            "select next_seq from outbox_head where partition = $1", partition
        )
        assert head == len(numbers) + 1
    assert await connection.fetchval("select count(*) from outbox") == 150
    await pool.close()


async def test_a_relay_killed_again_and_again_publishes_each_number_once(bench: Bench) -> None:
    topic = bench.topic(PARTITIONS)
    connection = await bench.prepare((topic, PARTITIONS))
    chance = random.Random(7)
    points = ["relay.before-commit:2", "relay.after-publish:1", "", "relay.before-commit:1", ""]
    count = 0
    for point in points:
        await fill(connection, topic, count, count + 900)
        count += 900
        relay = bench.start("relay", TEST_OUTPUT=topic, TEST_LEASE="0.5", EARNBACK_FAULTPOINT=point)
        if point:
            assert await asyncio.to_thread(relay.wait) == 137, relay.tail()
        else:
            await asyncio.sleep(0.8 + chance.random())
            relay.kill()
    last = bench.start("relay", TEST_OUTPUT=topic, TEST_LEASE="0.5")
    await until_published(connection, topic, count, last)
    assert_each_once(bench.read_committed(topic, PARTITIONS), count)


async def test_a_relay_frozen_past_its_lease_is_fenced_by_the_second(bench: Bench) -> None:
    topic = bench.topic(PARTITIONS)
    connection = await bench.prepare((topic, PARTITIONS))
    # So long that it does not look at its lease when it wakes, but publishes: it must be refused.
    first = bench.start("relay", TEST_OUTPUT=topic, TEST_LEASE="600")
    await fill(connection, topic, 0, 500)
    await until_published(connection, topic, 500, first)
    first.send(signal.SIGSTOP)
    await connection.execute("update relay_lease set expires_at = clock_timestamp()")
    await fill(connection, topic, 500, 1000)
    second = bench.start("relay", TEST_OUTPUT=topic, TEST_LEASE="1")
    await until_published(connection, topic, 1000, second)
    # Rows wait for it when it wakes: it still believes that it holds the topic.
    second.send(signal.SIGSTOP)
    await fill(connection, topic, 1000, 1500)
    first.send(signal.SIGCONT)
    await asyncio.to_thread(
        wait, "a refusal", lambda: "relay_begins_anew" in first.log.read_text(), PATIENCE, first
    )
    second.send(signal.SIGCONT)
    await until_published(connection, topic, 1500, first, second)
    assert_each_once(bench.read_committed(topic, PARTITIONS), 1500)


async def test_a_relay_that_takes_long_keeps_its_lease(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    pool = await open_pool(bench.database, name="test")
    other = Relay(settings_of(bench), pool, [topic], lease=0.6)
    until = "select expires_at from relay_lease where topic = $1"
    async with connection.transaction():
        # Where it finds its place it waits for this, for longer than its lease.
        await connection.execute("lock table outbox_head in access exclusive mode")
        async with running(Relay(settings_of(bench), pool, [topic], lease=0.6)):
            seen = {None}
            while len(seen) < 5:
                seen.add(await pool.fetchval(until, topic))
                assert not (len(seen) > 1 and await other._take_lease(topic))
                await asyncio.sleep(0.05)
    await pool.close()


async def test_a_relay_goes_on_from_its_own_note_where_retention_emptied_the_topic(
    bench: Bench,
) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    pool = await open_pool(bench.database, name="test")
    await fill(connection, topic, 0, 10)
    async with running(Relay(settings_of(bench), pool, [topic], lease=1)):
        await until_published(connection, topic, 10)
    bench.delete_before(topic, 0, -1)
    assert await committed_tails(bench.kafka, topic, [0]) == {0: None}
    # It gave its lease back when it was cancelled, so the next one need not wait.
    assert await connection.fetchval("select count(*) from relay_lease") == 0
    await fill(connection, topic, 10, 20)
    async with running(Relay(settings_of(bench), pool, [topic], lease=1)):
        await until_published(connection, topic, 20)
    found = bench.read_committed(topic, 1)
    assert [number for number, _ in found[0]] == list(range(11, 21))
    await pool.close()


async def test_a_relay_stops_where_the_outbox_has_a_hole(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    pool = await open_pool(bench.database, name="test")
    await fill(connection, topic, 0, 10)
    await connection.execute("delete from outbox where seq = 4")
    with pytest.raises(ExceptionGroup) as raised:
        await Relay(settings_of(bench), pool, [topic], lease=1).run()
    assert raised.group_contains(OutboxBroken, match="the next number is 4")
    await pool.close()


async def test_a_relay_stops_when_the_database_is_older_than_the_topic(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    pool = await open_pool(bench.database, name="test")
    await fill(connection, topic, 0, 10)
    async with running(Relay(settings_of(bench), pool, [topic], lease=1)):
        await until_published(connection, topic, 10)
    await connection.execute("delete from outbox where seq > 5")
    await connection.execute("update outbox_head set next_seq = 6")
    with pytest.raises(ExceptionGroup) as raised:
        await Relay(settings_of(bench), pool, [topic], lease=1).run()
    assert raised.group_contains(OutboxBroken, match="the database is older than the topic")
    await pool.close()


async def test_records_published_by_the_relay_are_consumed_by_their_sequence(bench: Bench) -> None:
    """The whole way: a worker's outbox, a relay that dies, and a worker that reads its topic."""
    source, middle = bench.topic(2), bench.topic(PARTITIONS)
    connection = await bench.prepare((middle, PARTITIONS))
    bench.produce(source, range(1000), 2)
    first = bench.start("work", TEST_TOPIC=source, TEST_OUTPUT=middle)
    second = bench.start("work", TEST_TOPIC=middle, TEST_SERVICE="second", TEST_DENSE="sequence")
    relay = bench.start(
        "relay", TEST_OUTPUT=middle, TEST_LEASE="0.5", EARNBACK_FAULTPOINT="relay.before-commit:2"
    )
    assert await asyncio.to_thread(relay.wait) == 137, relay.tail()
    relay = bench.start("relay", TEST_OUTPUT=middle, TEST_LEASE="0.5")
    deadline = time.monotonic() + PATIENCE
    query = "select value from test_seen where topic = $1 order by value"
    while len(rows := await connection.fetch(query, middle)) < 1000:
        assert time.monotonic() < deadline, "\n".join(
            each.tail() for each in (first, second, relay)
        )
        await asyncio.sleep(0.1)
    assert [row["value"] for row in rows] == list(range(1000))


async def test_published_rows_go_after_the_time_kept_and_others_stay(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    pool = await open_pool(bench.database, name="test")
    await fill(connection, topic, 0, 10)
    await connection.execute("update outbox set recorded_at = now() - interval '9 hours'")
    await connection.execute("insert into relay_position values ($1, 0, 6)", topic)
    await Relay(settings_of(bench, outbox_keep_hours=8), pool, [topic])._clean(topic)
    rows = await connection.fetch("select seq from outbox order by seq")
    assert [row["seq"] for row in rows] == [7, 8, 9, 10]
    await pool.close()


async def test_the_correlation_of_the_work_travels_with_the_record(bench: Bench) -> None:
    connection = await bench.prepare(("out", 1))
    with correlated("trace-1"):
        await enqueue(connection, "out", "k", "e1", b"{}", {"content-type": "text/plain"})
    headers = await connection.fetchval("select headers from outbox")
    assert headers == '{"content-type": "text/plain", "correlation_id": "trace-1"}'


async def test_the_number_of_partitions_of_a_topic_is_for_ever(bench: Bench) -> None:
    connection = await bench.prepare(("out", 3))
    await declare(connection, "out", 3)
    with pytest.raises(ValueError, match="the number cannot change"):
        await declare(connection, "out", 2)
    with pytest.raises(LookupError, match="declare it first"):
        await enqueue(connection, "unheard-of", "k", "e", b"{}")


def test_a_key_finds_the_partition_that_other_kafka_clients_choose(bench: Bench) -> None:
    topic = bench.topic(5)
    keys = [f"vendor-{number}" for number in range(40)] + ["ACME", "Köln", "x" * 37]
    chosen: dict[str, int] = {}
    producer = Producer({"bootstrap.servers": bench.kafka, "partitioner": "murmur2"})
    for key in keys:
        producer.produce(
            topic,
            b"",
            key,
            on_delivery=lambda _, message, key=key: chosen.update({key: message.partition()}),
        )
    assert producer.flush(30) == 0
    assert {key: partition_of(key, 5) for key in keys} == chosen


async def test_partitions_take_turns_in_what_is_read_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies of all partitions together are bounded, but for one that is larger by itself."""
    monkeypatch.setattr(relay_module, "MAX_BYTES", 100)
    connection = await bench.prepare(("out", PARTITIONS))
    bodies = {1: [200, 10, 10], 0: [30, 30, 30, 30]}
    keys = {partition_of(f"k{each}", PARTITIONS): f"k{each}" for each in range(9)}
    for partition, sizes in bodies.items():
        await enqueue_many(
            connection,
            "out",
            [Outgoing(keys[partition], f"{partition}-{n}", bytes(s)) for n, s in enumerate(sizes)],
        )
    async with asyncpg.create_pool(bench.database, min_size=1, max_size=1) as pool:
        relay = Relay(settings_of(bench), pool, ["out"])
        read = []
        positions = {0: 0, 1: 0}
        while rows := await relay._next_rows("out", positions):
            read.append([(row["partition"], row["seq"]) for row in rows])
            positions |= {row["partition"]: row["seq"] for row in rows}
    assert read == [[(1, 1)], [(0, 1), (0, 2), (1, 2), (1, 3)], [(0, 3), (0, 4)]]


async def test_a_record_as_large_as_is_allowed_is_published_and_holds_nobody_up(
    bench: Bench,
) -> None:
    topic = bench.topic(1, **{"max.message.bytes": str(MAX_REQUEST_BYTES)})
    connection = await bench.prepare((topic, 1))
    # Digits at random do not shrink, so that the broker sees the size as well.
    large = random.Random(1).randbytes(12 * 1024 * 1024)
    pool = await open_pool(bench.database, name="test")
    async with running(Relay(settings_of(bench), pool, [topic], lease=0.5)):
        async with connection.transaction():
            bodies = [b"before", large, b"after"]
            await enqueue_many(
                connection, topic, [Outgoing("k", str(n), body) for n, body in enumerate(bodies)]
            )
        await until_published(connection, topic, 3)
    await pool.close()
    assert_each_once(bench.read_committed(topic, 1), 3)
