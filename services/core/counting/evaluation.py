"""A period's evaluation: every figure that an agreement needs, its charges and circumstances.

The same facts give the same evaluation, whatever order or batches they came in and however often.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Literal, TypeVar

import numpy as np

from schemas.agreement import Agreement
from schemas.base import TZDATA
from schemas.evaluation import (
    MetricFigure,
    PeriodEvaluation,
    Proposal,
)
from schemas.event import Charge, Circumstance
from schemas.frame import Facts
from schemas.period import Window, first_day
from schemas.programme import Programme
from services.core.calendar.windows import parts_of, window_of
from services.core.counting.late_changes import late_changes
from services.core.counting.late_corrections import (
    NOTHING_LATE,
    ClosedBefore,
    LateCorrections,
    late_corrections,
)
from services.core.counting.late_measurements import late_measurements
from services.core.counting.measures.boundaries import conventions, looked_at, views
from services.core.counting.measures.counting import (
    FACTS_A_STEP,
    Counter,
    FactIndex,
    FactSpan,
    heartbeat_span,
    index_facts,
    needed_span,
    with_parts,
)
from services.core.counting.measures.question import Need, counting_of
from services.core.counting.occurrences import ToldOccurrence, told_occurrences
from services.core.counting.stated_facts import stated_facts
from services.core.events.acceptance import accept
from services.core.events.corrections import (
    Acceptor,
    EventKey,
    RejectedCorrection,
    RootedCorrection,
    corrected,
    rooted,
)
from services.core.events.facts import (
    CORRECTION,
    Row,
    by_identity,
    distinct,
    identity_of,
    number,
    taken,
)
from services.core.events.horizon import Horizon
from services.core.events.rejections import Rejection
from services.core.events.rules import Rules, held_against, rules_of
from services.core.events.wanted import Wanted, wanted
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import rows_in

EvaluationReason = Literal["closed", "commanded", "late_facts", "changed_agreement"]
_Labelled = TypeVar("_Labelled", Charge, Circumstance)


@dataclass(frozen=True, slots=True)
class Ready:
    """A programme's facts, ready to be counted for any of its agreements.

    ``refused``: corrections that do not fit their events; somebody must look at them. ``told``:
    the occurrences of which events tell. ``late``: what one agreement holds as proposals;
    of all agreements none. ``as_accepted``: proposals that are taken as accepted, to see what they
    would change.
    """

    fact_index: FactIndex
    refused: tuple[RejectedCorrection, ...]
    told: tuple[ToldOccurrence, ...] = ()
    late: LateCorrections = NOTHING_LATE
    as_accepted: Collection[EventKey] = ()


@dataclass(frozen=True, slots=True)
class ProgrammeFacts:
    """A programme's facts for any of its agreements, prepared once for all that see the same.

    ``clean``: without duplicates. ``made``: the corrections among them. ``known``: by what is held,
    prepared as it is asked for; of those in which something is, the last one.
    """

    programmes: Sequence[Programme]
    clean: Facts
    made: Sequence[RootedCorrection]
    numbers: Mapping[tuple[str, str], int]
    judge: Acceptor
    horizon: Horizon | None
    budget: Budget = UNBOUNDED
    known: dict[frozenset[EventKey], Ready] = field(default_factory=dict)

    @property
    def names(self) -> dict[int, str]:
        """Each metric's number to its name."""
        return {number: metric for (_, metric), number in self.numbers.items()}

    @property
    def every(self) -> Ready:
        """The facts as they stand with all corrections applied."""
        return self.without(frozenset())

    def without(self, held: frozenset[EventKey]) -> Ready:
        """The facts as they stand where these events are only proposed."""
        if held not in self.known:
            found = corrected(self.clean, self.names, self.judge, self.horizon, held, self.budget)
            clean = found.facts
            if clean is not self.clean:
                clean = taken(clean, by_identity(clean, self.budget), self.budget)
            clean = _not_held(clean, held, self.budget)
            own = {source.source for each in self.programmes for source in each.sources}
            refused = tuple(each for each in found.refused if each.correction.source in own)
            for other in [each for each in self.known if each]:
                del self.known[other]  # each holds all facts; agreements with the same follow
            told = told_occurrences(clean, self.budget)
            self.known[held] = Ready(index_facts(clean, self.budget), refused, told)
        return self.known[held]

    def of(
        self,
        agreements: Sequence[Agreement],
        closed_before: ClosedBefore | None = None,
        as_accepted: Collection[EventKey] = (),
    ) -> Ready:
        """The facts as one agreement counts them. See `late_corrections`, `late_changes`,
        `late_measurements`."""
        every = self.every
        late = late_corrections(
            self.clean,
            self.made,
            self.programmes,
            agreements,
            self.names,
            self.judge,
            {(each.correction.source, each.correction.id) for each in every.refused},
            closed_before,
            as_accepted,
        )
        own = self.without(late.held)
        known = own.fact_index.facts, self.programmes, agreements, self.names, self.budget
        for others in (
            late_changes(known[0], own.told, *known[1:], closed_before, as_accepted),
            late_measurements(*known, closed_before, as_accepted),
        ):
            late = late.and_also(others)
        own = self.without(late.held)
        return Ready(own.fact_index, every.refused, own.told, late, as_accepted)


