"""Migrations: each once, in order, never edited."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from infra.migrations import FOLDER, MigrationError, migrate, migrations
from tests.conftest import with_database
from tests.ladder import Rung


@pytest.fixture
async def empty(servers: Rung) -> AsyncIterator[str]:
    """DSN of an empty database."""
    name = f"earnback_empty_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(servers.postgres)
    try:
        await connection.execute(f'create database "{name}"')
        yield with_database(servers.postgres, name)
        await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


def folder(path: Path, **steps: str) -> Path:
    """A folder of migrations: name with underscores -> SQL."""
    for name, sql in steps.items():
        step = path / name.removeprefix("m").replace("_", "-")
        step.mkdir(exist_ok=True)
        (step / "up.sql").write_text(sql)
    return path


async def value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_ours_are_numbered_without_gaps_and_each_says_why() -> None:
    found = migrations()
    assert found, "no migration found"
    assert [int(each.name[:4]) for each in found] == list(range(1, len(found) + 1))
    for each in found:
        assert (FOLDER / each.name / "why.md").read_text().strip(), f"{each.name} has no reason"


def test_a_gap_in_the_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="0003-third: expected 0002"):
        migrations(folder(tmp_path, m0001_first="select 1", m0003_third="select 1"))


def test_two_with_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="0001-b: expected 0002"):
        migrations(folder(tmp_path, m0001_a="select 1", m0001_b="select 1"))


async def test_ours_applied_twice_change_nothing_the_second_time(empty: str) -> None:
    assert await migrate(empty) == [each.name for each in migrations()]
    assert await migrate(empty) == []


async def test_what_was_applied_is_recorded_with_its_checksum(empty: str) -> None:
    await migrate(empty)
    first = migrations()[0]
    found = await value(empty, "select sha256 from schema_migration order by name limit 1")
    content = (FOLDER / first.name / "up.sql").read_bytes()
    assert found == hashlib.sha256(content).hexdigest()


async def test_a_file_that_changed_after_it_was_applied_is_refused(
    empty: str, tmp_path: Path
) -> None:
    await migrate(empty, folder(tmp_path, m0001_first="create table t (a int)"))
    folder(tmp_path, m0001_first="create table t (a bigint)", m0002_next="create table u ()")
    with pytest.raises(MigrationError, match=r"0001-first: up\.sql changed after it was applied"):
        await migrate(empty, tmp_path)
    assert await value(empty, "select to_regclass('u')") is None


async def test_a_database_newer_than_the_program_is_refused(empty: str, tmp_path: Path) -> None:
    await migrate(empty, folder(tmp_path, m0001_first="select 1", m0002_second="select 1"))
    older = tmp_path / "older"
    older.mkdir()
    with pytest.raises(MigrationError, match="0002-second: applied to this database but not known"):
        await migrate(empty, folder(older, m0001_first="select 1"))


async def test_one_that_fails_leaves_nothing_of_the_others(empty: str, tmp_path: Path) -> None:
    steps = folder(tmp_path, m0001_good="create table t (a int)", m0002_bad="select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, steps)
    assert await value(empty, "select to_regclass('t')") is None


async def test_two_runners_at_the_same_time_apply_each_once(empty: str) -> None:
    applied = await asyncio.gather(migrate(empty), migrate(empty), migrate(empty))
    assert sorted(name for names in applied for name in names) == [
        each.name for each in migrations()
    ]


async def test_each_test_gets_a_fresh_migrated_database(database: str) -> None:
    count = await value(database, "select count(*) from schema_migration")
    assert count == len(migrations())
