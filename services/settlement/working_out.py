"""What an evaluation changes, worked out before the transaction that posts it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement
from services.core.exact.budget import OverBudget
from services.core.inputs.history import NotRead
from services.core.settling.checkpoints import Checkpoint
from services.core.settling.member import History
from services.core.settling.settlement import SettledTogether
from services.settlement import store
from services.settlement.replay import (
    NewStatement,
    digests,
    news,
    replayed,
    settled_otherwise,
)
from services.settlement.settling_inputs import OpenHistories, open_histories, read_terms
from services.settlement.store import SettlementTerms
from services.shell.postgres import Connection

Result = TypeVar("Result")

LOOKED_BACK = (16, 128)
"""So many of the latest checkpoints are read at first, so many where a period looks further back;
all of them where that is not enough."""


@dataclass(frozen=True, slots=True)
class PreparedSettlement:
    """What an evaluation comes to, for its agreement and all that share a cap with it.

    By agreement: ``told``, the statements that are to be posted; ``after``, the checkpoints of the
    periods that were worked out.
    """

    opened: OpenHistories
    found: SettledTogether
    told: Mapping[str, Sequence[NewStatement]]
    after: Mapping[str, Sequence[Checkpoint]]


async def work_out(
    connection: Connection, evaluation: PeriodEvaluation, *, seconds: float
) -> PreparedSettlement | None:
    """What an evaluation comes to if it is settled now; None where its agreement is not applied.

    ``connection``: in no transaction. Raises what settling the agreement fails for, OverBudget
    where it takes longer than so many seconds, and Overtaken.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        terms = await read_terms(connection, evaluation.agreement)
        if terms is None:
            return None
        opened = await open_histories(connection, terms, evaluation.agreement, evaluation)
    found = await settled_on(connection, evaluation.agreement, opened, seconds)
    found.of(evaluation.agreement)
    untouched = await _untouched(connection, opened, found, evaluation, seconds)
    told = await asyncio.to_thread(_told, found, untouched, opened)
    after = await asyncio.to_thread(opened.going_on.after, found)
    return PreparedSettlement(opened, found, told, after)


def _told(
    found: SettledTogether, untouched: Mapping[str, Collection[str]], opened: OpenHistories
) -> dict[str, list[NewStatement]]:
    """The statements to post, by agreement."""
    told = {}
    for name, outcome in found.outcomes.items():
        statements = (each for each in outcome if isinstance(each, SettlementStatement))
        touched = (each for each in statements if each.period not in untouched[name])
        told[name] = news(touched, opened.standing[name])
    return told


async def settled_on(
    connection: Connection, agreement: str, opened: OpenHistories, seconds: float | None
) -> SettledTogether:
    """What the open periods come to. What is left of earlier ones is read as far as they look.

    ``seconds``: as `within`. Raises OverBudget and Overtaken.
    """
    latest: int | None = LOOKED_BACK[0]
    circumstances: set[str] = set()
    while True:
        pasts = await opened.pasts(connection, latest, circumstances)
        furthest = (each.checkpoints[-1].looked_back + 1 for each in pasts.values())
        if latest is not None and latest < max(furthest, default=0) <= LOOKED_BACK[-1]:
            latest = LOOKED_BACK[-1]  # the period before looked back as far as this one will
            continue
        work = replayed(opened.contract, opened.histories(pasts), opened.ruling.programmes)
        try:
            return await within(work, seconds, about(agreement, opened.contract))
        except NotRead as wanted:
            if wanted.circumstance is None:
                latest = None if latest is None or latest >= LOOKED_BACK[-1] else LOOKED_BACK[-1]
            else:
                circumstances.add(wanted.circumstance)


async def _untouched(
    connection: Connection,
    opened: OpenHistories,
    found: SettledTogether,
    evaluation: PeriodEvaluation,
    seconds: float,
) -> Mapping[str, Collection[str]]:
    """The settled periods of each agreement that only today's rules settle otherwise.

    Older rules made what stands, and without the evaluation today's rules would come to the same
    as with it. Nothing of these is posted before a person orders it.
    """
    older = {
        name: settled_otherwise(outcome, opened.standing[name])
        for name, outcome in found.outcomes.items()
    }
    if not any(older.values()):
        return older
    histories = {
        name: History(
            opened.ruling.agreements[name],
            await store.evaluations(
                connection, name, without=evaluation if name == evaluation.agreement else None
            ),
        )
        for name in opened.contract.agreements
    }
    work = replayed(opened.contract, histories, opened.ruling.programmes)
    earlier = await within(work, seconds, about(evaluation.agreement, opened.contract))
    return {
        name: {
            period
            for period, _ in older[name].items() & digests(earlier.outcomes.get(name, ())).items()
        }
        for name in older
    }


def about(agreement: str, contract: SettlementTerms) -> str:
    """The agreement, and how many share a cap with it: their names are not for its vendor."""
    others = len(contract.agreements) - 1
    return f"{agreement} with {others} more that share a cap with it" if others else agreement


async def within(work: Coroutine[Any, Any, Result], seconds: float | None, what: str) -> Result:
    """What a piece of work comes to.

    ``what``: the agreements that it is about. Raises OverBudget after so many seconds, None:
    never; what was begun in a thread ends there by itself.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise OverBudget(
                f"settling {what} takes longer than {seconds:g} seconds; settle in longer periods, "
                "let fewer agreements share a cap, or raise EARNBACK_SETTLE_SECONDS"
            )
        return task.result()
    finally:
        task.cancel()
