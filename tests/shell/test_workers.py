"""What a worker keeps through kill, freeze and rebalance: every record applied once."""

import asyncio
import random
import signal
import time
from contextlib import suppress
from typing import Any

import httpx

from infra.processes import free_port
from services.shell.settings import Settings
from services.shell.steps import SEQUENCE
from tests.commit_proxy import deaf_after_commit
from tests.forked import PATIENCE, Forked
from tests.shell.bench_of_workers import ROOT, Bench, wait

PARTITIONS = 3


async def applied(connection: Any, topic: str) -> int:
    count: int = await connection.fetchval("select count(*) from test_seen where topic = $1", topic)
    return count


async def until_applied(
    connection: Any, topic: str, count: int, *children: Forked, seconds: float = PATIENCE
) -> None:
    deadline = time.monotonic() + seconds
    while await applied(connection, topic) < count:
        if time.monotonic() > deadline or all(each.returncode is not None for each in children):
            logs = "\n".join(f"--- {each.log.name}\n{each.tail(40)}" for each in children)
            raise AssertionError(
                f"{await applied(connection, topic)} of {count} applied in {seconds} s\n{logs}"
            )
        await asyncio.sleep(0.05)


async def told(what: str, child: Forked, words: str) -> None:
    """Wait until a process has logged something."""
    await asyncio.to_thread(wait, what, lambda: words in child.log.read_text(), PATIENCE, child)


async def assert_each_once(connection: Any, topic: str, count: int) -> None:
    """The facts, the running totals and the stored offsets all say: 0 .. count-1, once each."""
    values = [
        row["value"]
        for row in await connection.fetch(
            "select value from test_seen where topic = $1 order by value", topic
        )
    ]
    assert values == list(range(count))
    totals = {
        row["partition"]: row["total"]
        for row in await connection.fetch(
            "select partition, total from test_total where topic = $1", topic
        )
    }
    assert totals == {each: sum(range(each, count, PARTITIONS)) for each in range(PARTITIONS)}
    offsets = {
        row["partition"]: row["next_offset"]
        for row in await connection.fetch(
            "select partition, next_offset from progress where topic = $1", topic
        )
    }
    assert offsets == {each: len(range(each, count, PARTITIONS)) for each in range(PARTITIONS)}


