"""From needs to figures: which facts a measure looks at, and which measure looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from schemas.absence import CountsAs, NothingToCount
from schemas.base import AcrossPeriods
from schemas.composites import Composite
from schemas.evaluation import ComparedFigure, MetricFigure
from schemas.exclusions import Exclusion, Upstream
from schemas.frame import Facts, Int64s
from schemas.period import Window
from schemas.programme import (
    AvailabilityByOutages,
    AvailabilityBySamples,
    AvailabilityByStatus,
    Declared,
    DeliveryDelay,
    Extreme,
    Mean,
    Metric,
    OutageCount,
    OutageTime,
    Percentile,
    Programme,
    Ratio,
    TicketsInTime,
    Total,
    WithinLimit,
)
from services.core.calendar.intervals import Interval
from services.core.calendar.windows import bounds_us
from services.core.counting.measures import declared, deliveries, outages, status, tickets, values
from services.core.counting.measures.boundaries import TermView, conventions, views
from services.core.counting.measures.composites import composed
from services.core.counting.measures.counted_time import CountedTime, Excused
from services.core.counting.measures.observed import known_us
from services.core.counting.measures.question import (
    NO_TIMES,
    NOTHING,
    CountedFigure,
    Need,
    Question,
    ToldBySubject,
    figure,
)
from services.core.events.facts import Index
from services.core.events.rules import KINDS_OF_MEASURE
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import argsort, ascending

# These put a thing together from facts that need not all name its subject, or lie in its window.
_BY_THING = (
    AvailabilityByOutages,
    OutageTime,
    OutageCount,
    TicketsInTime,
    DeliveryDelay,
    Declared,
)


FACTS_A_STEP = 100
"""So many facts are counted all at once in about the time of one that is taken by itself."""


@dataclass(frozen=True, slots=True)
class FactSpan:
    """Which facts of a metric a window needs: times in microseconds, ``[since, until)``.

    None: without end on that side. ``last_before``: also each subject's last fact before
    ``since``. Corrections, and what they correct, are needed whatever their time. ``window_us``:
    of the facts that are needed, those in this time, and all facts of each occurrence that is in it
    at some time or not over before it, say the same. None: it must be all.
    """

    metric: str
    since_us: int | None
    until_us: int | None
    last_before: bool = False
    window_us: tuple[int, int] | None = None


def heartbeat_span(metric: Metric, window: Window) -> FactSpan | None:
    """What of a metric's heartbeat must be loaded to know which time of a window is unknown."""
    if metric.heartbeat is None:
        return None
    start, end = bounds_us(window)
    since = start - known_us(metric.heartbeat)
    return FactSpan(metric.heartbeat.metric, since, end, window_us=(since, end))


def needed_span(
    metric: Metric,
    window: Window,
    *,
    later: bool = False,
    hows: Collection[AcrossPeriods] = (),
) -> FactSpan:
    """What must be loaded to count a metric in a window. ``later``: also what is said after it.
    ``hows``: where occurrences over the window's end count.

    Outages that count as one, where they begin or end, reach as far as they do; so does what is
    taken off them, and slices of the clock that they are in.
    """
    bounds = start, end = bounds_us(window)
    measure = metric.measure
    if isinstance(measure, AvailabilityByStatus):
        return FactSpan(metric.metric, start, end, last_before=True)
    if isinstance(measure, TicketsInTime):
        return FactSpan(metric.metric, None, None if later else end, window_us=bounds)
    if isinstance(measure, _BY_THING):
        joined = isinstance(measure, OutageTime) and measure.overlap == "merged"
        reaches = metric.interruptions is not None or bool(metric.exclusions)
        reaches |= isinstance(measure, AvailabilityByOutages) and measure.slices is not None
        reaches |= joined and not {"split"}.issuperset(hows)
        is_whole = isinstance(measure, Declared) or reaches
        return FactSpan(metric.metric, None, None, window_us=None if is_whole else bounds)
    return FactSpan(metric.metric, start, end, window_us=bounds)


