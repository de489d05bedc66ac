"""A database older than its topics: what they hold is taken over, and goes out once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.shell.log_reader import log_reader
from services.shell.outbox import AlreadyPublished, Outgoing, enqueue_many
from services.shell.postgres import open_pool
from services.shell.relay import Relay
from services.shell.steps import InputLost
from services.shell.taken_over import compare, not_reproduced, take_over
from tests.shell.bench_of_workers import Bench
from tests.shell.test_outbox import assert_each_once, running, settings_of, until_published


def _message(number: int, *, time: str = "09:00", said: str = "as it was") -> Outgoing:
    body = {"id": number, "time": time, "data": said}
    return Outgoing("k", str(number), json.dumps(body).encode(), {"of": "test"})


async def _published(bench: Bench, connection: Any, topic: str, rows: int) -> None:
    pool = await open_pool(bench.database, name="test")
    async with running(Relay(settings_of(bench), pool, [topic], lease=0.5)):
        await until_published(connection, topic, rows)
    await pool.close()


async def _enqueued(connection: Any, topic: str, *messages: Outgoing) -> None:
    async with connection.transaction():
        await enqueue_many(connection, topic, messages)


async def _gone_back(connection: Any, topic: str, number: int) -> None:
    """Make the database what it was when it had given out so many numbers."""
    await connection.execute("delete from outbox where topic = $1 and seq > $2", topic, number)
    await connection.execute(
        "update outbox_head set next_seq = $2 + 1 where topic = $1", topic, number
    )
    await connection.execute("update relay_position set published_seq = $1", number)
    await connection.execute("delete from relay_lease")


async def test_what_was_published_after_the_backup_is_taken_over_and_not_published_twice(
    bench: Bench,
) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    await _enqueued(connection, topic, *map(_message, range(5)))
    await _published(bench, connection, topic, 5)
    await _gone_back(connection, topic, 2)
    async with log_reader(bench.kafka) as reader:
        (state,) = await compare(connection, reader, [topic])
        assert (state.given_out, state.published, len(state.further)) == (2, 5, 3)
        assert await take_over(connection, [state], [topic]) == 3
        (state,) = await compare(connection, reader, [topic])
        assert (state.given_out, state.noted, state.further, state.lost) == (5, 5, (), None)
    left = await not_reproduced(connection, [topic])
    assert [(each.sequence, each.event_id) for each in left] == [(3, "2"), (4, "3"), (5, "4")]
    assert left[0].headers == {"content-type": "application/json", "of": "test"}

    with pytest.raises(AlreadyPublished, match="published after the backup"):
        await _enqueued(connection, topic, _message(3, said="otherwise"))
    # Worked out again, at another time, and one more.
    again = [_message(number, time="10:00") for number in (4, 3, 2, 5)]
    await _enqueued(connection, topic, *again)
    assert await not_reproduced(connection, [topic]) == []
    await _published(bench, connection, topic, 6)
    assert_each_once(bench.read_committed(topic, 1), 6)


async def test_what_may_be_said_otherwise_is_told_once_all_the_same(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    await _enqueued(connection, topic, _message(0))
    await _published(bench, connection, topic, 1)
    await _gone_back(connection, topic, 0)
    async with log_reader(bench.kafka) as reader:
        await take_over(connection, await compare(connection, reader, [topic]), exact=())
    await _enqueued(connection, topic, _message(0, said="otherwise"))
    assert await connection.fetchval("select next_seq from outbox_head") == 2


async def test_a_topic_that_lacks_what_the_outbox_has_forgotten_is_told(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    await _enqueued(connection, topic, *map(_message, range(3)))
    await _published(bench, connection, topic, 3)
    await connection.execute("update outbox_head set next_seq = 10")
    await connection.execute("delete from outbox")
    async with log_reader(bench.kafka) as reader:
        (state,) = await compare(connection, reader, [topic])
        assert state.lost == (4, 9)
        await connection.execute(
            "insert into outbox select $1, 0, n, 'k', n::text, '{}', ''"
            " from generate_series(4, 9) n",
            topic,
        )
        (state,) = await compare(connection, reader, [topic])
        assert state.lost is None, "the relay publishes them"


async def test_records_of_somebody_else_are_not_taken_over(bench: Bench) -> None:
    topic = bench.topic(1)
    connection = await bench.prepare((topic, 1))
    bench.transaction(topic, [1, 2], commit=True, first_sequence=3)
    async with log_reader(bench.kafka) as reader:
        with pytest.raises(InputLost, match="lacks records after sequence 0"):
            await compare(connection, reader, [topic])
