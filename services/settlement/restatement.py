"""Periods that today's rules would settle otherwise: found by looking, posted by order only."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import SettlementRun
from schemas.statement import RULES, SettlementStatement
from services.catalogue.parked import WorkFailure, WorkItem, park, resolve
from services.core.books.ledger import owed
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome
from services.core.whatif.restatement import HeldDifference, held_difference
from services.settlement import gauges, store
from services.settlement.effective_versions import read_effective_versions
from services.settlement.finance_events import Posting, SettlementTopics
from services.settlement.parking import contract_digest
from services.settlement.replay import news, postings, replayed
from services.shell.logs import log
from services.shell.postgres import Connection, Pool, is_of_the_work, is_transient

WATCH_SECONDS = 3600.0
"""Between two counts of what is held: it changes with releases, facts and orders only."""


class NothingToRestate(ValueError):
    """An order that would post nothing. The text says why and what can be ordered."""


@dataclass(frozen=True, slots=True)
class RestatementOrder:
    """What a person orders. ``periods``: empty for all that can be restated."""

    agreement: str
    periods: tuple[str, ...]
    reason: str
    ordered_by: str


class HeldPeriod(NamedTuple):
    """A period that is held, and the evaluation that today's rules settle; None: it has none."""

    difference: HeldDifference
    evaluation: PeriodEvaluation | None


async def held_differences(connection: Connection, agreement: str) -> tuple[HeldPeriod, ...]:
    """The periods of an agreement that today's rules would settle otherwise, in their order.

    Worked out from the evaluations received, by the versions that rule by now; nothing is written.
    """
    standing = await store.statements_of_older_rules(connection, agreement)
    if not standing:
        return ()
    contract = await store.contract(connection, agreement)
    assert contract is not None, "an agreement with a statement is applied"
    contract, known = await store.with_evaluations(connection, contract, agreement)
    ruling = await read_effective_versions(connection, contract)
    histories = {
        name: History(versions, known[name]) for name, versions in ruling.agreements.items()
    }
    found = await replayed(contract, histories, ruling.programmes)
    counted = {one.period: one for one in known[agreement]}
    differing = _differing(standing, found.of(agreement))
    return tuple(HeldPeriod(one, counted.get(one.standing.period)) for one in differing)


def _differing(
    standing: Sequence[SettlementStatement], outcome: Sequence[PeriodOutcome]
) -> list[HeldDifference]:
    older = {one.period: one for one in standing}
    found = [
        held_difference(older[today.period], today) for today in outcome if today.period in older
    ]
    return [one for one in found if one is not None]


async def restate(
    connection: Connection, order: RestatementOrder, *, topics: SettlementTopics, at: datetime
) -> tuple[SettlementRun, Sequence[Posting]]:
    """Post what today's rules make of periods that stand by older ones, as a run of its own.

    Only the agreement named is restated, not those that share a cap with it. Raises
    NothingToRestate, before anything is written.
    """
    await store.take_turn(connection, {order.agreement})
    found = await held_differences(connection, order.agreement)
    statements = _chosen(order, [one.difference for one in found])
    standing = (await store.standings(connection, [order.agreement]))[order.agreement]
    posted = await store.posted(connection, order.agreement, [one.period for one in statements])
    run = await store.begin_restatement(
        connection,
        order.agreement,
        statements[0].period,
        reason=order.reason,
        ordered_by=order.ordered_by,
        at=at,
    )
    made = postings(run, news(statements, standing), standing, posted)
    await store.post(connection, made, topics=topics, at=at)
    log(__name__).info(
        "restated",
        agreement=order.agreement,
        run=str(run.run_id),
        ordered_by=order.ordered_by,
        rules=RULES,
        statements=[f"{each.statement.period}#{each.revision}" for each in made],
        booked_minor=sum(owed(entry) for each in made for entry in each.entries),
    )
    return run, made


def _chosen(
    order: RestatementOrder, found: Collection[HeldDifference]
) -> list[SettlementStatement]:
    """Today's statements of the periods that are to be restated. Raises NothingToRestate."""
    ready = {
        one.standing.period: one.today
        for one in found
        if isinstance(one.today, SettlementStatement)
    }
    wanted = order.periods or tuple(ready)
    there = f"what can be restated of {order.agreement}: {', '.join(ready) or 'nothing'}"
    waits = {one.standing.period for one in found} - set(ready)
    for period in wanted:
        if period in waits:
            raise NothingToRestate(f"{period} waits by today's rules; {there}")
        if period not in ready:
            raise NothingToRestate(
                f"{period} has no statement of an earlier version of the rules that today's would "
                f"settle otherwise; {there}"
            )
    if not wanted:
        raise NothingToRestate(
            f"no period of {order.agreement} can be restated: today's rules settle each of them "
            "as it stands, or wait"
        )
    return [statement for period, statement in ready.items() if period in wanted]


async def watch(pool: Pool, *, every: float = WATCH_SECONDS) -> None:
    """Show how many periods are held, from the start of a process on and once in a while."""
    while True:
        try:
            async with pool.acquire() as connection:
                held = await count_held(connection)
        except Exception as error:
            if not is_transient(error):
                raise
            log(__name__).warning("held_restatements_not_counted", error=repr(error))
        else:
            gauges.HELD.set(held)
            if held:
                log(__name__).warning(
                    "held_restatements",
                    periods=held,
                    rules=RULES,
                    remedy="look with: earnback restate --dry-run",
                )
        await asyncio.sleep(every)


async def count_held(connection: Connection) -> int:
    """How many settled periods of all agreements today's rules would settle otherwise.

    An agreement that cannot be worked out is parked, and the others are counted.
    """
    held = 0
    for name in await store.agreements_of_older_rules(connection):
        try:
            async with connection.transaction():
                held += len(await held_differences(connection, name))
                await resolve(connection, "settlement", "restatement", [name])
        except Exception as error:
            if not is_of_the_work(error):
                raise
            item = WorkItem("restatement", agreement=name)
            tried = await contract_digest(connection, name)
            await park(connection, "settlement", item, WorkFailure.of(error), tried)
    return held
