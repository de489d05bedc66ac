"""What past periods would have cost under another version of an agreement, beside what they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import LineKind, SettlementStatement, StatementLine
from services.core.calendar.windows import parts_of
from services.core.contracts.versions import version_for
from services.core.events.wanted import wanted
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import (
    settle_each,
)
from services.core.visibility.parties import Parties
from services.core.whatif.counted_otherwise import counted_otherwise

_REMEDY = "; count it from the events"


@dataclass(frozen=True, slots=True)
class SimulationContext:
    """What an agreement is settled in: its programme, and the others that share a cap with it.

    ``programmes``: the versions that define the metrics and state the shared caps. ``beside``: by
    name; what changes for them is not told. ``unread``: those that cannot be read, with vendors.
    """

    buyer: str
    time_zone: str
    programmes: Sequence[Programme] = ()
    beside: Mapping[str, History] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """One line in minor units, as settled and as it would have been. None: there is no such line.

    Positive: the vendor owes the buyer.
    """

    line: str
    kind: LineKind
    level: str | None
    was: int | None
    would_be: int | None


@dataclass(frozen=True, slots=True)
class SimulatedPeriod:
    """One period. A total is None where the period cannot be settled that way; reasons say why."""

    period: str
    was: int | None
    would_be: int | None
    lines: tuple[SimulatedLine, ...]
    waits_for: tuple[str, ...] = ()
    would_wait_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulation:
    """All periods, and the totals in minor units over those that can be told both ways."""

    currency: str
    periods: tuple[SimulatedPeriod, ...]
    was: int
    would_be: int


def as_if(other: Agreement, versions: Sequence[Agreement]) -> Agreement:
    """The other agreement as if it had been in force as long as these versions.

    Evaluate with it to count, from events, figures that only the other agreement asks for.
    Raises ValueError where its currency, settlement period, vendor or programme is another one.
    """
    ordered = sorted(versions, key=lambda one: (one.effective_from, one.version))
    if not ordered:
        raise ValueError("there is no version to compare with; name an agreement that is settled")
    for term in ("currency", "settled", "vendor", "programme"):
        theirs, known = getattr(other, term), getattr(ordered[-1], term)
        if theirs != known:
            raise ValueError(
                f"{term} is {theirs}, of the periods settled it is {known}; simulate an agreement "
                f"with the same {term}"
            )
    dates = {
        "effective_from": ordered[0].effective_from,
        "effective_until": ordered[-1].effective_until,
    }
    return other.model_copy(update=dates)


def simulate(
    versions: Sequence[Agreement],
    other: Agreement,
    evaluations: Sequence[PeriodEvaluation],
    around: SimulationContext,
    *,
    instead: SimulationContext | None = None,
    counted_anew: Sequence[PeriodEvaluation] | None = None,
) -> Simulation:
    """Settle past evaluations as they were and under another agreement.

    ``instead``: what it would be settled in, where that is another. ``counted_anew``: the same
    periods evaluated for `as_if`; without them the old evaluations are used, and a period is not
    told where the other agreement asks for a figure that they lack or that would be counted in
    another way. Raises ValueError as `as_if` does.
    """
    changed, then = as_if(other, versions), instead or around
    actual = _settled(other.agreement, versions, evaluations, around)
    latest = _latest(evaluations if counted_anew is None else counted_anew)
    lacking: dict[str, tuple[str, ...]] = {}
    if counted_anew is None:
        for period, one in latest.items():
            found = _unfit(changed, versions, one, around, then)
            lacking[period] = tuple(reason for _, reason in found)
    whole = [one for period, one in latest.items() if not lacking.get(period)]
    would = _settled(other.agreement, [changed], whole, then)
    periods = tuple(
        _period(period, actual.get(period), would.get(period), lacking.get(period, ()))
        for period in sorted({*actual, *would}, key=first_day)
    )
    told = [one for one in periods if one.was is not None and one.would_be is not None]
    return Simulation(
        changed.currency,
        periods,
        sum(one.was or 0 for one in told),
        sum(one.would_be or 0 for one in told),
    )


def _settled(
    agreement: str,
    versions: Sequence[Agreement],
    evaluations: Sequence[PeriodEvaluation],
    around: SimulationContext,
) -> dict[str, PeriodOutcome]:
    """What an agreement comes to, by period, with the others as they are.

    Raises what working out this one raises.
    """
    found = settle_each(
        {**around.beside, agreement: History(versions, evaluations)},
        around.programmes,
        parties=Parties(around.buyer),
        time_zone=around.time_zone,
        unread=around.unread,
    )
    return {one.period: one for one in found.of(agreement)}


def _latest(evaluations: Sequence[PeriodEvaluation]) -> dict[str, PeriodEvaluation]:
    """The latest revision of each period."""
    return {one.period: one for one in sorted(evaluations, key=lambda one: one.revision)}


def to_count_anew(
    agreement: Agreement,
    versions: Sequence[Agreement],
    evaluation: PeriodEvaluation,
    around: SimulationContext,
    instead: SimulationContext,
) -> tuple[str, ...]:
    """The metrics for which an evaluation does not do for an agreement, by name.

    It was made for ``versions`` in ``around``: they did not ask for a figure, or counted it in
    another way.
    """
    found = _unfit(agreement, versions, evaluation, around, instead)
    return tuple(sorted({metric for metric, _ in found}))


def _unfit(
    agreement: Agreement,
    versions: Sequence[Agreement],
    evaluation: PeriodEvaluation,
    around: SimulationContext,
    instead: SimulationContext,
) -> Iterator[tuple[str, str]]:
    """The same with the reason."""
    period = evaluation.period
    yield from _lacking(agreement, version_for(versions, period), evaluation)
    if around.programmes and instead.programmes:
        for metric in counted_otherwise(agreement, around.programmes, instead.programmes, period):
            yield metric, f"{metric} would be counted in another way in {period}{_REMEDY}"


def _lacking(
    agreement: Agreement, version: Agreement | None, evaluation: PeriodEvaluation
) -> Iterator[tuple[str, str]]:
    """Figures that the agreement asks for and the evaluation was never asked for."""
    there = {(one.metric, one.subject, one.period) for one in evaluation.figures}
    asked = set(wanted(version)) if version else set()
    for each in wanted(agreement):
        if each in asked:
            continue
        whose = each.subject or ("each subject" if each.each_subject else "")
        of = f" of {whose}" if whose else ""
        for label in parts_of(evaluation.period, each.measured):
            if each.each_subject or (each.metric, each.subject, label) not in there:
                yield each.metric, f"{each.metric}{of} was not counted for {label}{_REMEDY}"


def _period(
    period: str, was: PeriodOutcome | None, would: PeriodOutcome | None, lacking: tuple[str, ...]
) -> SimulatedPeriod:
    return SimulatedPeriod(
        period,
        was=was.total_minor if isinstance(was, SettlementStatement) else None,
        would_be=would.total_minor if isinstance(would, SettlementStatement) else None,
        lines=tuple(_side_by_side(_lines(was), _lines(would))),
        waits_for=was.reasons if isinstance(was, Unsettled) else (),
        would_wait_for=would.reasons if isinstance(would, Unsettled) else lacking,
    )


def _lines(outcome: PeriodOutcome | None) -> dict[str, StatementLine]:
    found = outcome.lines if isinstance(outcome, SettlementStatement) else ()
    return {line.line: line for line in found}


def _side_by_side(
    was: Mapping[str, StatementLine], would: Mapping[str, StatementLine]
) -> Iterator[SimulatedLine]:
    for name in dict.fromkeys((*was, *would)):
        before, after = was.get(name), would.get(name)
        line = before or after
        assert line is not None
        yield SimulatedLine(
            name,
            line.kind,
            line.level,
            None if before is None else before.minor_units,
            None if after is None else after.minor_units,
        )
