"""What is left of a figure when each occurrence counts only by its attributed share.

Judging, pricing and rights to terminate all read the same attributed figure. A share of time stays
a share of time: what is attributed is taken out of the window after outages that overlap are
merged. A number of occurrences is not multiplied: one counts if its share is above zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from schemas.absence import CountsAs
from schemas.credit import PartOfUnit
from schemas.evaluation import CircumstanceFact, Counting, EventRef, MetricFigure, Part
from schemas.level import Attribution, Level
from schemas.statement import Step
from services.core.calendar.intervals import Interval
from services.core.calendar.windows import bounds_us, microseconds
from services.core.counting.measures.question import UNIT_US, percent
from services.core.exact.arithmetic import HUNDRED, ZERO, number_text, percent_of, whole_units
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.stated import misstated_text
from services.core.inputs.worksheet import step

_SECOND_US = UNIT_US["seconds"]
_PART_OF_UNIT: dict[str, PartOfUnit] = {
    "exact": "in_proportion",
    "started_counts": "counts_in_full",
    "full_only": "does_not_count",
}


_PartKey = tuple[str, str | None, tuple[EventRef, ...]]
"""What tells parts apart: the name, the vendor whose share it is, and the events that state it."""


def _key(part: Part) -> _PartKey:
    return part.part, part.vendor, part.events


@dataclass(frozen=True, slots=True)
class AttributedFigure:
    """A figure with what is attributed of it; a part of which that is nothing is none.

    ``shares``: in percent, of each part. ``steps`` say so in words. ``events`` are the statements
    of attribution.
    """

    figure: MetricFigure
    shares: Mapping[_PartKey, Fraction] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    events: tuple[EventRef, ...] = ()

    def share_of(self, part: Part) -> Fraction:
        """How much of a part is attributed, in percent; all of it where nothing is in shares."""
        return self.shares.get(_key(part), HUNDRED)


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One part with its share in percent. ``note``: what to say of it besides."""

    part: Part
    share: Fraction
    note: str = ""
    fact: CircumstanceFact | None = None

    @property
    def counts(self) -> bool:
        return self.share > 0

    def attributed(self) -> Part:
        """The part with what is attributed of its time, inside the window and in all."""
        whole = self.part.whole
        if whole is not None:
            times = ("amount", "before", "so_far")
            own = {time: percent_of(self.share, getattr(whole, time)) for time in times}
            whole = whole.model_copy(update=own)
        amount = percent_of(self.share, self.part.amount)
        return self.part.model_copy(update={"amount": amount, "whole": whole})


def attributed(
    context: PeriodContext, level: Level, figure: MetricFigure, term: str
) -> AttributedFigure:
    """The figure of a level's own metric as the level's terms see it, also one without a value.

    ``term``: the level's path. Where the level attributes nothing, the figure itself. Raises
    InvalidDeclaration for a statement that names no occurrence or no party.
    """
    if level.attributed is None or figure.metric != level.metric:
        return AttributedFigure(figure)
    stated = _statements(context, level.attributed, level, figure.period)
    occurrences, touching = (
        [_occurrence(context, level.attributed, stated, part) for part in parts]
        for parts in (figure.parts, figure.touching)
    )
    counted = figure
    said: tuple[Step, ...] = ()
    if figure.value is not None:
        counting = figure.counting or _counted_before(figure)
        counted, result = _COUNTS[counting.measure](figure, counting, occurrences)
        said = (_said(context, occurrences, counting, counted, result, f"{term}.attributed"),)
    counted = counted.model_copy(
        update={
            "parts": tuple(one.attributed() for one in occurrences if one.counts),
            "touching": tuple(one.attributed() for one in touching if one.counts),
        }
    )
    return AttributedFigure(
        figure=counted,
        shares={_key(one.part): one.share for one in (*occurrences, *touching)},
        steps=(
            *_unknown(context, level.attributed, stated, f"{term}.attributed"),
            *said,
        ),
        events=tuple(one.fact.event for one in occurrences if one.fact is not None),
    )


# --- shares -------------------------------------------------------------------------------------


_OccurrenceKey = tuple[str, str | None]
"""The name of an occurrence and the source that reports it; None where a statement names none."""


