"""The stand-in answers as Postgres does: the same statements, on both, in random order.

Two sessions work at once. Where one waits for a lock of the other, it waits on both, and goes on to
the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from unittest.mock import patch

import asyncpg

from services.shell import outbox, progress, relay, taken_over
from services.shell.outbox import Outgoing
from services.shell.progress import PartitionClaim
from services.shell.settings import Settings
from services.shell.steps import Record
from services.shell.taken_over import OutputState
from tests.simulation import statements
from tests.simulation.database import Database, Session
from tests.simulation.handlers import Adder
from tests.simulation.postgres import Record as Row
from tests.simulation.statements import Result

ROUNDS = 60
OPERATIONS = 14
TOPICS = ("a", "b")
TABLES = """
    create table simulated_total (
        topic text, partition int, total bigint not null, primary key (topic, partition)
    );
    create table simulated_applied (topic text, partition int, at bigint, value bigint);
"""
CONTENT = {
    "progress": "app, topic, partition, epoch, next_offset, last_sequence, max_event_us",
    "outbox_head": "topic, partition, next_seq",
    "outbox": "topic, partition, seq, key, event_id, headers, body",
    "relay_lease": "topic, holder",
    "relay_position": "topic, partition, published_seq",
    "outbox_taken_over": "topic, event_id, partition, seq, digest",
    "simulated_total": "topic, partition, total",
    "simulated_applied": "topic, partition, at, value",
}

Operation = Callable[[Any], Awaitable[Any]]


class StandIn:
    """One session of the stand-in, as a connection."""

    def __init__(self, database: Database, used: set[str]) -> None:
        self._database, self._used, self._session = database, used, Session("test")

    async def _run(self, sql: str, args: tuple[Any, ...]) -> Result:
        self._used.add(" ".join(sql.split()))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._database.run(self._session, sql, args, time.time(), answer.set_result)
        found = await answer
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Result)
        return found

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        return [Row(row) for row in (await self._run(sql, args)).rows]

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None

    async def fetchval(self, sql: str, *args: Any) -> Any:
        row = await self.fetchrow(sql, *args)
        return None if row is None else row[0]

    async def execute(self, sql: str, *args: Any) -> str:
        return (await self._run(sql, args)).tag

    async def begin(self) -> None:
        self._session.begun = True

    async def end(self, *, commit: bool) -> None:
        self._database.end(self._session, commit=commit)


class Real:
    """One connection to Postgres, with the same words for a transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.fetch, self.fetchrow = connection.fetch, connection.fetchrow
        self.fetchval, self.execute = connection.fetchval, connection.execute
        self._transaction: Any = None

    async def begin(self) -> None:
        self._transaction = self._connection.transaction()
        await self._transaction.start()

    async def end(self, *, commit: bool) -> None:
        try:
            await (self._transaction.commit() if commit else self._transaction.rollback())
        except asyncpg.InFailedSQLTransactionError:
            await self._transaction.rollback()


