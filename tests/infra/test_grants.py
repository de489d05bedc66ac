"""What each service may do in the database is listed once, and is no more than it needs."""

from __future__ import annotations

import re

import asyncpg
import pytest

from infra.logins import service_logins
from infra.migrations import GRANTS

LISTED = GRANTS.read_text(encoding="utf-8")
ROLES = ("earnback_ingest", "earnback_evaluator", "earnback_settlement", "earnback_relay")
WRITES = "insert", "update", "delete"

MAY_WRITE = {
    "earnback_ingest": {
        "intake_refusal",
        "refusal_count",
        "refusal_read",
        "four_eyes_request",
        "four_eyes_done",
        "answer_sender",
        "audit_entry",
        "outbox",
        "outbox_head",
        "outbox_taken_over",
    },
    "earnback_relay": {"outbox", "relay_lease", "relay_position"},
    "earnback_party": set(),
}
MAY_NOT_READ = {
    "earnback_ingest": {"statement", "ledger_entry", "evaluation", "dispute", "seal_key"},
    "earnback_evaluator": {"statement", "ledger_entry", "dispute", "seal_key"},
    "earnback_settlement": {"fact_frame", "tally", "close_request", "source_latest"},
    "earnback_relay": {"statement", "ledger_entry", "fact_frame", "api_key", "intake_refusal"},
    "earnback_party": {"api_key", "seal_key", "fact_frame", "outbox", "agreement_version"},
}
NOT_WRITTEN_BY = {
    "earnback_evaluator": {"statement", "ledger_entry", "agreement_version", "api_key"},
    "earnback_settlement": {"fact_frame", "evaluation", "programme_version", "api_key"},
}


async def _tables(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "select relname from pg_class join pg_namespace n on n.oid = relnamespace"
        " where nspname = 'public' and relkind in ('r', 'v')"
    )
    return {row["relname"] for row in rows}


async def _may(connection: asyncpg.Connection, role: str, table: str, right: str) -> bool:
    return bool(
        await connection.fetchval("select has_table_privilege($1, $2, $3)", role, table, right)
    )


@pytest.fixture
async def connection(database: str) -> asyncpg.Connection:
    made = await asyncpg.connect(database)
    yield made
    await made.close()


async def test_every_table_is_in_the_list(connection: asyncpg.Connection) -> None:
    tables = await _tables(connection)
    assert [each for each in tables if not re.search(rf"\b{each}\b", LISTED)] == []


async def test_each_role_writes_and_reads_what_it_needs_and_no_more(
    connection: asyncpg.Connection,
) -> None:
    tables = await _tables(connection)
    for role, listed in MAY_WRITE.items():
        written = {
            table
            for table in tables
            for right in WRITES
            if await _may(connection, role, table, right)
        }
        assert written == listed, role
    for role, hidden in MAY_NOT_READ.items():
        assert not [each for each in hidden if await _may(connection, role, each, "select")], role
    for role, kept in NOT_WRITTEN_BY.items():
        for table in kept:
            assert not [each for each in WRITES if await _may(connection, role, table, each)], table


@pytest.mark.parametrize("role", [*ROLES, "earnback_party"])
async def test_no_role_owns_changes_or_empties_a_table_or_passes_row_security(
    connection: asyncpg.Connection, role: str
) -> None:
    for table in await _tables(connection):
        assert not await _may(connection, role, table, "truncate"), table
    row = await connection.fetchrow("select * from pg_roles where rolname = $1", role)
    for right in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolbypassrls"):
        assert not row[right], right
    assert not await connection.fetchval(
        "select has_schema_privilege($1, 'public', 'create')", role
    )
    await connection.execute(f"set role {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("alter table ledger_entry disable row level security")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("drop trigger ledger_entry_is_append_only on ledger_entry")


async def test_each_service_logs_in_with_the_rights_of_its_role_alone(database: str) -> None:
    addresses = await service_logins(database, ("ingest", "settlement"))
    again = await service_logins(database, ("ingest", "settlement"))
    assert addresses["ingest"] != again["ingest"], "a new password"
    ingest = await asyncpg.connect(again["ingest"])
    settlement = await asyncpg.connect(
        again["settlement"], server_settings={"role": "earnback_party"}
    )
    try:
        assert await ingest.fetch("select from fact_frame") == []
        for refused in ("select from ledger_entry", "set role earnback_party", "set role earnback"):
            with pytest.raises(asyncpg.PostgresError):
                await ingest.execute(refused)
        assert await settlement.fetch("select from ledger_entry") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await settlement.execute("select from seal_key")
    finally:
        await ingest.close()
        await settlement.close()
