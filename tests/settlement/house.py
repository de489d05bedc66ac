"""A database with a programme and agreements in it, and a settler to hand evaluations to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from services.catalogue.store import apply
from services.settlement.consumer import Settler
from services.settlement.finance_events import DECLARED, SettlementTopics
from services.shell.outbox import declare
from services.shell.postgres import Pool, attempts, open_pool
from services.shell.steps import Record
from tests.settlement.builders import a_programme, a_record, an_agreement

PARTITIONS = 2


@dataclass
class House:
    """What a test of settlement stands on."""

    pool: Pool
    settler: Settler = field(default_factory=Settler)
    offset: int = 0

    async def settle(self, *evaluations: PeriodEvaluation) -> None:
        """Apply evaluations, each in a transaction of its own."""
        for evaluation in evaluations:
            await self.apply(a_record(evaluation, offset=self.offset))
            self.offset += 1

    async def apply(self, *records: Record) -> None:
        """Apply records as the shell's steps do: what is prepared together, in one transaction."""
        while records:
            async for attempt in attempts("apply"):
                with attempt:
                    taken = await self.settler.prepare(self.pool, records)
                    async with self.pool.acquire() as connection, connection.transaction():
                        applied = await self.settler.apply(connection, 0, records[:taken])
                    attempt.done()
            if applied.committed is not None:
                applied.committed()
            records = records[taken:]

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        return [dict(row) for row in await self.pool.fetch(query, *arguments)]

    async def owed(self, period: str, agreement: str = "hosting") -> int:
        """What is booked for a period, in minor units; positive: the vendor owes."""
        return int(
            await self.pool.fetchval(
                "select coalesce(sum(owed_minor), 0)::bigint from ledger_entry"
                " where agreement = $1 and period = $2",
                agreement,
                period,
            )
        )


@asynccontextmanager
async def a_house(
    dsn: str,
    agreements: Sequence[Agreement] | None = None,
    *,
    programme: Programme | None = None,
    topics: SettlementTopics = DECLARED,
) -> AsyncIterator[House]:
    """A house over a fresh database: the agreements given, else one of each of two vendors."""
    pool = await open_pool(dsn, name="house", size=4)
    try:
        async with pool.acquire() as connection:
            await declare(connection, topics.settlements, PARTITIONS)
            await declare(connection, topics.ledger_entries, PARTITIONS)
            await apply(connection, programme or a_programme())
            for agreement in agreements or (
                an_agreement("hosting", vendor="nimbus"),
                an_agreement("network", vendor="cirrus"),
            ):
                await apply(connection, agreement)
        yield House(pool, Settler(topics))
    finally:
        await pool.close()
