"""A small table-backed stand-in for Postgres: transactions at read committed, row locks, sessions.

What a statement does is in `statements`; `test_database` holds both against a real Postgres.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg

from tests.simulation.statements import Result, statement

Key = tuple[Any, ...]
Place = tuple[str, Key]


class _Blocked(Exception):
    def __init__(self, place: Place) -> None:
        self.place = place


class Session:
    """One connection's end at the server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun = self.failed = self.over = False
        self.writes: dict[Place, dict[str, Any] | None] = {}
        self.locks: list[Place] = []
        self.waits_for: Session | None = None


class Transaction:
    """What one statement sees and changes."""

    def __init__(self, database: Database, session: Session, now: float) -> None:
        self._database, self._session, self.now = database, session, now

    def row(self, table: str, *key: Any) -> dict[str, Any] | None:
        """The row of a key as it is seen now."""
        writes = self._session.writes
        if (table, key) in writes:
            return writes[table, key]
        return self._database.tables[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[Key, dict[str, Any]]]:
        """All rows of a table as they are seen now."""
        seen = dict(self._database.tables[table])
        for (name, key), row in self._session.writes.items():
            if name == table:
                if row is None:
                    seen.pop(key, None)
                else:
                    seen[key] = row
        return iter(seen.items())

    def lock(self, table: str, *key: Any) -> None:
        """Hold a row, or the key of one that is not there yet, until the transaction ends.

        To be called for all that a statement changes before it changes anything: where another
        holds it, the statement waits and begins anew.
        """
        if table not in self._database.at_once:
            self._database.lock(self._session, (table, key))

    def put(self, table: str, key: Key, row: dict[str, Any]) -> None:
        """Write a row."""
        self.lock(table, *key)
        if table in self._database.at_once:
            self._database.tables[table][key] = row
        else:
            self._session.writes[table, key] = row

    def remove(self, table: str, key: Key) -> None:
        """Remove a row."""
        self.lock(table, *key)
        self._session.writes[table, key] = None

    def number(self) -> int:
        """A number of its own for a row without a key."""
        self._database.given_out += 1
        return self._database.given_out


TABLES = (
    "progress",
    "outbox_head",
    "outbox",
    "relay_lease",
    "relay_position",
    "outbox_taken_over",
    "simulated_total",
    "simulated_applied",
)


class Database:
    """Tables, and who holds which row."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, dict[str, Any]]] = {name: {} for name in TABLES}
        self.given_out = 0
        self.at_once: set[str] = set()
        """Tables whose changes hold at once and without a lock, as those of a sequence do: for a
        guard that is taken out."""
        self.committed: Callable[[Session, dict[Place, dict[str, Any] | None]], None]
        self.committed = lambda session, writes: None
        """Told of each commit before it is seen by others."""
        self._locks: dict[Place, Session] = {}
        self._waiting: dict[Place, deque[Callable[[], None]]] = {}

    def lock(self, session: Session, place: Place) -> None:
        """Raises _Blocked, or DeadlockDetectedError where the holder waits for this session."""
        holder = self._locks.setdefault(place, session)
        if holder is session:
            if place not in session.locks:
                session.locks.append(place)
            return
        each: Session | None = holder
        while each is not None:
            if each is session:
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            each = each.waits_for
        raise _Blocked(place)

    def run(
        self,
        session: Session,
        sql: str,
        args: tuple[Any, ...],
        now: float,
        answer: Callable[[Result | Exception], None],
    ) -> None:
        """Run a statement; the answer comes when the locks that it needs are free."""
        if session.over:
            return
        if session.failed:
            answer(asyncpg.InFailedSQLTransactionError("current transaction is aborted"))
            return
        session.waits_for = None
        try:
            result = statement(sql)(Transaction(self, session, now), *args)
        except _Blocked as blocked:
            session.waits_for = self._locks[blocked.place]
            self._waiting.setdefault(blocked.place, deque()).append(
                lambda: self.run(session, sql, args, now, answer)
            )
            return
        except asyncpg.PostgresError as error:
            session.failed = True
            if not session.begun:
                self.end(session, commit=False)
            answer(error)
            return
        if not session.begun:
            self.end(session, commit=True)
        answer(result)

    def end(self, session: Session, *, commit: bool) -> None:
        """Commit or roll back, and let those go on who waited."""
        writes, locks = session.writes, session.locks
        session.begun, failed, session.failed = False, session.failed, False
        session.writes, session.locks, session.waits_for = {}, [], None
        if commit and not failed:
            self.committed(session, writes)
            for (table, key), row in writes.items():
                if row is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = row
        waiting: list[Callable[[], None]] = []
        for place in locks:
            del self._locks[place]
            waiting += self._waiting.pop(place, ())
        for go_on in waiting:
            go_on()

    def leave(self, session: Session) -> None:
        """The connection is gone: what was not committed is rolled back."""
        if not session.over:
            session.over = True
            self.end(session, commit=False)

    def snapshot(self) -> Any:
        """All that is committed, as a backup holds it."""
        return copy.deepcopy(self.tables)

    def restore(self, tables: Any) -> None:
        """Put a backup in place of all. No session may be open."""
        assert not self._locks, "a database is restored while nobody uses it"
        self.tables = copy.deepcopy(tables)
