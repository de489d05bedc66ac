"""A database of the release before goes on under this one, and settles what it would have."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.migrations import FOLDER, migrate, migrations
from schemas.evaluation import PeriodEvaluation
from services.cli.verifying import verified
from services.core.events.facts import payload_before
from services.settlement.finance_events import DECLARED
from services.shell.outbox import declare
from services.shell.postgres import Connection, connect, open_pool
from tests.evaluator import builders
from tests.evaluator.bench import House as Evaluator
from tests.evaluator.builders import Event, a_programme, an_agreement, as_version_1, down, up
from tests.settlement.builders import an_agreement as a_priced_agreement
from tests.settlement.house import House as Settlement

LAST_BEFORE = "0022-proposals"
"""The newest migration of the release before."""

START = datetime(2025, 1, 10, 12, tzinfo=UTC)
JANUARY = [up(f"a{day}", START + timedelta(days=day)) for day in range(18)]
JANUARY[3] = down("a3", JANUARY[3].at)
LATE = down("late", START + timedelta(days=2, hours=1))
FEBRUARY = [up(f"b{day}", START + timedelta(days=31 + day)) for day in range(12)]
FEBRUARY[5] = down("b5", FEBRUARY[5].at)


@dataclass
class Services:
    """Evaluator and settlement over one database, as they are started."""

    evaluator: Evaluator
    settlement: Settlement

    async def settle(self, *events: Event, close: str, makes: int) -> None:
        """Apply events, close a period, and settle so many evaluations that follow."""
        await self.evaluator.send(events)
        await self.evaluator.ask_to_close("hosting", close)
        known = len(await self.evaluator.evaluations())
        for _ in range(20):
            await self.evaluator.look()
            made = [each["data"] for each in await self.evaluator.announced()]
            if len(made) == known + makes:
                break
        assert len(made) == known + makes
        for body in made[known:]:
            await self.settlement.settle(PeriodEvaluation.model_validate(body))


@asynccontextmanager
async def started(dsn: str) -> AsyncIterator[Services]:
    """The services over a database that has contracts."""
    pool = await open_pool(dsn, name="test")
    house = Evaluator(dsn, pool, await connect(dsn, name="test"))
    try:
        await house.claim()
        yield Services(house, Settlement(pool))
    finally:
        await house.close()


async def a_first_month(dsn: str) -> None:
    """Contracts, facts of January, its close and its statement."""
    levels = a_priced_agreement().model_dump(mode="json", exclude_unset=True)["levels"]
    house = await Evaluator.open(dsn, a_programme(), an_agreement(levels=levels))
    for topic in (DECLARED.settlements, DECLARED.ledger_entries):
        await declare(house.connection, topic, 2)
    await Services(house, Settlement(house.pool)).settle(*JANUARY, close="2025-01", makes=1)
    await house.close()


async def as_the_release_before_left_it(source: str, target: str, folder: Path) -> None:
    """Make the schema of the release before, with the rows of another database.

    What its tables do not have is left out: those it has hold the same in both.
    """
    for each in migrations():
        if each.name <= LAST_BEFORE:
            shutil.copytree(FOLDER / each.name, folder / each.name)
    await migrate(target, folder)
    there, here = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        await here.execute("set session_replication_role = replica")
        for table, columns, numbered in await here.fetch(_TABLES):
            rows = io.BytesIO()
            named = ", ".join(f'"{each}"' for each in columns)
            await there.copy_from_query(
                f"select {named} from {table}", output=rows, format="binary"
            )
            await here.execute(f"delete from {table}")
            rows.seek(0)
            if table == "fact_frame":
                await facts_as_they_were(there, here)
                continue
            await here.copy_to_table(table, source=rows, columns=columns, format="binary")
            for column in numbered or ():
                await here.execute(
                    f"select setval(pg_get_serial_sequence('{table}', '{column}'),"
                    f" (select coalesce(max({column}), 0) + 1 from {table}), false)"
                )
    finally:
        await there.close()
        await here.close()


async def facts_as_they_were(there: Connection, here: Connection) -> None:
    """Copy frames as the release before wrote them: their hashes of payloads have 64 bits."""
    frames = await there.fetch("select * from fact_frame")
    names = [name for name in dict(frames[0]) if name not in ("frame", "payloads")]
    await here.copy_records_to_table(
        "fact_frame",
        columns=[*names, "frame", "payloads"],
        records=[
            (
                *(each[name] for name in names),
                as_version_1(each["frame"]),
                b"".join(each["payloads"][at : at + 8] for at in range(0, 16 * each["n"], 16)),
            )
            for each in frames
        ],
    )


_TABLES = """
    select relname::text, array_agg(attname::text order by attnum),
           array_agg(attname::text) filter (where attidentity <> '')
      from pg_class join pg_attribute on attrelid = pg_class.oid
     where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0
       and not attisdropped and attgenerated = '' and relname <> 'schema_migration'
     group by relname
"""
_BOOKS = {
    "evaluation": "select agreement, period, revision, body from evaluation order by 1, 2, 3",
    "statement": "select agreement, period, revision, body from statement order by 1, 2, 3",
    "ledger": "select entry_id, period, owed_minor from ledger_entry order by position",
}


async def books(dsn: str) -> dict[str, list[dict[str, Any]]]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            name: [dict(row) for row in await connection.fetch(query)]
            for name, query in _BOOKS.items()
        }
    finally:
        await connection.close()


async def test_a_database_of_the_release_before_goes_on_and_settles_the_same(
    database: str, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(builders, "payload_of", payload_before)
        await a_first_month(database)
    await as_the_release_before_left_it(database, empty_database, tmp_path)
    before = await books(empty_database)
    added = await migrate(empty_database)
    assert added == [each.name for each in migrations() if each.name > LAST_BEFORE]
    assert await books(empty_database) == before, "a migration edits nothing"
    for dsn in (database, empty_database):
        async with started(dsn) as services:
            # What was sent before the upgrade comes again after it, as it was and changed.
            changed = up(JANUARY[3].id, JANUARY[3].at)
            await services.settle(*JANUARY[2:], *FEBRUARY, LATE, changed, close="2025-02", makes=2)
            (item,) = await services.evaluator.quarantine()
            assert (item["reason"], item["event_id"]) == ("conflict", JANUARY[3].id)
    after = await books(empty_database)
    assert after == await books(database)
    periods = [(row["period"], row["revision"]) for row in after["statement"]]
    assert periods == [("2025-01", 1), ("2025-01", 2), ("2025-02", 1)]
    assert all(row["owed_minor"] > 0 for row in after["ledger"])
    (found,) = [each async for each in verified(empty_database, (), facts=True)]
    assert found.difference is None
