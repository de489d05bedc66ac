"""Open proposals of what is settled from files: what each would change, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.evaluation import PeriodEvaluation, Proposal
from schemas.money import amount_text
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.core.counting.evaluation import ProgrammeFacts, evaluate
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome
from services.core.settling.settlement import (
    settle_each,
)
from services.core.visibility.parties import parties_of

MOST_WORKED_OUT = 20
"""The amount of so many proposals of an agreement is worked out; the others are told without."""


@dataclass(frozen=True, slots=True)
class SettledGroup:
    """Agreements that were settled together, and what they came to.

    ``unread``: agreements beside them of which nothing can be counted, with their vendors.
    """

    programmes: Sequence[Programme]
    stock: ProgrammeFacts
    histories: Mapping[str, History]
    outcomes: Mapping[str, Sequence[PeriodOutcome]]
    unread: Mapping[str, str]


def open_proposals(group: SettledGroup) -> Iterator[str]:
    """A sentence for each open proposal of the group's agreements, with its amount."""
    for name, history in sorted(group.histories.items()):
        told: set[tuple[str, str]] = set()
        for evaluation in history.evaluations:
            for proposal in evaluation.proposals:
                key = proposal.event.source, proposal.event.id
                if proposal.state != "open" or key in told:
                    continue
                told.add(key)
                yield _told(group, name, evaluation, proposal, worked_out=len(told))


def _told(
    group: SettledGroup,
    name: str,
    evaluation: PeriodEvaluation,
    proposal: Proposal,
    worked_out: int,
) -> str:
    event = f"{proposal.event.id} of {proposal.event.source}"
    said = f"{event} is only proposed to {' and '.join(proposal.awaits)}"
    where = f"{evaluation.period} of {name}"
    if worked_out > MOST_WORKED_OUT:
        return f"{said}, for {where}"
    before = _statement(group.outcomes.get(name, ()), evaluation.period)
    after = _statement(_if_accepted(group, name, evaluation, proposal), evaluation.period)
    if before is None or after is None:
        return f"{said}, for {where}, which cannot be settled with and without it"
    amounts = [
        f"{amount_text(minor, after.currency)} {after.currency}"
        for minor in (after.total_minor, before.total_minor)
    ]
    return f"{said}; accepted, {where} would come to {amounts[0]} instead of {amounts[1]}"


def _if_accepted(
    group: SettledGroup, name: str, evaluation: PeriodEvaluation, proposal: Proposal
) -> Sequence[PeriodOutcome]:
    """What the agreement would come to if a proposal were accepted."""
    history = group.histories[name]
    key = proposal.event.source, proposal.event.id
    counted = evaluate(
        group.programmes,
        history.versions,
        evaluation.period,
        group.stock.of(history.versions, None, {key}),
        group.stock.numbers,
        evaluation.revision,
        "closed",
    )
    evaluations = tuple(
        counted if each.period == evaluation.period else each for each in history.evaluations
    )
    found = settle_each(
        {**group.histories, name: replace(history, evaluations=evaluations)},
        group.programmes,
        parties=parties_of(group.programmes),
        time_zone=group.programmes[-1].time_zone,
        unread=group.unread,
    )
    return found.outcomes.get(name, ())


def _statement(outcome: Sequence[PeriodOutcome], period: str) -> SettlementStatement | None:
    found = next((each for each in outcome if each.period == period), None)
    return found if isinstance(found, SettlementStatement) else None