def _not_held(facts: Facts, held: Collection[EventKey], budget: Budget) -> Facts:
    """The facts without the events that are only proposed."""
    if not held:
        return facts
    highs = np.array([number(identity_of(*key)[:8]) for key in held], np.uint64)
    rows = rows_in(facts.id_high, highs, budget).tolist()
    gone = [row for row in rows if (facts.sources[facts.source[row]], facts.ids[row]) in held]
    return taken(facts, np.delete(np.arange(len(facts)), gone), budget) if gone else facts


def ready(
    programmes: Sequence[Programme],
    facts: Facts,
    metric_numbers: Mapping[tuple[str, str], int],
    horizon: Horizon | None = None,
    agreements: Sequence[Agreement] | None = None,
    budget: Budget = UNBOUNDED,
) -> ProgrammeFacts:
    """Take out duplicates, and make ready to apply corrections.

    ``programmes``: versions of one programme. ``metric_numbers``: (programme, metric) to number.
    ``horizon``: of the programme; corrections of what could no longer be settled are refused. None:
    none is too late. ``agreements``: all that the facts may be about; None: what corrections put in
    place of charges and circumstances is not held against them. Raises OverBudget, and ValueError
    when an identity comes with two payloads: conflicts are decided before.
    """
    budget.spend(len(facts) // FACTS_A_STEP + int(np.count_nonzero(facts.kind == CORRECTION)))
    first, conflicts = distinct(facts, budget)
    if len(conflicts):
        row = int(conflicts[0])
        raise ValueError(
            f"event {facts.ids[row]} of source {facts.sources[facts.source[row]]} says two "
            "different things; keep the one that was accepted and quarantine the other"
        )
    in_order = len(first) == len(facts) and bool(np.all(first[1:] > first[:-1]))
    clean = facts if in_order else taken(facts, first, budget)
    judge = _judge(programmes, agreements, metric_numbers)
    return ProgrammeFacts(
        programmes, clean, rooted(clean, budget), metric_numbers, judge, horizon, budget
    )


def _judge(
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement] | None,
    metric_numbers: Mapping[tuple[str, str], int],
) -> Acceptor:
    """Acceptance of what a correction puts in place: no clock, and no sender."""

    @cache
    def rules() -> Rules:  # made for the first correction: most periods have none
        known = rules_of(programmes, None, metric_numbers)
        return known if agreements is None else held_against(known, agreements)

    def judge(
        source: str, event_id: str, type_: str, at_us: int, data: Mapping[str, object]
    ) -> Row | Rejection:
        return accept(rules(), source, event_id, type_, at_us, data, None, None)

    return judge


def programme_at(programmes: Sequence[Programme], label: str) -> Programme:
    """The version in force on a period's first day; before the first version, the first."""
    ordered = sorted(programmes, key=lambda each: each.version, reverse=True)
    day = first_day(label)
    return next((each for each in ordered if each.effective_from <= day), ordered[-1])


def window_at(programmes: Sequence[Programme], label: str) -> Window:
    """A period's window in the calendar of the programme."""
    return window_of(label, programme_at(programmes, label).time_zone)


def agreement_at(agreements: Sequence[Agreement], label: str) -> Agreement:
    """The version of an agreement that covers a period; before the first version, the first.

    Versions begin and end with settlement periods, so one covers all of it.
    """
    ordered = sorted(agreements, key=lambda each: each.version, reverse=True)
    day = first_day(label)
    return next((each for each in ordered if each.effective_from <= day), ordered[-1])


def needs(
    programmes: Sequence[Programme], agreements: Sequence[Agreement], period: str
) -> tuple[FactSpan, ...]:
    """What must be loaded to evaluate a settlement period, per metric, in order of name.

    Besides, always: all corrections of the programme's sources with the events that they correct,
    and all charges and circumstances of the agreement. See `FactSpan`.
    """
    spans: dict[str, FactSpan] = {}
    agreement = agreement_at(agreements, period)
    looks = looked_at(agreement)
    for each in wanted(agreement):
        for label in parts_of(period, each.measured):
            programme, window = programme_at(programmes, label), window_at(programmes, label)
            for need in with_parts(programme, [Need(each.metric, None, label)]):
                metric = programme.metric(need.metric)
                if metric is None:
                    continue
                hows = frozenset(how for _, how in conventions(programmes, metric, label))
                later, _ = views(metric, hows, looks.get(need.metric, frozenset()))
                own = needed_span(metric, window, later=later, hows=hows)
                upstream = [FactSpan(term.metric, None, None) for term in metric.upstreams]
                for span in (own, heartbeat_span(metric, window), *upstream):
                    if span is not None:
                        spans[span.metric] = _joined(spans.get(span.metric), span)
    return tuple(spans[name] for name in sorted(spans))


