"""Agreements settled from their beginning by today's rules, beside what stands in the books."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.ledger_entry import SettlementRun
from schemas.programme import Programme
from schemas.statement import RULES, SettlementStatement, canonical
from services.catalogue.parked import DEFECT
from services.core.books import ledger
from services.core.exact.budget import Budget, OverBudget
from services.core.inputs.history import NotRead
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome
from services.core.settling.settlement import (
    FailedAgreement,
    SettledTogether,
    settle_each,
)
from services.settlement.finance_events import Posting
from services.settlement.store import LatestRevision, SettlementTerms
from services.shell.logs import log, stack_of

MOST_STEPS = 20_000_000
"""So many steps a replay may take: results, and credits of results, of all periods together."""


class CannotBeReplayed(ValueError):
    """An agreement that the core cannot work out. The text says which, and why."""


async def replayed(
    contract: SettlementTerms, histories: Mapping[str, History], programmes: Sequence[Programme]
) -> SettledTogether:
    """The outcome of every period of agreements that share caps, by agreement, in a thread.

    Each failure in it is CannotBeReplayed. The thread ends when nobody waits for it any more.
    Raises NotRead as `settle_each`.
    """
    budget = Budget(MOST_STEPS, "settle in longer periods, or let fewer agreements share a cap")
    try:
        found = await asyncio.to_thread(
            settle_each,
            histories,
            programmes,
            parties=contract.parties,
            time_zone=contract.time_zone,
            unread=contract.unread,
            budget=budget,
        )
    except asyncio.CancelledError:
        budget.stop()
        raise
    except NotRead:
        raise
    except Exception as error:
        found = SettledTogether({}, dict.fromkeys(histories, FailedAgreement("", error)))
    failed = {
        name: replace(one, error=_cannot_be_replayed(name, one.error))
        for name, one in found.failed.items()
    }
    return replace(found, failed=failed)


def _cannot_be_replayed(agreement: str, error: Exception) -> CannotBeReplayed:
    if isinstance(error, OverBudget):
        failure = CannotBeReplayed(f"{agreement} cannot be settled: {error}")
        failure.__cause__ = error
        return failure
    log(__name__).error("settling_failed", agreement=agreement, traceback=stack_of(error))
    failure = CannotBeReplayed(
        f"{agreement} cannot be settled: {DEFECT} ({type(error).__name__}: {error}); this is a "
        "defect of earnback: report it with the contract and the period"
    )
    failure.__cause__ = error
    return failure


def digests(outcome: Sequence[PeriodOutcome]) -> dict[str, bytes]:
    """The content digest of each statement, by period."""
    return {
        each.period: ledger.content_digest(each)
        for each in outcome
        if isinstance(each, SettlementStatement)
    }


def settled_otherwise(
    outcome: Sequence[PeriodOutcome], standing: Mapping[str, LatestRevision]
) -> dict[str, bytes]:
    """The periods that stand by older rules and say something else today, with today's digest."""
    older = {period: one for period, one in standing.items() if one.rules < RULES}
    return {
        period: digest
        for period, digest in (digests(outcome) if older else {}).items()
        if period in older and older[period].content_digest != digest
    }


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A statement that says something other than what stands."""

    statement: SettlementStatement
    body: bytes
    """Canonical JSON of the statement."""
    content_digest: bytes


def news(
    statements: Iterable[SettlementStatement], standing: Mapping[str, LatestRevision]
) -> list[NewStatement]:
    """The statements that say something other than what stands, as they are to be written."""
    found = []
    for statement in statements:
        digest = ledger.content_digest(statement)
        last = standing.get(statement.period)
        if last is None or last.content_digest != digest:
            found.append(NewStatement(statement, _body(statement), digest))
    return found


def _body(statement: SettlementStatement) -> bytes:
    body = canonical(statement)
    if SettlementStatement.model_validate_json(body) != statement:
        raise ValueError(
            f"the statement of {statement.period} does not read back as it was written; this "
            "is a defect of earnback: report it with the contract and the period"
        )
    return body


def postings(
    run: SettlementRun,
    made: Iterable[NewStatement],
    standing: Mapping[str, LatestRevision],
    posted: Mapping[str, Mapping[ledger.Position, int]],
) -> list[Posting]:
    """New statements, with the entries that they book."""
    found = []
    for one in made:
        statement = one.statement
        last = standing.get(statement.period)
        entries = ledger.differences(posted.get(statement.period, {}), statement, run=run.run_id)
        found.append(
            Posting(
                statement=statement,
                body=one.body,
                content_digest=one.content_digest,
                revision=last.revision + 1 if last else 1,
                run_id=run.run_id,
                entries=entries,
            )
        )
    return found
