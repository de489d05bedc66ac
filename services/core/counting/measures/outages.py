"""Outages: put together from what was said, merged where they overlap, counted in one window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import ceil, floor

import msgspec
import numpy as np

from schemas.base import AcrossPeriods
from schemas.evaluation import Part
from schemas.programme import OutageTime
from services.core.calendar.windows import instant, microseconds
from services.core.counting.measures.boundaries import Extent
from services.core.counting.measures.question import (
    NOTHING,
    UNIT_US,
    CountedFigure,
    Question,
    percent,
    positions,
    reference,
)

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ReportedOutage:
    """One outage, uncut. ``rows``: the facts that say it. ``opened``: the first of them."""

    name: str
    subject: str | None
    extent: Extent
    rows: tuple[int, ...]
    opened: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Outages that count as one: each alone, or overlapping ones of a subject together."""

    extent: Extent
    members: tuple[ReportedOutage, ...]


@dataclass(slots=True)
class _OutageHistory:
    """What has been said of one outage so far."""

    start: int | None = None
    end: int | None = None
    void: bool = False

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


def reported(question: Question) -> list[ReportedOutage]:
    """The outages that are known in the window, by start and name.

    What opens or closes at or after the window's end is not known in it, unless the question asks
    for what is said later. Corrections are known whenever they were made. An outage that nobody
    opened, that is void, or that ends before it starts is none.
    """
    _, end = question.bounds
    facts = question.facts
    heard: dict[tuple[int, str], list[tuple[int, int, dict[str, object]]]] = {}
    for row in question.rows.tolist():
        data = msgspec.json.decode(facts.data[row])
        at_us = int(facts.at_us[row])
        if at_us < end or question.later or data["phase"] == "correct":
            key = int(facts.source[row]), data["outage"]
            heard.setdefault(key, []).append((at_us, row, data))
    found = [_outage(name, told) for (_, name), told in heard.items()]
    return sorted(
        (outage for outage in found if outage is not None and question.is_about(outage.subject)),
        key=lambda each: (each.extent.start, each.name, each.rows),
    )


def _outage(name: str, told: list[tuple[int, int, dict[str, object]]]) -> ReportedOutage | None:
    said = _OutageHistory()
    subject: str | None = None
    told.sort(key=lambda each: each[:2])
    for at_us, _, data in told:
        said.hear(at_us, data)
        subject = str(data["subject"]) if data.get("subject") is not None else subject
    if said.void or said.start is None or (said.end is not None and said.end < said.start):
        return None
    rows = tuple(row for _, row, _ in told)
    return ReportedOutage(name, subject, Extent(said.start, said.end), rows, rows[0])


def merged(spans: Iterable[Interval]) -> list[Interval]:
    """The stretches covered by any of the spans: overlapping and touching ones become one."""
    result: list[Interval] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return result


def availability(question: Question) -> CountedFigure:
    """Share of the window without outage, in percent; ``good`` and ``total`` are seconds."""
    outages = reported(question)
    inside = [each for each in outages if each.extent.counts(question, "split")]
    start, end = question.bounds
    down = sum(until - since for since, until in merged(_pieces(question, inside)))
    good, total = end - start - down, end - start
    return _counted(
        question,
        CountedFigure(
            value=percent(good, total),
            rows=NOTHING,
            good=Fraction(good, 1_000_000),
            total=Fraction(total, 1_000_000),
            in_pieces=True,
        ),
        outages,
        [(each, "split") for each in inside],
    )


def time(question: Question, measure: OutageTime) -> CountedFigure:
    """Outage time in the metric's unit. ``total``: how many outages.

    There is no value while an outage that counts here as a whole is not over.
    """
    outages = reported(question)
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
    known = all(how != "begins" or stretch.extent.end is not None for stretch, how in here)
    return _counted(
        question,
        CountedFigure(
            value=sum(counted, Fraction(0)) if known else None,
            rows=NOTHING,
            total=Fraction(len(members)),
        ),
        outages,
        members,
        unit,
    )


def count(question: Question) -> CountedFigure:
    """How many outages count in the window."""
    outages = reported(question)
    alone = [_Stretch(each.extent, (each,)) for each in outages]
    here = [(stretch.members[0], how) for stretch, how in _here(question, alone)]
    return _counted(question, CountedFigure(value=Fraction(len(here)), rows=NOTHING), outages, here)


def _stretches(outages: list[ReportedOutage], measure: OutageTime) -> list[_Stretch]:
    """What counts as one outage: overlapping and touching ones of a subject, or each alone."""
    if measure.overlap == "each":
        return [_Stretch(each.extent, (each,)) for each in outages]
    found: dict[str, list[_Stretch]] = {}
    for each in outages:
        _join(found.setdefault(each.subject or "", []), each)
    return [stretch for own in found.values() for stretch in own]


def _join(stretches: list[_Stretch], outage: ReportedOutage) -> None:
    """Add an outage to the last stretch where it meets it; they come in order of their start."""
    extent = outage.extent
    if stretches:
        last = stretches[-1]
        if last.extent.end is None or extent.start <= last.extent.end:
            ends = (last.extent.end, extent.end)
            until = None if None in ends else max(end for end in ends if end is not None)
            joined = Extent(last.extent.start, until)
            stretches[-1] = _Stretch(joined, (*last.members, outage))
            return
    stretches.append(_Stretch(extent, (outage,)))


def _here(question: Question, stretches: list[_Stretch]) -> list[tuple[_Stretch, AcrossPeriods]]:
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
        yield piece.start, piece.start + piece.length(question)


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
    )
