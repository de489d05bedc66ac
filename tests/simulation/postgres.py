"""What stands in for asyncpg: pools, connections and transactions on the simulated database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.simulation.database import Session
from tests.simulation.loop import PROCESS
from tests.simulation.statements import Result


class Record:
    """A row, as asyncpg gives it: by name and by place, iterated by value."""

    __slots__ = ("_row",)

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row

    def keys(self) -> Any:
        return self._row.keys()

    def items(self) -> Any:
        return self._row.items()

    def __getitem__(self, name: str | int) -> Any:
        return [*self._row.values()][name] if isinstance(name, int) else self._row[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._row.values())

    def __len__(self) -> int:
        return len(self._row)


def gone() -> Exception:
    """What asyncpg raises where the server closed the connection in the middle."""
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


class Connection:
    """One connection of one process."""

    def __init__(self, world: Any, process: Any) -> None:
        self._world, self._process = world, process
        self.session = Session(process.name)
        self.closed = False
        self.reason: Exception | None = None
        """What a client hears next whose connection the server has closed."""
        self._asked: asyncio.Future[Any] | None = None

    async def _ask(self, what: str, run: Callable[[Callable[[Any], None]], None]) -> Any:
        """Send something, have the server do it at some later moment, and wait for its answer.

        What was sent is done though its sender dies meanwhile; an answer may be lost.
        """
        world = self._world
        await world.reach(self._process)
        if self.closed:
            raise self.reason or asyncpg.InterfaceError("connection is closed")
        answer: asyncio.Future[Any] = world.loop.create_future()
        self._asked = answer

        def answered(found: Any) -> None:
            world.note(self._process, "answer", f"{what}: {_said(found)}")
            world.loop.call_later(world.delay(), self._hear, answer, found)

        def arrived() -> None:
            if not self.session.over:
                run(answered)

        if world.cuts():
            self._cut(what, arrived)
        else:
            world.loop.at_server(world.delay(), arrived)
        try:
            found = await answer
        except asyncio.CancelledError:
            self.closed = True  # whether it is still done is a matter of chance, as it is in truth
            world.loop.at_server(world.delay(), world.database.leave, self.session)
            raise
        if isinstance(found, Exception):
            raise found
        return found

    def _cut(self, what: str, arrived: Callable[[], None]) -> None:
        """The connection breaks under a request: before it arrives, or before its answer does; and
        the server may see that only later, and do meanwhile what it was asked for."""
        world = self._world
        kind = world.chance.choice(("not arrived", "answer lost", "done late"))
        world.note(self._process, "cut", f"{what}: {kind}")
        late = world.chance.uniform(0.5, 3.0) if kind == "done late" else world.delay()

        def at_server() -> None:
            if kind != "not arrived":
                arrived()
            world.database.leave(self.session)

        world.loop.at_server(late, at_server)
        world.loop.call_later(world.delay(), self.break_off, gone(), False)

    def _hear(self, answer: asyncio.Future[Any], found: Any) -> None:
        if not answer.done():
            answer.set_result(found)

    def break_off(self, error: Exception, at_server: bool = True) -> None:
        """The connection is gone for its client; for the server too where that is said."""
        self.reason = error
        if at_server:
            self._world.database.leave(self.session)
            self.closed = True
        if self._asked is not None:
            self._hear(self._asked, error)
        self.closed = True

    async def _run(self, sql: str, args: tuple[Any, ...]) -> Result:
        world = self._world
        found = await self._ask(
            " ".join(sql.split())[:40],
            lambda answer: world.database.run(self.session, sql, args, world.now(), answer),
        )
        assert isinstance(found, Result)
        return found

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        return [Record(row) for row in (await self._run(sql, args)).rows]

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        rows = (await self._run(sql, args)).rows
        return Record(rows[0]) if rows else None

    async def fetchval(self, sql: str, *args: Any) -> Any:
        rows = (await self._run(sql, args)).rows
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, sql: str, *args: Any) -> str:
        return (await self._run(sql, args)).tag

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        assert not self.session.begun, "the protocol opens no transaction in another"
        self.session.begun = True  # seen with the first statement: `begin` alone does nothing
        try:
            yield
        except BaseException:
            if not self.closed:
                await self._end(commit=False)
            raise
        await self._end(commit=True)

    async def _end(self, *, commit: bool) -> None:
        def end(answer: Callable[[Any], None]) -> None:
            if not self.session.over:
                self._world.database.end(self.session, commit=commit)
                answer("done")

        await self._ask("commit" if commit else "rollback", end)

    async def close(self) -> None:
        self.closed = True
        self._world.database.leave(self.session)


class Pool:
    """A pool of at most four connections of one process."""

    def __init__(self, world: Any) -> None:
        self._world, self._process = world, PROCESS.get()
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(4)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        async with self._free:
            while self._idle and self._idle[-1].closed:
                self._idle.pop()
            connection = self._idle.pop() if self._idle else await dial(self._world)
            try:
                yield connection
            finally:
                if not connection.closed and not connection.session.begun:
                    self._idle.append(connection)
                elif not connection.closed:  # left by a task that was cancelled
                    await connection.close()

    async def fetch(self, sql: str, *args: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetch(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.execute(sql, *args)

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()


async def dial(world: Any) -> Connection:
    """A connection of the process that asks. Raises what asyncpg does while the server is away."""
    process = PROCESS.get()
    await world.reach(process)
    await asyncio.sleep(world.delay())
    if world.database_away:
        raise asyncpg.CannotConnectNowError("the database system is starting up")
    connection = Connection(world, process)
    world.connections.append(connection)
    return connection


def _said(found: Any) -> str:
    if isinstance(found, Result):
        return found.tag
    return type(found).__name__ if isinstance(found, Exception) else str(found)
