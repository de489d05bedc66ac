"""`earnback prepare`: what it says before it does anything, and what it leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_hex

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from infra.migrations import FOLDER, MigrationError
from services.cli.prepare import RELAYED, prepare
from tests.cli.conftest import Shell
from tests.conftest import with_database
from tests.ladder import Rung


def _rows(dsn: str, query: str) -> list[asyncpg.Record]:
    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    return asyncio.run(ask())


def _topics(kafka: str, prefix: str) -> dict[str, int]:
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    return {
        name.removeprefix(f"{prefix}."): len(topic.partitions)
        for name, topic in topics.items()
        if name.startswith(f"{prefix}.")
    }


def test_a_dry_run_says_all_that_a_run_then_does_and_changes_nothing(
    servers: Rung, empty_database: str, tmp_path: Path
) -> None:
    prefix = f"p{token_hex(4)}"
    told = {"KAFKA": servers.kafka, "POSTGRES": empty_database, "PREFIX": prefix}
    shell = Shell(tmp_path, {f"EARNBACK_{name}": value for name, value in told.items()})
    dry = shell.run("prepare", "--dry-run")
    assert dry.code == 0
    migrations = sorted(path.name for path in FOLDER.iterdir())
    for wanted in (
        f"role {prefix}_earnback_ingest: to be created",
        *(f"migration {name}: to be applied" for name in migrations),
        *(f"{prefix}.{name}: to be created with 4 partitions, 1 copies" for name in RELAYED),
    ):
        assert wanted in dry.out.splitlines()
    assert _topics(servers.kafka, prefix) == {}
    assert _rows(empty_database, "select from pg_class where relname = 'schema_migration'") == []
    assert _rows(empty_database, f"select from pg_roles where rolname like '{prefix}%'") == []
    done = shell.run("prepare")
    assert done.code == 0
    assert done.out == dry.out.replace("to be ", "")
    assert (shell.run("prepare", "--dry-run").out, shell.run("prepare").out) == ("", "")
    _grow(servers.kafka, f"{prefix}.settlements", 5)
    for options in ([], ["--dry-run"]):
        left = shell.run("prepare", *options)
        assert (left.code, left.out) == (3, "")
        assert f"{prefix}.settlements: left with 5 partitions instead of 4: the outbox" in left.err


def _grow(kafka: str, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)


def test_roles_that_cannot_be_made_are_told_before_anything_is(
    servers: Rung, empty_database: str
) -> None:
    prefix, login = f"p{token_hex(4)}", f"poor_{token_hex(4)}"
    name = empty_database.rpartition("/")[2]
    _rows(empty_database, f"create role {login} login password 'p'")
    _rows(empty_database, f'grant all on database "{name}" to {login}')
    try:
        place = servers.postgres.rpartition("@")[2]
        dsn = with_database(f"postgresql://{login}:p@{place}", name)
        for dry_run in (True, False):
            with pytest.raises(MigrationError, match="may not make roles"):
                asyncio.run(prepare(servers.kafka, dsn, prefix=prefix, dry_run=dry_run))
        assert _topics(servers.kafka, prefix) == {}
    finally:
        _rows(empty_database, f"drop owned by {login}")
        _rows(empty_database, f"drop role {login}")