class OnePool:
    """A pool of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.fetch, self.execute = connection.fetch, connection.execute
        self.fetchval = connection.fetchval

    @asynccontextmanager
    async def acquire(self) -> Any:
        yield self._connection


class EmptyLog:
    """A topic without records."""

    async def bounds(self, topic: str, partitions: list[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (0, 0))

    async def records(self, *_: Any) -> Any:
        for nothing in ():
            yield nothing


async def _no_tails(_: str, __: str, partitions: list[int], *___: Any) -> dict[int, None]:
    return dict.fromkeys(partitions)


def _relay(connection: Any, holder: str, seconds: float = 1000.0) -> relay.Relay:
    settings = Settings("relay", "unused:1", "", outbox_keep_hours=0)
    made = relay.Relay(settings, OnePool(connection), TOPICS, lease=seconds)
    made._holder = holder
    return made


def _claim(chance: Random) -> PartitionClaim:
    return PartitionClaim(
        "app", "a", chance.randrange(2), chance.randint(1, 3), chance.choice((0, 0, 3, 5))
    )


def _progress(chance: Random) -> Operation:
    held, new = _claim(chance), chance.choice((3, 5, 8))
    number, latest = chance.choice((None, 4)), chance.choice((None, 10, 20))
    first = {each: chance.choice((0, 0, 3)) for each in range(chance.randint(1, 2))}
    operations: list[Operation] = [
        lambda c: progress.claim(c, "app", "a", first),
        lambda c: progress.hold(c, held),
        lambda c: progress.advance(c, held, held.next_offset, new + 3, latest, number),
        lambda c: progress.has_moved(c, held, new),
        lambda c: progress.positions(c, "app"),
    ]
    return chance.choice(operations)


def _messages(chance: Random) -> list[Outgoing]:
    return [
        Outgoing(f"k{chance.randrange(4)}", str(chance.randrange(12)), b"x" * chance.randrange(9))
        for _ in range(chance.randint(1, 4))
    ]


def _outbox(chance: Random) -> Operation:
    topic, messages = chance.choice(TOPICS), _messages(chance)
    operations: list[Operation] = [
        lambda c: outbox.declare(c, topic, 2),
        lambda c: outbox.known_topics(c),
        *[lambda c: outbox.enqueue_many(c, topic, messages)] * 4,
    ]
    return chance.choice(operations)


def _relaying(chance: Random) -> Operation:
    topic, holder = chance.choice(TOPICS), chance.choice(("one", "other"))
    after, seconds = [chance.randrange(4) for _ in range(2)], chance.choice((-1000.0, 1000.0))
    most, size = chance.choice((2, 50)), chance.choice((5, 10_000))
    operations: list[Operation] = [
        lambda c: _relay(c, holder, seconds)._take_lease(topic),
        lambda c: c.execute(relay._RENEW, topic, holder, seconds),
        lambda c: _relay(c, holder)._give_back(topic),
        lambda c: _relay(c, holder)._recover(topic),
        lambda c: c.fetch(relay._NEXT, topic, [0, 1], after, most, size),
        lambda c: _noted(c, topic, after),
        lambda c: _relay(c, holder)._clean(topic),
    ]
    return chance.choice(operations)


async def _noted(connection: Any, topic: str, published: list[int]) -> Any:
    await outbox.declare(connection, topic, 2)
    return await connection.fetchval(relay._NOTE, topic, [0, 1], published)


def _taken_over(chance: Random) -> Operation:
    topic, published = chance.choice(TOPICS), chance.randint(1, 9)
    headers = (("sequence", b"%d" % published), ("event_id", b"%d" % chance.randrange(12)))
    record = Record(0, 0, b"k", b"{}", headers)
    state = OutputState(topic, chance.randrange(2), published - 1, 0, None, published, (record,))
    exact = chance.random() < 0.5

    async def insert(connection: Any) -> None:
        await outbox.declare(connection, topic, 2)
        await taken_over._insert(connection, state, record, exact)

    async def compare(connection: Any) -> Any:
        return await taken_over.compare(connection, EmptyLog(), list(TOPICS))  # type: ignore[arg-type]

    async def go_on(connection: Any) -> Any:
        await outbox.declare(connection, topic, 2)
        return await taken_over._go_on(connection, state)

    operations: list[Operation] = [
        insert,
        go_on,
        compare,
        lambda c: taken_over.not_reproduced(c, TOPICS),
    ]
    return chance.choice(operations)


def _handler(chance: Random) -> Operation:
    records = [Record(chance.randrange(9), 0, b"k", b"%d" % chance.randrange(9), ())]

    async def apply(connection: Any) -> None:
        adder = Adder("a", None, None)
        adder.totals = {0: 0} | await adder._stored(connection, [0])
        await adder.apply(connection, 0, records)

    return apply


def _name(operation: Operation) -> str:
    code: Any = operation.__code__  # type: ignore[attr-defined]
    return f"{code.co_name} in line {code.co_firstlineno}"


KINDS = (_progress, _progress, _outbox, _outbox, _relaying, _relaying, _taken_over, _handler)


async def _outcome(operation: Operation, connection: Any) -> Any:
    """What an operation gives, in a form that can be compared."""
    try:
        return _plain(await operation(connection))
    except (AssertionError, statements.UnknownStatement):
        raise
    except Exception as error:
        return type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, Row | asyncpg.Record):
        return _plain({name: each for name, each in value.items() if name != "recorded_at"})
    if isinstance(value, dict):
        return {
            name: json.loads(each) if name == "headers" and isinstance(each, str) else _plain(each)
            for name, each in value.items()
        }
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


class Both:
    """A session on each of the two, which must answer alike."""

    def __init__(self, real: Real, stand_in: StandIn) -> None:
        self.real, self.stand_in = real, stand_in
        self.open = False

    async def begin(self) -> None:
        self.open = True
        await self.real.begin()
        await self.stand_in.begin()

    async def end(self, *, commit: bool) -> None:
        self.open = False
        await self.real.end(commit=commit)
        await self.stand_in.end(commit=commit)

    def run(self, operation: Operation) -> tuple[asyncio.Task[Any], asyncio.Task[Any]]:
        return (
            asyncio.create_task(_outcome(operation, self.real)),
            asyncio.create_task(_outcome(operation, self.stand_in)),
        )


async def _waits(observer: Any, task: asyncio.Task[Any]) -> bool:
    """Whether what runs on Postgres waits for a lock, once it does one or the other."""
    while not task.done():
        if await observer.fetchval(
            "select exists (select from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock')"
        ):
            return True
        await asyncio.sleep(0)
    return False


async def _round(chance: Random, one: Both, other: Both, observer: Any) -> None:
    for _ in range(OPERATIONS):
        here, there = (one, other) if chance.random() < 0.5 else (other, one)
        if not here.open and chance.random() < 0.5:
            await here.begin()
        operation = chance.choice(KINDS)(chance)
        real, stand_in = here.run(operation)
        if await _waits(observer, real):
            for _ in range(20):
                await asyncio.sleep(0)
            assert not stand_in.done(), f"Postgres waits, the stand-in does not: {_name(operation)}"
            await there.end(commit=chance.random() < 0.5)
        found = await asyncio.wait_for(real, 10)
        await asyncio.wait({stand_in}, timeout=1)
        assert stand_in.done(), f"the stand-in waits, Postgres gives {found}: {_name(operation)}"
        assert stand_in.result() == found, _name(operation)
        if here.open and chance.random() < 0.4:
            await here.end(commit=chance.random() < 0.7)
    for each in (one, other):
        if each.open:
            await each.end(commit=chance.random() < 0.7)


async def _assert_same_content(observer: Any, database: Database) -> None:
    for table, columns in CONTENT.items():
        rows = [_plain(row) for row in await observer.fetch(f"select {columns} from {table}")]
        kept = [
            _plain({name: row[name] for name in columns.split(", ")})
            for row in database.tables[table].values()
        ]
        assert sorted(map(repr, rows)) == sorted(map(repr, kept)), table
    open_ones = await observer.fetchval(
        "select count(*) from outbox_taken_over where reproduced_at is null"
    )
    rows = database.tables["outbox_taken_over"].values()
    assert open_ones == sum(row["reproduced_at"] is None for row in rows)


async def test_the_stand_in_answers_as_postgres_does(database: str) -> None:
    connections = [await asyncpg.connect(database) for _ in range(3)]
    observer, used = connections[2], set[str]()
    await observer.execute(TABLES)
    try:
        with patch.object(relay, "committed_tails", _no_tails):
            for number in range(ROUNDS):
                stand_in = Database()
                await observer.execute(f"truncate {', '.join(CONTENT)} cascade")
                one, other = (
                    Both(Real(connection), StandIn(stand_in, used))
                    for connection in connections[:2]
                )
                await _round(Random(number), one, other, observer)
                await _assert_same_content(observer, stand_in)
    finally:
        for each in connections:
            await each.close()
    unheld = [
        pattern.pattern
        for pattern, _ in statements._KNOWN
        if not any(pattern.fullmatch(text) for text in used)
    ]
    assert not unheld, "statements that were never compared"
