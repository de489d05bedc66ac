"""A second fresh database, for tests that compare two."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator

import asyncpg
import pytest

from infra.migrations import migrate
from tests.conftest import with_database
from tests.ladder import Rung


@pytest.fixture
def other_database(servers: Rung) -> Iterator[str]:
    """DSN of another fresh, migrated database."""
    name = f"earnback_other_{secrets.token_hex(4)}"
    dsn = with_database(servers.postgres, name)

    async def make() -> None:
        await _execute(servers.postgres, f'create database "{name}"')
        await migrate(dsn)

    _beside(make)
    yield dsn
    _beside(lambda: _execute(servers.postgres, f'drop database "{name}" with (force)'))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _beside(work: object) -> None:
    """Run a coroutine function in a thread, beside the loop of the test."""
    thread = threading.Thread(target=lambda: asyncio.run(work()))  # type: ignore[operator]
    thread.start()
    thread.join()