def _statements(
    context: PeriodContext, term: Attribution, level: Level, period: str
) -> dict[_OccurrenceKey, CircumstanceFact]:
    """By occurrence, the last statement for the period of whom it is attributed to.

    One that names the level goes before one that names none. Raises InvalidDeclaration for one
    that names no source, where occurrences of two sources have its name.
    """
    reporters = _reporters(context, level)
    facts = [
        fact
        for fact in context.inputs.of_any(term.circumstance, period)
        if fact.circumstance.level in (None, level.level)
    ]
    found: dict[_OccurrenceKey, CircumstanceFact] = {}
    for fact in sorted(facts, key=lambda one: one.circumstance.level is not None):
        said = fact.circumstance
        if said.subject is None:
            raise InvalidDeclaration(
                f"the circumstance {said.circumstance} of {said.period} (event {fact.event.id}) "
                "names no occurrence; correct it with the outage, ticket or delivery as 'subject'"
            )
        if not isinstance(said.values.get("to"), str):
            listed = ", ".join(one.attributed_to for one in term.shares)
            wanted = f"whom it is attributed to, such as one of: {listed}"
            raise InvalidDeclaration(misstated_text(fact, "to", said.values.get("to"), wanted))
        reported = reporters.get(said.subject, ())
        found[said.subject, _source(context, fact, reported)] = fact
    return found


def _reporters(context: PeriodContext, level: Level) -> Mapping[str, Sequence[str]]:
    """The sources that report an occurrence, by its name, in all windows of the period."""
    found: dict[str, set[str]] = defaultdict(set)
    for figure in context.inputs.evaluation.figures:
        if figure.metric == level.metric:
            for part in (*figure.parts, *figure.touching):
                found[part.part].update(event.source for event in part.events)
    return {name: sorted(sources) for name, sources in found.items()}


def _source(context: PeriodContext, fact: CircumstanceFact, reporters: Sequence[str]) -> str | None:
    """The source whose occurrence a statement speaks of; None where none is stated or reports."""
    stated = fact.circumstance.values.get("source")
    if isinstance(stated, str):
        return stated
    if stated is None and len(reporters) < 2:
        return next(iter(reporters), None)
    references = context.inputs.references
    listed = ", ".join(map(references.source, reporters))
    name = references.name(fact.circumstance.subject or "")
    if stated is not None:
        wanted = f"the source that reports {name}"
        raise InvalidDeclaration(misstated_text(fact, "source", stated, wanted))
    said = fact.circumstance
    raise InvalidDeclaration(
        f"the circumstance {said.circumstance} of {said.period} (event {fact.event.id}) attributes "
        f"{name}, and each of these sources reports one of that name: {listed}; correct it "
        "with one of them as 'values.source', and state the other one by itself"
    )


def _occurrence(
    context: PeriodContext,
    term: Attribution,
    stated: Mapping[_OccurrenceKey, CircumstanceFact],
    part: Part,
) -> _Occurrence:
    of_source = (stated.get((part.part, event.source)) for event in part.events)
    fact = next(filter(None, of_source), stated.get((part.part, None)))
    if fact is None:
        if term.unattributed == "wait":
            name = context.inputs.references.occurrence(part)
            context.blockers.add(f"{name} is not attributed to anybody yet")
        share = HUNDRED if term.unattributed == "counts_in_full" else ZERO
        return _Occurrence(part, share, "attributed to nobody")
    party = str(fact.circumstance.values["to"])
    for one in term.shares:
        if one.attributed_to == party:
            return _Occurrence(part, one.percent, "", fact)
    named = context.inputs.references.party(party)
    return _Occurrence(part, ZERO, f"{named} is not listed", fact)


def _unknown(
    context: PeriodContext,
    term: Attribution,
    stated: Mapping[_OccurrenceKey, CircumstanceFact],
    path: str,
) -> Iterator[Step]:
    """What is attributed although no figure of the period counts it."""
    known = {
        (part.part, source)
        for one in context.inputs.evaluation.figures
        for part in (*one.parts, *one.touching)
        for source in (None, *(event.source for event in part.events))
    }
    references = context.inputs.references
    names = sorted(
        f"{name} of {references.source(source)}" if source else name
        for name, source in stated.keys() - known
    )
    if names:
        text = (
            f"{term.circumstance} attributes {', '.join(names)}, which no figure of "
            f"{context.period} counts: correct the name if it should"
        )
        yield step("not-attributed", path, text)


# --- figures ------------------------------------------------------------------------------------

