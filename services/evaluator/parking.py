"""What the evaluator has parked: periods that cannot be counted, and contracts left out."""

from __future__ import annotations

from services.catalogue.parked import park
from services.catalogue.snapshot import Catalogue
from services.evaluator.evaluation_store import AgreementPeriod
from services.shell.postgres import Connection


async def tried_with(connection: Connection) -> dict[AgreementPeriod, str]:
    """The parked periods, each with the digest of what it failed with.

    An empty period stands for an agreement whose periods cannot be told.
    """
    rows = await connection.fetch(
        "select agreement, period, input from parked_work where resolved_at is null"
        " and service = 'evaluator' and what = 'close'"
    )
    return {(row["agreement"], row["period"]): row["input"] for row in rows}


async def park_unreadable(connection: Connection, catalogue: Catalogue) -> None:
    """Park the contracts that the catalogue leaves out, each once; resolve those it reads again."""
    async with connection.transaction():
        known = {
            (row["programme"], row["agreement"]): row["input"]
            for row in await connection.fetch(
                "select programme, agreement, input from parked_work where resolved_at is null"
                " and service = 'evaluator' and what in ('programme', 'agreement')"
            )
        }
        for one in catalogue.unreadable:
            if known.pop((one.item.programme, one.item.agreement), None) != one.tried:
                await park(connection, "evaluator", one.item, one.failure, one.tried)
        for programme, agreement in known:
            await connection.execute(
                "update parked_work set resolved_at = clock_timestamp() where resolved_at is null"
                " and service = 'evaluator' and what in ('programme', 'agreement')"
                " and programme = $1 and agreement = $2",
                programme,
                agreement,
            )