def _joined(one: FactSpan | None, other: FactSpan) -> FactSpan:
    if one is None:
        return other
    since = until = None
    if one.since_us is not None and other.since_us is not None:
        since = min(one.since_us, other.since_us)
    if one.until_us is not None and other.until_us is not None:
        until = max(one.until_us, other.until_us)
    window = None
    if one.window_us is not None and other.window_us is not None:
        window = (
            min(one.window_us[0], other.window_us[0]),
            max(one.window_us[1], other.window_us[1]),
        )
    return FactSpan(one.metric, since, until, one.last_before or other.last_before, window)


def evaluate(
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    period: str,
    facts: Facts | Ready,
    metric_numbers: Mapping[tuple[str, str], int],
    revision: int,
    reason: EvaluationReason,
    budget: Budget = UNBOUNDED,
) -> PeriodEvaluation:
    """Evaluate one settlement period of an agreement.

    ``programmes``, ``agreements``: all versions of its programme and of itself. ``facts``: raw, or
    made `ready` once for many evaluations. Raises OverBudget, and ValueError for conflicting facts
    and for a metric that the programme does not define in the window.
    """
    if isinstance(facts, Ready):
        stock = facts
    else:
        stock = ready(programmes, facts, metric_numbers, None, agreements, budget).of(agreements)
    agreement = agreement_at(agreements, period)
    looks = looked_at(agreement)
    stated = stated_facts(stock.fact_index.facts, programmes, agreements, period, stock.as_accepted)
    counters = {
        programme.version: Counter(
            programme,
            stock.fact_index,
            metric_numbers,
            programmes,
            looks,
            stated.figures,
            budget=budget,
        )
        for programme in programmes
    }
    found: dict[tuple[str, str, str], MetricFigure] = {}
    by_share = any(level.attributed is not None for level in agreement.levels)
    for each in wanted(agreement):
        subjects = _subjects(each, agreement, period, programmes, counters)
        for label in parts_of(period, each.measured):
            programme = programme_at(programmes, label)
            window = window_of(label, programme.time_zone)
            asked = [Need(each.metric, subject, label, agreement.vendor) for subject in subjects]
            for need in with_parts(programme, asked):
                key = need.metric, need.subject or "", label
                budget.spend()
                if key not in found:
                    figure = counters[programme.version].figure(need, window)
                    found[key] = _with_counting(figure, programme) if by_share else figure
    return PeriodEvaluation(
        programme=agreement.programme,
        agreement=agreement.agreement,
        period=period,
        revision=revision,
        reason=reason,
        figures=tuple(sorted(found.values(), key=_place)),
        charges=stated.charges,
        circumstances=stated.circumstances,
        proposals=(*stated.proposals, *_proposed(stock.late.proposals, period)),
        tzdata=TZDATA,
    )


def _proposed(proposals: Sequence[Proposal], period: str) -> tuple[Proposal, ...]:
    """The corrections, and events like them, that were proposed after this period's close."""
    return tuple(
        each
        for each in proposals
        if each.correction is not None and each.correction.period == period
    )


def _with_counting(figure: MetricFigure, programme: Programme) -> MetricFigure:
    """The figure with what its attribution in shares has to know of its measure."""
    metric = programme.metric(figure.metric)
    counting = counting_of(metric) if metric is not None else None
    return figure.model_copy(update={"counting": counting})


def _place(figure: MetricFigure) -> tuple[str, str, datetime, datetime]:
    return figure.metric, figure.subject or "", figure.window.start, figure.window.end


def _subjects(
    each: Wanted,
    agreement: Agreement,
    period: str,
    programmes: Sequence[Programme],
    counters: Mapping[int, Counter],
) -> tuple[str | None, ...]:
    """The subjects to count. Every one with facts in any part of the settlement period."""
    if not each.each_subject and not each.if_reported:
        return (each.subject,)
    reported: set[str] = set()
    for label in parts_of(period, each.measured):
        programme = programme_at(programmes, label)
        need = Need(each.metric, None, label, agreement.vendor)
        window = window_of(label, programme.time_zone)
        reported.update(counters[programme.version].subjects(need, window))
    if each.if_reported:
        return (each.subject,) if each.subject in reported else ()
    return (None, *sorted(reported))