_CountAndWords = tuple[MetricFigure, str]
"""The figure, and what it comes to in words."""


def _availability(
    figure: MetricFigure, _: Counting, occurrences: Sequence[_Occurrence]
) -> _CountAndWords:
    """The share of time without what is attributed. Only what lies inside the window counts."""
    start, end = bounds_us(figure.window)
    lost = sum(_stretches(_spans(occurrences, start, end)), ZERO)
    total = Fraction(end - start, _SECOND_US) if figure.total is None else figure.total
    good = max(total - lost / _SECOND_US, ZERO)
    value = percent(good, total)
    said = f"{number_text(lost / UNIT_US['minutes'])} minutes in all"
    return figure.model_copy(update={"value": value, "good": good, "total": total}), said


def _time(
    figure: MetricFigure, counting: Counting, occurrences: Sequence[_Occurrence]
) -> _CountAndWords:
    """Outage time: the share is taken of the exact time, which is then counted in units."""
    part = _PART_OF_UNIT[counting.part or "exact"]
    unit = UNIT_US[counting.unit]
    said = ""
    if counting.overlap == "merged":
        said = "where they overlap, the highest share once"
        by_subject: dict[str, list[_Occurrence]] = defaultdict(list)
        for one in occurrences:
            by_subject[one.part.subject or ""].append(one)
        times = [
            sum(_stretches(_spans(together)), ZERO) / unit
            for own in by_subject.values()
            for together in _touching(own)
        ]
    else:
        times = [percent_of(one.share, one.part.amount) for one in occurrences]
    value = sum((whole_units(time, part) for time in times), ZERO)
    total = Fraction(sum(one.counts for one in occurrences))
    return figure.model_copy(update={"value": value, "total": total}), said


def _number(
    figure: MetricFigure, _: Counting, occurrences: Sequence[_Occurrence]
) -> _CountAndWords:
    assert figure.value is not None, "a figure without a value is not attributed"
    value = figure.value - sum(not one.counts for one in occurrences)
    return figure.model_copy(update={"value": value}), "each counts whose share is above zero"


def _tickets(
    figure: MetricFigure, counting: Counting, occurrences: Sequence[_Occurrence]
) -> _CountAndWords:
    """A ticket that is attributed elsewhere is neither in time nor late: it is left out."""
    good, total = _left(figure, occurrences)
    said = f"{number_text(good)} in time of {number_text(total)} whose share is above zero"
    return _of_those(figure, counting, percent(good, total), good, total), said


def _of_those(
    figure: MetricFigure,
    counting: Counting,
    value: Fraction | None,
    good: Fraction,
    total: Fraction,
) -> MetricFigure:
    """The figure of what is left; where nothing is, what the metric states for nothing to count."""
    found = figure.model_copy(update={"value": value, "good": good, "total": total})
    if total or not figure.total:
        return found
    stated = counting.nothing_to_count
    if isinstance(stated, CountsAs):
        counts_as = {"value": stated.counts_as, "nothing_to_count": "counts_as"}
        return found.model_copy(update=counts_as)
    return found.model_copy(update={"value": None, "nothing_to_count": stated})


def _left(figure: MetricFigure, occurrences: Sequence[_Occurrence]) -> tuple[Fraction, Fraction]:
    """The good ones and all, without those of which nothing is attributed."""
    assert figure.good is not None
    assert figure.total is not None
    without = [one.part for one in occurrences if not one.counts]
    return figure.good - sum(part.good is True for part in without), figure.total - len(without)


def _deliveries(
    figure: MetricFigure, counting: Counting, occurrences: Sequence[_Occurrence]
) -> _CountAndWords:
    good, total = _left(figure, occurrences)
    said = f"{number_text(total - good)} late of {number_text(total)} whose share is above zero"
    return _of_those(figure, counting, total - good, good, total), said


_COUNTS: dict[str, Callable[[MetricFigure, Counting, Sequence[_Occurrence]], _CountAndWords]] = {
    "availability_by_outages": _availability,
    "outage_time": _time,
    "outage_count": _number,
    "tickets_in_time": _tickets,
    "delivery_delay": _deliveries,
}


