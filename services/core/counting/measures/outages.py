"""Outages: put together from what was said, merged where they overlap, counted in one window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import msgspec
import numpy as np

from schemas.base import AcrossPeriods
from schemas.evaluation import ExcludedTime, IncompleteOccurrence, Part
from schemas.exclusions import Recurring
from schemas.period import Window
from schemas.programme import AvailabilityByOutages, OutageCount, OutageTime
from services.core.calendar.intervals import Interval, common, length, merged, without
from services.core.calendar.windows import DAY_US, instant, microseconds
from services.core.counting.measures.boundaries import Extent
from services.core.counting.measures.counted_time import CountedTime
from services.core.counting.measures.interruptions import (
    ReportedOutage,
    Stretch,
    interruptions,
    stretches,
)
from services.core.counting.measures.observed import known_us, unknown_stretches
from services.core.counting.measures.question import (
    NOTHING,
    UNIT_US,
    CountedFigure,
    Question,
    percent,
    positions,
    reference,
)
from services.core.counting.measures.slices import bad_slices, reach_us

OutageMeasure = AvailabilityByOutages | OutageTime | OutageCount


@dataclass(slots=True)
class OutageHistory:
    """What has been said of one outage so far.

    ``rows``: the facts that say it, in order of time. ``times``: when each of them was.
    """

    name: str
    start: int | None = None
    end: int | None = None
    void: bool = False
    subject: str | None = None
    rows: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def hear(self, at_us: int, data: Mapping[str, object]) -> None:
        """Take in the next fact, in order of time. The first open and the first close stand."""
        if data["phase"] == "correct":
            self.void = bool(data.get("void", False))
            self.start = _moment(data.get("started_at"), self.start)
            self.end = _moment(data.get("ended_at"), self.end)
        elif data["phase"] == "open":
            self.start = at_us if self.start is None else self.start
        else:
            self.end = at_us if self.end is None else self.end


def _moment(text: object, otherwise: int | None) -> int | None:
    return microseconds(datetime.fromisoformat(text)) if isinstance(text, str) else otherwise


@dataclass(frozen=True, slots=True)
class _KnownTime:
    """What is known: outages by start and name, halves, and unknown stretches of the window.

    ``observed``: whether any fact of the metric lies in the window or any outage touches it.
    ``short``: how many interruptions are too short to count. ``excluded``: by exclusion.
    """

    outages: list[ReportedOutage]
    incomplete: tuple[IncompleteOccurrence, ...]
    unknown: list[Interval]
    observed: bool
    short: int
    excluded: tuple[ExcludedTime, ...]

    @property
    def unknown_us(self) -> int:
        return sum(end - start for start, end in self.unknown)


def _known(question: Question, measure: OutageMeasure) -> _KnownTime:
    """The outages that are known in the window.

    What opens or closes at or after the window's end is not known in it, unless the question asks
    for what is said later. Corrections are known whenever they were made. An outage that is void is
    none; of one that nobody opened, or that ends before it starts, the measure says what it is.
    """
    start, end = question.bounds
    told = question.told.about(
        question.need.subject, lambda: _histories(question), lambda each: (each.subject,)
    )
    incomplete = [
        _incomplete(question, measure, said, missing)
        for said in told
        if (missing := _missing(said, start, end)) is not None
    ]
    if measure.incomplete == "from_window_start":
        told = [
            replace(said, start=start) if _missing(said, start, end) == "open" else said
            for said in told
        ]
    found = [_outage(said) for said in told]
    outages = sorted(
        (each for each in found if each is not None),
        key=lambda each: (each.extent.start, each.name, each.rows),
    )
    excluded = tuple(_excluded(question, outages))
    outages, short = interruptions(question, outages, measure.interruptions)
    outages = [each for each in outages if each.extent.is_counted(question)]
    inside = [each for each in outages if each.extent.counts(question, "split")]
    heard = any(start <= at_us < end for said in told for at_us in said.times)
    unknown = [] if question.beats is None else _unknown(question, inside)
    return _KnownTime(
        outages, tuple(incomplete), unknown, heard or bool(inside or short), short, excluded
    )


def _excluded(question: Question, outages: Sequence[ReportedOutage]) -> Iterator[ExcludedTime]:
    """What lies in each exclusion of the outages of the window."""
    start, end = question.bounds
    if not question.counted.excused:
        return
    inside = [each for each in outages if each.extent.meets(question)]
    open_ = CountedTime.of(start, end, question.counted.hours).spans
    out = common(merged(_pieces(question, inside)), open_)
    for one in question.counted.excused:
        covered = one.within(start, end)
        recurs = isinstance(one.term, Recurring)
        yield ExcludedTime(
            exclusion=one.term.exclusion,
            taken_off=one.term.taken_off,
            bad_seconds=Fraction(length(common(out, covered)), UNIT_US["seconds"]),
            windows=tuple(map(_window, covered)) if recurs else (),
        )


def _window(span: Interval) -> Window:
    return Window(start=instant(span[0]), end=instant(span[1]))


def time_out(question: Question) -> tuple[Interval, ...]:
    """When any outage was that counts, as a set, also beyond the window."""
    measure = question.metric.measure
    assert isinstance(measure, OutageMeasure)
    found = _known(question, measure).outages
    spans = ((each.extent.start, each.extent.end_by(question)) for each in found)
    return tuple(merged(spans))


def _histories(question: Question) -> list[OutageHistory]:
    """What is known of every outage."""
    _, end = question.bounds
    facts = question.facts
    heard: dict[tuple[int, str], list[tuple[int, int, dict[str, object]]]] = {}
    for row in question.rows.tolist():
        question.budget.spend()
        data = msgspec.json.decode(facts.data[row])
        at_us = int(facts.at_us[row])
        if at_us < end or question.later or data["phase"] == "correct":
            key = int(facts.source[row]), data["outage"]
            heard.setdefault(key, []).append((at_us, row, data))
    return [_history(name, told) for (_, name), told in heard.items()]


def _history(name: str, told: list[tuple[int, int, dict[str, object]]]) -> OutageHistory:
    said = OutageHistory(name)
    told.sort(key=lambda each: each[:2])
    for at_us, row, data in told:
        said.hear(at_us, data)
        said.rows.append(row)
        said.times.append(at_us)
        if data.get("subject") is not None:
            said.subject = str(data["subject"])
    return said


def _missing(
    said: OutageHistory, start: int, end: int
) -> Literal["open", "end_after_start"] | None:
    """The half that is not there of an outage that speaks of the window."""
    if said.void or said.end is None:
        return None
    if said.start is None:
        return "open" if start <= said.end < end else None
    turned = said.end < said.start
    speaks = start <= said.end < end or start <= said.start < end
    return "end_after_start" if turned and speaks else None


def _incomplete(
    question: Question,
    measure: OutageMeasure,
    said: OutageHistory,
    missing: Literal["open", "end_after_start"],
) -> IncompleteOccurrence:
    from_start = measure.incomplete == "from_window_start"
    counts: Literal["waits", "left_out", "from_window_start"] = "waits"
    if measure.incomplete == "left_out":
        counts = "left_out"
    elif from_start and missing == "open":
        counts = "from_window_start"
    return IncompleteOccurrence(
        part=said.name,
        subject=said.subject,
        missing=missing,
        counts=counts,
        events=tuple(reference(question.facts, row) for row in said.rows),
    )


def _outage(said: OutageHistory) -> ReportedOutage | None:
    if said.void or said.start is None or (said.end is not None and said.end < said.start):
        return None
    rows = tuple(said.rows)
    return ReportedOutage(said.name, said.subject, Extent(said.start, said.end), rows, rows[0])


def _unknown(question: Question, inside: list[ReportedOutage]) -> list[Interval]:
    """The time of which nobody reports and the heartbeat says nothing."""
    start, end = question.bounds
    heartbeat = question.metric.heartbeat
    assert heartbeat is not None
    assert question.beats is not None
    silent = unknown_stretches(question.beats, start, end, known_us(heartbeat))
    return question.counted.of_window(without(silent, merged(_pieces(question, inside))))


def _as_known(
    question: Question, measure: OutageMeasure, known: _KnownTime, figure: CountedFigure
) -> CountedFigure:
    """The figure with what is not known of its window; none where too little is known."""
    heartbeat = measure.heartbeat
    silent = measure.silence == "not_observed" and not known.observed
    if heartbeat is not None and known.unknown:
        all_of_it = known.unknown_us == question.counted.total_us
        silent = heartbeat.unknown_time == "no_data" or all_of_it
    return replace(
        figure,
        value=None if silent else figure.value,
        unknown_us=None if question.beats is None else known.unknown_us,
        incomplete=known.incomplete,
        short=known.short,
        excluded=known.excluded,
    )


def availability(question: Question, measure: AvailabilityByOutages) -> CountedFigure:
    """Share of the time that counts without outage, in percent; ``good`` and ``total`` are seconds.

    Unknown time is left out of both.
    """
    known = _known(question, measure)
    outages = known.outages
    inside = [each for each in outages if each.extent.counts(question, "split")]
    counted = question.counted
    out = merged(_pieces(question, inside))
    slices: int | None = None
    if measure.slices is not None:
        near = _near(question, outages, reach_us(measure.slices))
        out = bad_slices(near, question.bounds, measure.slices)
        slices = length(out) // (measure.slices.minutes * UNIT_US["minutes"])
    down = counted.of_window(out)
    total = counted.total_us - known.unknown_us
    good = total - length(down)
    figure = _counted(
        question,
        CountedFigure(
            value=percent(good, total),
            rows=NOTHING,
            good=Fraction(good, 1_000_000),
            total=Fraction(total, 1_000_000),
            in_pieces=True,
            nothing=not counted.spans,
            bad_slices=slices,
            down=down,
        ),
        outages,
        [(each, "split") for each in inside],
    )
    return _as_known(question, measure, known, figure)


def _near(question: Question, outages: Sequence[ReportedOutage], reach: int) -> list[Interval]:
    """When any outage was, as a set, also so long before and after the window."""
    start, end = question.bounds
    spans = (
        (each.extent.start, end + reach if each.extent.end is None else each.extent.end)
        for each in outages
    )
    return common(merged(spans), [(start - reach, end + reach)])


def time(question: Question, measure: OutageTime) -> CountedFigure:
    """Outage time in the metric's unit. ``total``: how many outages.

    There is no value while an outage that counts here as a whole is not over.
    """
    known = _known(question, measure)
    outages = known.outages
    unit = UNIT_US[question.metric.unit]
    here = _here(question, _stretches(outages, measure))
    counted = [
        _units(_length(question, stretch.extent, how), unit, measure.part) for stretch, how in here
    ]
    members = [
        (outage, how)
        for stretch, how in here
        for outage in stretch.members
        if how != "split" or outage.extent.counts(question, "split")
    ]
    over = all(how != "begins" or stretch.extent.end is not None for stretch, how in here)
    figure = _counted(
        question,
        CountedFigure(
            value=sum(counted, Fraction(0)) if over else None,
            rows=NOTHING,
            total=Fraction(len(members)),
        ),
        outages,
        members,
        unit,
    )
    return _as_known(question, measure, known, figure)


def count(question: Question, measure: OutageCount) -> CountedFigure:
    """How many outages count in the window."""
    known = _known(question, measure)
    outages = known.outages
    alone = [Stretch(each.extent, (each,)) for each in outages]
    here = [(stretch.members[0], how) for stretch, how in _here(question, alone)]
    figure = CountedFigure(value=Fraction(len(here)), rows=NOTHING)
    return _as_known(question, measure, known, _counted(question, figure, outages, here))


def _stretches(outages: list[ReportedOutage], measure: OutageTime) -> list[Stretch]:
    """What counts as one outage: overlapping and touching ones of a subject, or each alone."""
    if measure.overlap == "each":
        return [Stretch(each.extent, (each,)) for each in outages]
    return stretches(outages)


def _here(question: Question, stretches: list[Stretch]) -> list[tuple[Stretch, AcrossPeriods]]:
    """Those that count in the window, with the convention by which they do."""
    found = ((each, question.convention(each.extent.start)) for each in stretches)
    return [(each, how) for each, how in found if each.extent.counts(question, how)]


def _length(question: Question, extent: Extent, how: AcrossPeriods) -> int:
    counted = extent.within(question) if how == "split" else extent
    return counted.length(question)


def _units(us: int, unit: int, part: str) -> Fraction:
    exact = Fraction(us, unit)
    if part == "exact":
        return exact
    return Fraction(ceil(exact) if part == "started_counts" else floor(exact))


def _pieces(question: Question, outages: Iterable[ReportedOutage]) -> Iterable[Interval]:
    for each in outages:
        piece = each.extent.within(question)
        yield piece.start, piece.end_by(question)


def _counted(
    question: Question,
    figure: CountedFigure,
    outages: list[ReportedOutage],
    here: list[tuple[ReportedOutage, AcrossPeriods]],
    unit: int = UNIT_US["minutes"],
) -> CountedFigure:
    """A figure with the outages that count in it, those that only touch it, and their facts."""
    since, _ = question.bounds
    here = sorted(here, key=lambda each: (max(each[0].extent.start, since), *_name(each[0])))
    counted = {each.rows for each, _ in here}
    touching = [
        each
        for each in outages
        if question.with_touching and each.rows not in counted and each.extent.touches(question)
    ]
    looked_at = [*(each for each, _ in here), *touching]
    return replace(
        figure,
        rows=positions(row for each in looked_at for row in each.rows),
        telling=np.array([each.opened for each in looked_at], np.intp),
        parts=tuple(_part(question, each, how, unit) for each, how in here),
        touching=tuple(_part(question, each, "split", unit) for each in touching),
        unfinished=tuple(
            each.name
            for each, how in here
            if how == "begins" and each.extent.end is None and question.later
        ),
    )


def _name(outage: ReportedOutage) -> tuple[str, tuple[int, ...]]:
    return outage.name, outage.rows


def _part(question: Question, outage: ReportedOutage, how: AcrossPeriods, unit: int) -> Part:
    """The outage with its own exact time, in the metric's unit or in minutes."""
    _, until = question.bounds
    extent = outage.extent.within(question) if how == "split" else outage.extent
    return Part(
        part=outage.name,
        subject=outage.subject,
        start=instant(extent.start),
        end=instant(until if extent.end is None else extent.end),
        amount=Fraction(extent.length(question), unit),
        good=False,
        events=tuple(reference(question.facts, row) for row in outage.rows),
        whole=outage.extent.whole(question, unit),
        pieces=_counted_pieces(question, extent),
    )


def _counted_pieces(question: Question, extent: Extent) -> tuple[Window, ...]:
    """The stretches of it that count; none where all of it does."""
    start, end = extent.start, extent.end_by(question)
    if question.counted.length(start, end) == end - start:
        return ()
    question.budget.spend((end - start) // DAY_US)
    return tuple(map(_window, question.counted.pieces(start, end)))