@dataclass(frozen=True, slots=True)
class FactIndex:
    """Distinct, corrected facts in order of identity, with the positions of each metric's."""

    facts: Facts
    rows: Mapping[int, Index]
    _by_time: dict[int, tuple[Index, Int64s]] = field(default_factory=dict, repr=False)

    def of(self, metric: int) -> Index:
        """Positions of a metric's facts, in order of identity."""
        return self.rows.get(metric, NOTHING)

    def within(self, metric: int, start_us: int, end_us: int, budget: Budget = UNBOUNDED) -> Index:
        """Those of them that lie in ``[start, end)``. Raises OverBudget.

        A metric is put in order of time once; each window is then a slice of it.
        """
        if metric not in self._by_time:
            rows = self.of(metric)
            times = self.facts.at_us[rows]
            order = argsort(times, budget)
            self._by_time[metric] = rows[order], times[order]
        ordered, at_us = self._by_time[metric]
        low, high = np.searchsorted(at_us, [start_us, end_us], side="left")
        return ascending(ordered[low:high])


def index_facts(facts: Facts, budget: Budget = UNBOUNDED) -> FactIndex:
    """Lay out facts that are in order of identity. Raises OverBudget."""
    order = argsort(facts.metric, budget)
    numbers, starts = np.unique(facts.metric[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(numbers) else []
    return FactIndex(
        facts, {int(number): part for number, part in zip(numbers, parts, strict=True)}
    )


@dataclass(frozen=True, slots=True)
class DeclaredFigures:
    """Which declared figures do not count, and from when accepted ones stand, by position."""

    left_out: Index = field(default_factory=lambda: NOTHING)
    since_us: Mapping[int, int] = field(default_factory=lambda: NO_TIMES)


AS_DECLARED = DeclaredFigures()


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts under one version of a programme. Answers are kept: composites ask again.

    ``versions``: all of the programme, which say where occurrences count that began under them.
    ``looks``: metric to how the terms of the agreement look at its occurrences. ``figures``: which
    declared ones count. ``unexcused``: as if nothing were excluded. ``only``: the one
    source that is counted, instead of a binding one.
    ``budget``: of all that is counted; it raises OverBudget.
    """

    programme: Programme
    fact_index: FactIndex
    numbers: Mapping[tuple[str, str], int]
    versions: Sequence[Programme] = ()
    looks: Mapping[str, frozenset[TermView]] = field(default_factory=dict)
    figures: DeclaredFigures = field(default_factory=lambda: AS_DECLARED)
    only: str | None = None
    budget: Budget = UNBOUNDED
    _answers: dict[tuple[Need, Window], CountedFigure] = field(default_factory=dict, repr=False)
    unexcused: bool = False
    _times: dict[tuple[str, str, Window], CountedTime] = field(default_factory=dict, repr=False)
    _told: dict[tuple[str, str, Window], ToldBySubject] = field(default_factory=dict, repr=False)
    _of_things: dict[str, Index] = field(default_factory=dict, repr=False)

    def answer(self, need: Need, window: Window) -> CountedFigure:
        """What the need's metric comes to. Raises ValueError for an unknown metric."""
        known = self._answers.get((need, window))
        if known is None:
            question = self.question(need, window)
            self.budget.spend(1 + len(question.rows) // FACTS_A_STEP)
            known = _as_stated(question.metric, self._count(question))
            self._answers[need, window] = known
        return known

    def figure(self, need: Need, window: Window) -> MetricFigure:
        """The same, written down with its evidence, and with what other sources say."""
        question = self.question(need, window, with_rows=False)
        found = figure(question, self.answer(need, window))
        changed: dict[str, object] = {}
        if compared := tuple(self._compared(question.metric, need, window)):
            changed["compared"] = compared
        if question.metric.exclusions:
            without = replace(self, unexcused=True, **_anew()).answer(need, window)
            changed["without_exclusions"] = without.value
        return found.model_copy(update=changed) if changed else found

    def _compared(self, metric: Metric, need: Need, window: Window) -> Iterator[ComparedFigure]:
        """What the metric comes to by each source that is not the binding one."""
        number = self.numbers.get((self.programme.programme, metric.metric))
        if metric.binding is None or number is None or self.only is not None:
            return
        facts = self.fact_index.facts
        codes = np.unique(facts.source[self.fact_index.of(number)]).tolist()
        for source in sorted({facts.sources[code] for code in codes} - {metric.binding}):
            counter = replace(self, only=source, **_anew())
            answer = counter.answer(need, window)
            if len(answer.rows):
                yield ComparedFigure(
                    source=source, value=answer.value, total=answer.total, facts=len(answer.rows)
                )

    def _counting(self, metric: Metric, rows: Index) -> Index:
        """Of a metric's rows, those that count: of the binding source, if one is."""
        source = self.only if self.only is not None else metric.binding
        facts = self.fact_index.facts
        if source is not None:
            own = [code for code, name in enumerate(facts.sources) if name == source]
            rows = rows[np.isin(facts.source[rows], own)]
        if len(self.figures.left_out):
            rows = rows[~np.isin(rows, self.figures.left_out)]
        return rows

    def question(self, need: Need, window: Window, *, with_rows: bool = True) -> Question:
        """The need with all that its measure has to know."""
        metric = self.programme.metric(need.metric)
        if metric is None:
            raise ValueError(
                f"metric {need.metric} is not defined in version {self.programme.version} of the "
                f"programme {self.programme.programme}, which is in force in {need.period}; define "
                "it there or let the agreement begin later"
            )
        vendors = frozenset(vendor.vendor for vendor in self.programme.vendors)
        holders = {
            source.source: source.reports_for
            for source in self.programme.sources
            if source.reports_for in vendors
        }
        rows = self._rows(metric, need, window) if with_rows else NOTHING
        found = conventions(self.versions or (self.programme,), metric, need.period)
        looks = self.looks.get(need.metric, frozenset())
        later, touching = views(metric, frozenset(how for _, how in found), looks)
        facts = self.fact_index.facts
        beats = self._beats(metric, need, window) if with_rows else None
        return Question(
            metric,
            need,
            window,
            facts,
            rows,
            holders,
            vendors,
            self._counted_time(metric, need, window),
            found,
            later,
            touching,
            beats,
            self.budget,
            self._told.setdefault((metric.metric, need.period, window), ToldBySubject()),
        )

    def _counted_time(self, metric: Metric, need: Need, window: Window) -> CountedTime:
        """The time of a window that counts for a metric: put together once."""
        key = metric.metric, need.period, window
        if key not in self._times:
            hours = None if isinstance(metric.measure, TicketsInTime) else metric.business_hours
            terms = () if self.unexcused else metric.exclusions
            excused = tuple(Excused(term, self._upstream(term, need, window)) for term in terms)
            self._times[key] = CountedTime.of(*bounds_us(window), hours, excused)
        return self._times[key]

    def _upstream(self, term: Exclusion, need: Need, window: Window) -> tuple[Interval, ...]:
        """The outages of what is upstream, as far as they are known."""
        if not isinstance(term, Upstream):
            return ()
        counter = replace(self, only=None, **_anew())
        above = Need(term.metric, term.subject, need.period, need.vendor)
        asked = replace(counter.question(above, window), later=True, told=ToldBySubject())
        self.budget.spend(1 + len(asked.rows))
        return outages.time_out(asked)

    def _beats(self, metric: Metric, need: Need, window: Window) -> Int64s | None:
        """When the metric's heartbeat was heard: of the need's subject, or of none."""
        span = heartbeat_span(metric, window)
        if span is None:
            return None
        number = self.numbers.get((self.programme.programme, span.metric))
        facts = self.fact_index.facts
        if number is None or span.since_us is None or span.until_us is None:
            return facts.at_us[NOTHING]
        beating = self.programme.metric(span.metric)
        rows = self.fact_index.within(number, span.since_us, span.until_us, self.budget)
        rows = rows if beating is None else self._counting(beating, rows)
        if need.subject is not None:
            own = [code for code, name in enumerate(facts.subjects) if name == need.subject]
            rows = rows[np.isin(facts.subject[rows], [*own, -1])]
        return np.unique(facts.at_us[rows])

    def _rows(self, metric: Metric, need: Need, window: Window) -> Index:
        number = self.numbers.get((self.programme.programme, metric.metric))
        if number is None or isinstance(metric.measure, Composite):
            return NOTHING
        if isinstance(metric.measure, _BY_THING):
            if metric.metric not in self._of_things:
                every = self.fact_index.of(number)
                self._of_things[metric.metric] = self._fitting(metric, every)
            return self._of_things[metric.metric]
        facts = self.fact_index.facts
        within = (
            self.fact_index.of(number)
            if isinstance(metric.measure, AvailabilityByStatus)
            else self.fact_index.within(number, *bounds_us(window), self.budget)
        )
        rows = self._fitting(metric, within)
        if need.subject is None:
            return rows
        codes = [code for code, name in enumerate(facts.subjects) if name == need.subject]
        return rows[np.isin(facts.subject[rows], codes)]

    def _fitting(self, metric: Metric, rows: Index) -> Index:
        """Of a metric's rows, those of its measure's kinds that count: a metric may have been
        counted by another measure once, from facts that fit no more."""
        kinds = self.fact_index.facts.kind[rows]
        return self._counting(metric, rows[np.isin(kinds, KINDS_OF_MEASURE[metric.measure.kind])])

    def _count(self, question: Question) -> CountedFigure:
        measure = question.metric.measure
        match measure:
            case AvailabilityBySamples():
                return values.good_samples(question)
            case Ratio():
                return values.good_of_total(question)
            case AvailabilityByStatus():
                return status.availability(question, measure)
            case AvailabilityByOutages():
                return outages.availability(question, measure)
            case OutageTime():
                return outages.time(question, measure)
            case OutageCount():
                return outages.count(question, measure)
            case Total():
                return values.total(question)
            case Mean():
                return values.mean(question, measure)
            case Extreme():
                return values.extreme(question, measure)
            case Percentile():
                return values.percentile(question, measure)
            case WithinLimit():
                return values.within_limit(question, measure)
            case TicketsInTime():
                return tickets.in_time(question, measure)
            case Declared():
                return declared.last_figure(question, self.figures.since_us)
            case DeliveryDelay():
                return deliveries.delay(question, measure)
            case Composite():
                return composed(
                    measure,
                    [
                        self.answer(_of_part(part, question.need), question.window)
                        for part in measure.parts
                    ],
                    question,
                )

    def subjects(self, need: Need, window: Window) -> tuple[str, ...]:
        """Every subject of whom there are facts for a need that asks for all, in order of name."""
        facts = self.fact_index.facts
        question = self.question(need, window)
        if isinstance(question.metric.measure, Declared):
            return declared.subjects(question)
        codes = np.unique(facts.subject[self.answer(need, window).rows]).tolist()
        return tuple(sorted({facts.subjects[code] for code in codes if code >= 0}))


def _as_stated(metric: Metric, answer: CountedFigure) -> CountedFigure:
    """The answer with what the metric states where there was nothing to count."""
    measure = metric.measure
    stated: NothingToCount | None = getattr(measure, "nothing_to_count", None)
    if not answer.nothing or stated is None:
        return answer
    if isinstance(stated, CountsAs):
        return replace(answer, value=stated.counts_as, nothing_to_count="counts_as")
    return replace(answer, nothing_to_count=stated)


def _anew() -> dict[str, Any]:
    """What a counter has found so far, of one that counts otherwise: nothing."""
    return {"_answers": {}, "_told": {}, "_of_things": {}, "_times": {}}


def _of_part(part: str, need: Need) -> Need:
    """What a composite needs of one of its parts: the same subject, period and vendor."""
    return Need(part, need.subject, need.period, need.vendor)


def with_parts(programme: Programme, needs: Sequence[Need]) -> tuple[Need, ...]:
    """The needs, those of all parts of composites and of heartbeats, each once, in order."""
    found: dict[Need, None] = {}
    waiting = list(reversed(needs))
    while waiting:
        need = waiting.pop()
        if need in found:
            continue
        found[need] = None
        metric = programme.metric(need.metric)
        if metric is not None and isinstance(metric.measure, Composite):
            waiting.extend(_of_part(part, need) for part in reversed(metric.measure.parts))
        if metric is not None and metric.heartbeat is not None:
            waiting.append(_of_part(metric.heartbeat.metric, need))
        for term in metric.upstreams if metric is not None else ():
            waiting.append(Need(term.metric, term.subject, need.period, need.vendor))
    return tuple(found)
