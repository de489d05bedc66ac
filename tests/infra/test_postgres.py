"""The embedded Postgres: durable, private, and there again after a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from infra.embedded.postgres import EmbeddedPostgres, PostgresError
from infra.embedded.unprivileged import reachable
from tests.infra.waiting import alive


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that a test may kill."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


async def fetch(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("max_connections", "100"),
        ("shared_buffers", "128MB"),
        ("listen_addresses", "127.0.0.1"),
        ("server_encoding", "UTF8"),
    ],
)
async def test_it_is_set_up_to_keep_what_it_promised(
    postgres: EmbeddedPostgres, setting: str, value: str
) -> None:
    assert await fetch(postgres.dsn, f"show {setting}") == value


async def test_a_wrong_password_is_turned_away(postgres: EmbeddedPostgres) -> None:
    password = (postgres.data_dir / "password").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await fetch(postgres.dsn.replace(password, "guess"), "select 1")


def test_only_its_owner_reads_the_password(postgres: EmbeddedPostgres) -> None:
    assert (postgres.data_dir / "password").stat().st_mode & 0o077 == 0


def test_it_never_runs_as_root(postgres: EmbeddedPostgres) -> None:
    assert psutil.Process(postgres.pid).uids().effective != 0


async def test_a_killed_server_comes_back_with_what_was_committed(
    postgres: EmbeddedPostgres,
) -> None:
    dsn, pid = postgres.dsn, postgres.pid
    await fetch(dsn, "create table kept as select 42 as answer")
    postgres.kill()
    postgres.start()
    assert postgres.pid != pid
    assert postgres.dsn == dsn
    assert await fetch(dsn, "select answer from kept") == 42


async def test_a_killed_server_comes_back_though_a_process_of_it_lives_a_little_longer(
    postgres: EmbeddedPostgres,
) -> None:
    left = psutil.Process(postgres.pid).children()[0]
    left.suspend()
    threading.Timer(1.5, left.resume).start()
    postgres.kill()
    postgres.start()
    assert not alive(left.pid)
    assert await fetch(postgres.dsn, "select 1") == 1


async def test_stopping_waits_for_nobody(postgres: EmbeddedPostgres) -> None:
    held = await asyncpg.connect(postgres.dsn)
    postgres.stop()
    assert held.is_closed() or await closes(held)
    postgres.start()
    assert await fetch(postgres.dsn, "select 1") == 1


async def closes(connection: asyncpg.Connection) -> bool:
    """Whether the server has ended the connection."""
    try:
        await connection.fetchval("select 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return True
    return False


def test_a_folder_that_only_its_owner_may_enter_is_told_from_an_open_one(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    assert not reachable(closed / "data")
    assert reachable(Path("/bin/sh"))


def test_a_folder_that_was_left_half_made_is_not_taken_for_a_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(PostgresError, match=r"half made.*remove the folder"):
        EmbeddedPostgres(tmp_path).start()


def test_a_second_server_over_the_folder_is_told_in_a_sentence(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.processes.ORPHAN_SECONDS", 0.2)
    with pytest.raises(PostgresError, match=r"something listens there already.*stop it first$"):
        EmbeddedPostgres(postgres.data_dir).start()