async def test_a_worker_starts_at_the_stored_offset_and_stops_in_good_order(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    bench.produce(topic, range(60), PARTITIONS)
    await connection.execute(
        "insert into progress (app, topic, partition, epoch, next_offset)"
        " select $1, $2, p, 4, 7 from generate_series(0, 2) p",
        f"{bench.group}-adder",
        topic,
    )
    worker = bench.start("work", TEST_TOPIC=topic)
    await until_applied(connection, topic, 39, worker)
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0, worker.tail()
    rows = await connection.fetch("select at from test_seen order by at")
    assert sorted({row["at"] for row in rows}) == list(range(7, 20))
    epochs = await connection.fetch("select epoch, next_offset from progress")
    assert [tuple(row) for row in epochs] == [(5, 20)] * 3


async def test_five_kills_in_the_middle_leave_exact_sums(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    count = 2400
    bench.produce(topic, range(count), PARTITIONS)
    chance = random.Random(20261124)
    settings = {"TEST_TOPIC": topic, "TEST_MAX": "20"}
    for kill in range(5):
        # Slowly: enough must be left to be done after the last kill.
        worker = bench.start("work", **settings, TEST_PAUSE="0.05")
        before = await applied(connection, topic)
        await until_applied(connection, topic, before + 40 + chance.randrange(200), worker)
        worker.kill()
        assert await applied(connection, topic) < count, f"kill {kill} came too late to prove much"
        # The dead member is forgotten at once, or the next would wait for its session to end.
        await bench.forget_members()
    last = bench.start("work", **settings)
    await until_applied(connection, topic, count, last)
    await assert_each_once(connection, topic, count)


async def test_a_worker_that_is_killed_leaves_no_folder_behind(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.produce(topic, range(3), 1)
    temporary = bench.folder / "temporary"
    temporary.mkdir()
    worker = bench.start("work", TEST_TOPIC=topic, TMPDIR=str(temporary))
    await until_applied(connection, topic, 3, worker)
    worker.kill()
    assert list(temporary.iterdir()) == []
    assert list(ROOT.glob(f"{bench.group}*")) == []


async def test_dying_between_effect_and_commit_and_right_after_commit_counts_once(
    bench: Bench,
) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    bench.produce(topic, range(900), PARTITIONS)
    for point in ("step.before-commit:3", "step.after-commit:2"):
        worker = bench.start("work", TEST_TOPIC=topic, EARNBACK_FAULTPOINT=point)
        assert await asyncio.to_thread(worker.wait) == 137, worker.tail()
        await bench.forget_members()
    worker = bench.start("work", TEST_TOPIC=topic)
    await until_applied(connection, topic, 900, worker)
    await assert_each_once(connection, topic, 900)


async def test_a_frozen_worker_that_wakes_up_late_writes_nothing(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    count = 1200
    bench.produce(topic, range(count), PARTITIONS)
    # It spends nearly all its time between an effect and its commit, so that is where it freezes.
    frozen = bench.start("work", TEST_TOPIC=topic, TEST_MAX="40", TEST_PAUSE="0.4")
    await until_applied(connection, topic, 60, frozen)
    frozen.send(signal.SIGSTOP)
    other = bench.start("work", TEST_TOPIC=topic, TEST_MAX="20", TEST_PAUSE="0.03")
    await until_applied(connection, topic, 600, other, frozen)
    assert await connection.fetchval("select min(epoch) from progress") >= 2
    frozen.send(signal.SIGCONT)
    await until_applied(connection, topic, count, other, frozen)
    await assert_each_once(connection, topic, count)
    await told("a refusal", frozen, "not_ours")
    assert frozen.returncode is None, frozen.tail()


async def test_workers_that_come_and_go_leave_exact_sums(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    third = 500
    settings = {"TEST_TOPIC": topic, "TEST_MAX": "20", "TEST_PAUSE": "0.02"}
    # Each has work of its own: what is sent once the one before it has gone.
    bench.produce(topic, range(third), PARTITIONS)
    workers = [bench.start("work", **settings)]
    for number in range(1, 3):
        workers.append(bench.start("work", **settings))
        await until_applied(connection, topic, third * number - 300, *workers)
        leaving = workers.pop(0)
        leaving.send(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait) == 0, leaving.tail()
        bench.produce(topic, range(third * number, third * (number + 1)), PARTITIONS)
    await until_applied(connection, topic, 3 * third, *workers)
    await assert_each_once(connection, topic, 3 * third)
    assert await connection.fetchval("select max(epoch) from progress") >= 3


async def test_connections_cut_in_the_middle_of_steps_change_nothing(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    count = 1000
    bench.produce(topic, range(count), PARTITIONS)
    worker = bench.start("work", TEST_TOPIC=topic, TEST_MAX="20")
    for step in range(1, 8):
        await until_applied(connection, topic, step * 100, worker)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
            f"{bench.group}-adder",
        )
    await until_applied(connection, topic, count, worker)
    await assert_each_once(connection, topic, count)
    assert worker.returncode is None
    assert "database_away" in worker.log.read_text()


async def test_a_commit_whose_answer_is_lost_is_settled_by_reading_progress(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(PARTITIONS)
    count = 600
    bench.produce(topic, range(count), PARTITIONS)
    async with deaf_after_commit(bench.database, every=4) as (dsn, cuts):
        worker = bench.start("work", TEST_TOPIC=topic, TEST_MAX="20", EARNBACK_POSTGRES=dsn)
        await until_applied(connection, topic, count, worker)
        await asyncio.sleep(0.2)
        assert cuts() >= 4
        assert worker.returncode is None, worker.tail()
        assert "not_ours" not in worker.log.read_text()
    await assert_each_once(connection, topic, count)
    worker.kill()


async def test_one_worker_applies_several_topics(bench: Bench) -> None:
    connection = await bench.prepare()
    topics = [bench.topic(PARTITIONS), bench.topic(PARTITIONS)]
    for topic in topics:
        bench.produce(topic, range(300), PARTITIONS)
    worker = bench.start("work", TEST_TOPIC=",".join(topics))
    for topic in topics:
        await until_applied(connection, topic, 300, worker)
        await assert_each_once(connection, topic, 300)


async def test_a_hole_in_the_input_stops_the_worker_with_the_reason(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.produce(topic, range(5), 1)
    bench.delete_before(topic, 0, 3)
    await connection.execute(
        "insert into progress (app, topic, partition, epoch, next_offset) values ($1, $2, 0, 1, 1)",
        f"{bench.group}-adder",
        topic,
    )
    worker = bench.start("work", TEST_TOPIC=topic)
    assert await asyncio.to_thread(worker.wait) == 70, worker.tail()
    assert "input_lost" in worker.tail()
    assert await applied(connection, topic) == 0


async def test_a_record_that_cannot_be_applied_ends_the_process_and_is_not_skipped(
    bench: Bench,
) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.produce_raw(topic, [(b"1", ()), (b"not a number", ())])
    worker = bench.start("work", TEST_TOPIC=topic, TEST_MAX="1")
    assert await asyncio.to_thread(worker.wait) == 70, worker.tail()
    assert await connection.fetchval("select next_offset from progress") == 1


async def test_a_missing_sequence_is_read_again_and_then_taken_for_lost(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.produce_raw(
        topic,
        [(b"1", ((SEQUENCE, b"1"),)), (b"2", ((SEQUENCE, b"2"),)), (b"4", ((SEQUENCE, b"4"),))],
    )
    worker = bench.start(
        "work",
        TEST_TOPIC=topic,
        TEST_DENSE="sequence",
        TEST_REREAD_PAUSE="0.1",
        TEST_REREADS="1",
        TEST_MAX="1",
    )
    assert await asyncio.to_thread(worker.wait) == 70, worker.tail()
    assert "InputLost" in worker.tail(60)
    row = await connection.fetchrow("select next_offset, last_sequence from progress")
    assert tuple(row) == (2, 2)


async def test_aborted_records_are_not_applied_and_a_healthy_worker_shows_no_lag(
    bench: Bench,
) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.transaction(topic, [1, 2], commit=False)
    bench.transaction(topic, [3, 4], commit=True, first_sequence=1)
    bench.transaction(topic, [5, 6], commit=False)
    port = free_port()
    worker = bench.start(
        "work",
        TEST_TOPIC=topic,
        TEST_DENSE="sequence",
        EARNBACK_METRICS_PORT=str(port),
        EARNBACK_STALL="10",
    )
    await until_applied(connection, topic, 2, worker)
    assert await bench.get(port, "/livez") == (200, "alive")
    assert await bench.get(port, "/readyz") == (200, "ready")
    # The log ends with markers and aborted records: nothing that waits.
    await bench.shows(port, bench.lag(topic, 0))
    rows = await connection.fetch("select value from test_seen order by value")
    assert [row["value"] for row in rows] == [3, 4]
    assert await connection.fetchval("select last_sequence from progress") == 2


async def test_of_two_workers_on_one_partition_one_is_unready_and_says_why(bench: Bench) -> None:
    await bench.prepare()
    topic = bench.topic(1)
    ports = [free_port(), free_port()]
    for port in ports:
        bench.start("work", TEST_TOPIC=topic, EARNBACK_METRICS_PORT=str(port))
    idle = "partitions: no partition is owned: there are no more than other processes own"
    deadline, told = time.monotonic() + PATIENCE, []
    while sorted(told) != [(200, False), (503, True)]:
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.2)
        told = []
        for port in ports:
            with suppress(httpx.TransportError):  # not started yet
                status, text = await bench.get(port, "/readyz")
                told.append((status, idle in text))


async def test_a_worker_that_hangs_is_ended_by_its_watchdog(bench: Bench) -> None:
    connection = await bench.prepare()
    topic = bench.topic(1)
    bench.produce(topic, range(10), 1)
    worker = bench.start("work", TEST_TOPIC=topic, TEST_PAUSE="3600", EARNBACK_STALL="2")
    assert await asyncio.to_thread(worker.wait) == 70, worker.tail()
    assert "stands_still" in worker.tail()
    assert await applied(connection, topic) == 0


def test_the_name_in_the_progress_table_is_the_consumer_group() -> None:
    assert Settings("evaluator", "k:1", "postgresql://p", group="bank").app == "bank-evaluator"