def _counted_before(figure: MetricFigure) -> Counting:
    """How a figure was counted by a release that did not say it, as far as it shows.

    Raises InvalidDeclaration where it does not.
    """
    amounts = sum((part.amount for part in figure.parts), ZERO)
    if figure.good is not None and figure.total is not None:
        start, end = bounds_us(figure.window)
        if figure.total == Fraction(end - start, _SECOND_US):
            return Counting(measure="availability_by_outages", unit="percent")
        if any(part.vendor is not None for part in figure.parts):
            return Counting(measure="tickets_in_time", unit="percent")
        return Counting(measure="delivery_delay", unit="days")
    if figure.value == amounts:
        return Counting(measure="outage_time", unit="minutes", overlap="each", part="exact")
    if figure.value == len(figure.parts) and figure.total is None:
        return Counting(measure="outage_count", unit="count")
    raise InvalidDeclaration(
        f"the figure of {figure.metric} in {figure.period} was counted by an earlier release and "
        "does not say how outages that overlap are counted; have the period evaluated again"
    )


# --- stretches of time --------------------------------------------------------------------------

_WeightedSpan = tuple[int, int, Fraction]
"""From, until, in microseconds, and the share in percent."""


def _spans(
    occurrences: Iterable[_Occurrence], start: int | None = None, end: int | None = None
) -> Iterator[_WeightedSpan]:
    """The time of each occurrence that counts, cut at the window's ends where they are given."""
    for one in occurrences:
        for since, until in _counted_time(one):
            since = since if start is None else max(since, start)
            until = until if end is None else min(until, end)
            if since < until:
                yield since, until, one.share


def _counted_time(one: _Occurrence) -> list[Interval]:
    """The stretches of an occurrence that count; none where it does not count."""
    part = one.part
    if not one.counts or part.start is None or part.end is None:
        return []
    if not part.pieces:
        return [(microseconds(part.start), microseconds(part.end))]
    return [bounds_us(piece) for piece in part.pieces]


def _touching(occurrences: Iterable[_Occurrence]) -> list[list[_Occurrence]]:
    """Those that count, in groups that overlap or touch: each group is one stretch of time."""
    counting = [
        (microseconds(one.part.start), microseconds(one.part.end), one)
        for one in occurrences
        if one.counts and one.part.start is not None and one.part.end is not None
    ]
    groups: list[list[_Occurrence]] = []
    last = 0
    for since, until, one in sorted(counting, key=lambda each: each[:2]):
        if groups and since <= last:
            groups[-1].append(one)
        else:
            groups.append([one])
        last = max(last, until) if groups[-1][0] is not one else until
    return groups


def _stretches(spans: Iterable[_WeightedSpan]) -> Iterator[Fraction]:
    """What is attributed of each stretch covered by any span, in microseconds.

    Spans that overlap or touch are one stretch. Each instant counts once, by the highest share of
    the spans that cover it.
    """
    changes: dict[int, list[tuple[Fraction, int]]] = defaultdict(list)
    for since, until, share in spans:
        changes[since].append((share, 1))
        changes[until].append((share, -1))
    active: Counter[Fraction] = Counter()
    lost, last = ZERO, 0
    for at in sorted(changes):
        if active:
            lost += percent_of(max(active), Fraction(at - last))
        for share, change in changes[at]:
            active[share] += change
        active = +active
        last = at
        if not active:
            yield lost
            lost = ZERO


# --- words --------------------------------------------------------------------------------------


def _said(
    context: PeriodContext,
    occurrences: Sequence[_Occurrence],
    counting: Counting,
    counted: MetricFigure,
    result: str,
    path: str,
) -> Step:
    """``attributed: 100 % of 60 (major), 0 % of 20 (c, buyer is not listed): 60``."""
    unit = "" if counting.measure == "outage_time" else f" {_unit_of_parts(counting)}"
    name_of = context.inputs.references.occurrence
    said = ", ".join(
        f"{number_text(one.share)} % of {number_text(one.part.amount)}{unit} "
        f"({', '.join(filter(None, (name_of(one.part), one.note)))})"
        for one in occurrences
    )
    listed = f"{said}; {result}" if said and result else said or "no occurrence"
    value = counted.value
    shown = "no figure" if value is None else number_text(value)
    return step("attributed", path, f"attributed: {listed}: {shown}", value)


def _unit_of_parts(counting: Counting) -> str:
    if counting.unit in UNIT_US:
        return counting.unit
    return "days" if counting.measure == "delivery_delay" else "minutes"
