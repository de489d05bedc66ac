"""Evaluations that cannot be settled are parked, and tried again when contracts or release change.

A new evaluation of the agreement tries again by itself: it settles all of the agreement's periods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from services.catalogue.parked import WorkFailure, WorkItem, input_digest, park, show_parked
from services.catalogue.revision import revision
from services.core.settling.settlement import FailedAgreement
from services.shell.logs import correlated_if_alone, log, stack_of
from services.shell.postgres import Connection, Pool, is_of_the_work, is_transient

LOOK_SECONDS = 2.0
"""Between two looks whether the catalogue has moved; one cheap query."""

Retry = Callable[[Connection, str, str], Awaitable[None]]
"""Settle an agreement's period once more, in a transaction of its own; raises as it failed."""


async def contract_digest(connection: Connection, agreement: str) -> str:
    """The digest of the versions that an agreement is settled by, and of this release."""
    rows = await connection.fetch(
        "with own as (select programme from agreement_version where agreement = $1 limit 1)"
        " select 'p' as kind, programme as name, version, sha256 from programme_version"
        "  where programme in (select programme from own)"
        " union all select 'a', agreement, version, sha256 from agreement_version"
        "  where programme in (select programme from own)"
        " order by kind, name, version",
        agreement,
    )
    return input_digest(*[(row["name"], row["version"], row["sha256"].hex()) for row in rows])


async def park_evaluation(
    connection: Connection, agreement: str, period: str, error: Exception
) -> None:
    """Park the evaluation of an agreement's period."""
    item = WorkItem("evaluation", agreement=agreement, period=period)
    tried = await contract_digest(connection, agreement)
    await park(connection, "settlement", item, WorkFailure.of(error), tried)


async def park_failed(
    connection: Connection, failed: Mapping[str, FailedAgreement], period: str
) -> None:
    """Park agreements that failed while another one was settled; those that are parked stay so.

    ``period``: what was settled, in place of one that a failure does not name.
    """
    for name, one in failed.items():
        if not await is_parked(connection, name):
            await park_evaluation(connection, name, one.period or period, one.error)


async def is_parked(connection: Connection, agreement: str, period: str | None = None) -> bool:
    """Whether the evaluation of an agreement's period, or of any, is parked."""
    found: bool = await connection.fetchval(
        "select exists (select from parked_work where resolved_at is null"
        " and service = 'settlement' and what = 'evaluation'"
        " and agreement = $1 and ($2::text is null or period = $2))",
        agreement,
        period,
    )
    return found


async def watch(pool: Pool, retry: Retry, *, every: float = LOOK_SECONDS) -> None:
    """Try parked evaluations again whenever the catalogue has moved, and at the start."""
    seen: int | None = None
    while True:
        try:
            async with pool.acquire() as connection:
                now = await revision(connection)
                if now != seen:
                    await try_again(connection, retry)
                seen = now
                await show_parked(connection, "settlement")
        except Exception as error:
            if not is_transient(error):
                raise
            log(__name__).warning("parked_not_looked_at", error=repr(error))
        await asyncio.sleep(every)


async def try_again(connection: Connection, retry: Retry) -> None:
    """Settle once more what was parked under other contract versions, or by another release."""
    rows = await connection.fetch(
        "select agreement, period, input from parked_work where resolved_at is null"
        " and service = 'settlement' and what = 'evaluation' order by number"
    )
    for row in rows:
        agreement, period = row["agreement"], row["period"]
        if await contract_digest(connection, agreement) == row["input"]:
            continue
        await _once_more(connection, agreement, period, retry)


async def _once_more(connection: Connection, agreement: str, period: str, retry: Retry) -> None:
    with correlated_if_alone("evaluation"):
        await _settled_or_parked(connection, agreement, period, retry)


async def _settled_or_parked(
    connection: Connection, agreement: str, period: str, retry: Retry
) -> None:
    try:
        await retry(connection, agreement, period)
    except Exception as error:
        if not is_of_the_work(error):
            raise
        told = {"agreement": agreement, "period": period, "traceback": stack_of(error)}
        log(__name__).error("settling_failed", **told)
        await park_evaluation(connection, agreement, period, error)
