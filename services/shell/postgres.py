"""Connections to Postgres, and which of its errors pass if one waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg

from services.shell.logs import log

Connection = Any
"""An asyncpg connection, its own or a pool's. asyncpg ships no types."""
Pool = Any

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
GIVE_UP_AFTER = 300.0
"""Seconds of retrying before the caller hears of it. Longer than a failover, shorter than a
night."""

IDLE = 15
"""Seconds that a transaction may stand open without a statement."""


def _session(name: str, idle: int) -> dict[str, str]:
    return {
        "application_name": name[:63],
        # A process frozen in the middle of a transaction holds locks that its successor needs.
        "idle_in_transaction_session_timeout": f"{idle}s",
        "lock_timeout": "60s",
        # Of a machine that is gone nothing closes the connection, and its locks would stay.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "timezone": "UTC",
    }


_TRANSIENT_STATES = (
    "08",  # connection exceptions
    "40",  # serialization failure, deadlock, statement completion unknown
    "53",  # out of connections, memory or disk
    "57",  # shutdown, crash, still starting, cancelled
    "55P03",  # lock not available
    "25P03",  # idle in transaction too long: this process was frozen
)


async def open_pool(
    dsn: str, *, name: str, size: int = 4, idle: int = IDLE, role: str | None = None
) -> Pool:
    """Open a pool of at most `size` connections, named so that operators can tell whose they are.

    `idle` is how long, in seconds, a transaction may wait for its next statement: a process that
    is frozen in one keeps its successor waiting so long; one that computes in one must be faster.
    `role`: which the sessions take on, in place of the one that logs in; that has to be a member.
    """
    settings = _session(name, idle) | ({"role": role} if role is not None else {})
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        timeout=10,
        command_timeout=120,
        server_settings=settings,
    )


async def connect(dsn: str, *, name: str) -> Connection:
    """Open one connection, for a caller that holds it for long. It is the caller's to close."""
    return await asyncpg.connect(
        dsn,
        timeout=10,
        command_timeout=120,
        server_settings=_session(name, IDLE),
    )


class NotReached(RuntimeError):
    """No connection to Postgres. The text says where, why, and what to check."""


@asynccontextmanager
async def connected(dsn: str, *, name: str) -> AsyncIterator[Connection]:
    """One connection for a while, for somebody who waits for it; closed at the end.

    Raises NotReached.
    """
    try:
        connection = await connect(dsn, name=name)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotReached(
            f"Postgres{_where(dsn)} is not reached: {str(error) or 'no answer in time'}; "
            "check EARNBACK_POSTGRES"
        ) from error
    except ValueError as error:  # its text may quote a part of the password
        raise NotReached(
            f"Postgres{_where(dsn)} is not reached: the address can't be read, perhaps for a sign "
            "like / or [ that is to be written as %2F or %5B; check EARNBACK_POSTGRES"
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


def _where(dsn: str) -> str:
    """The place in an address, without the name and password that stand before it."""
    place, _, rest = dsn.partition("://")[2].partition("/")
    if "@" in rest or not place:  # a password with a stroke in it: we can't tell where it ends
        return ""
    return f" at {place.rpartition('@')[2]}"


class Overtaken(Exception):
    """What was worked out before a transaction no longer fits what is there: work it out again."""


def is_transient(error: BaseException) -> bool:
    """Tell whether the same work may succeed later: the server is away, busy, or chose us as a
    deadlock's victim; or somebody was faster."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", "") or "")
        return state.startswith(_TRANSIENT_STATES)
    if isinstance(error, asyncpg.InterfaceError):
        # A connection that went away under us, but not a pool that we are closing ourselves.
        return "connection" in str(error) and ("clos" in str(error) or "released" in str(error))
    if isinstance(error, asyncpg.InternalClientError):
        # A connection cut while the pool takes it back leaves the driver in two states at once. The
        # pool throws that connection away; progress tells whether the commit was in time.
        return "another operation" in str(error)
    return isinstance(error, OSError | TimeoutError | asyncio.IncompleteReadError | Overtaken)


_OF_THE_WORK = (
    "22",  # a value that does not fit: out of range, not text
    "23",  # a rule of the tables that the work breaks
    "54",  # larger than the server takes
    "P0",  # raised by a trigger of ours
)


def is_of_the_work(error: BaseException) -> bool:
    """Tell whether what failed is the piece of work at hand, so that other work can go on.

    Everything is but what the servers and the process itself are to blame for: a connection that
    is gone, a transaction chosen as a victim, a table that is not there, a claim that was lost.
    """
    if not isinstance(error, Exception) or is_transient(error):
        return False
    if isinstance(error, asyncpg.PostgresError):
        return str(getattr(error, "sqlstate", "") or "").startswith(_OF_THE_WORK)
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return isinstance(error, ValueError)  # an argument that the driver cannot write
    return not isinstance(error, Fenced)


class Fenced(Exception):
    """Somebody else owns the work by now: it is being taken care of."""


async def attempts(what: str, *, give_up_after: float = GIVE_UP_AFTER) -> AsyncIterator["Attempt"]:
    """Yield attempts with growing pauses until one is done. Work that fails for good raises its
    own error.

    async for attempt in attempts("apply"):
        with attempt:
            ...            # a transient error in here leads to another attempt
            attempt.done()
    """
    started, pause, number = monotonic(), FIRST_PAUSE, 0
    while True:
        attempt = Attempt(what, number, last=monotonic() - started > give_up_after)
        yield attempt
        if attempt.succeeded:
            return
        await asyncio.sleep(pause)
        pause, number = min(pause * 2, LONGEST_PAUSE), number + 1


class Attempt:
    """One try at work on the database; swallows what is transient, unless it was the last try."""

    def __init__(self, what: str, number: int, *, last: bool) -> None:
        self.what, self.number, self.last = what, number, last
        self.succeeded = False

    def done(self) -> None:
        """Say that the work is finished. Without it the loop goes on."""
        self.succeeded = True

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or self.last or not is_transient(error):
            return False
        log(__name__).warning(
            "overtaken" if isinstance(error, Overtaken) else "database_away",
            doing=self.what,
            attempt=self.number,
            error=repr(error),
        )
        return True
