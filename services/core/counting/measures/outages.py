"""Outages: put together from what was said, cut at the window, merged where they overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil, floor

import msgspec
import numpy as np

from schemas.evaluation import Part
from schemas.programme import OutageTime
from services.core.calendar.windows import instant, microseconds
from services.core.counting.measures.question import (
    UNIT_US,
    CountedFigure,
    Question,
    percent,
    positions,
    reference,
)
from services.core.events.facts import Index

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ReportedOutage:
    """One outage within a window: times in microseconds, cut at the window's ends.

    ``began``: its start, uncut. ``rows``: the facts that say it. ``opened``: the first of them.
    """

    name: str
    subject: str | None
    began: int
    start: int
    end: int
    rows: tuple[int, ...]
    opened: int


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


def in_window(question: Question) -> list[ReportedOutage]:
    """The outages that touch the window, by start and name.

    What opens or closes at or after the window's end is not known in it: an outage still open
    then lasts to the end. Corrections are known whenever they were made. An outage that nobody
    opened, that is void, or that ends before it starts is none.
    """
    start, end = question.bounds
    facts = question.facts
    heard: dict[tuple[int, str], list[tuple[int, int, dict[str, object]]]] = {}
    for row in question.rows.tolist():
        data = msgspec.json.decode(facts.data[row])
        at_us = int(facts.at_us[row])
        if at_us < end or data["phase"] == "correct":
            key = int(facts.source[row]), data["outage"]
            heard.setdefault(key, []).append((at_us, row, data))
    found = [_outage(name, told, start, end) for (_, name), told in heard.items()]
    return sorted(
        (outage for outage in found if outage is not None and question.is_about(outage.subject)),
        key=lambda each: (each.start, each.name, each.rows),
    )


def _outage(
    name: str, told: list[tuple[int, int, dict[str, object]]], start: int, end: int
) -> ReportedOutage | None:
    said = _OutageHistory()
    subject: str | None = None
    told.sort(key=lambda each: each[:2])
    for at_us, _, data in told:
        said.hear(at_us, data)
        subject = str(data["subject"]) if data.get("subject") is not None else subject
    if said.void or said.start is None:
        return None
    ended = end if said.end is None else min(said.end, end)
    if ended < said.start or said.start >= end or (ended <= start and said.start < start):
        return None
    rows = tuple(row for _, row, _ in told)
    return ReportedOutage(name, subject, said.start, max(said.start, start), ended, rows, rows[0])


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
    outages = in_window(question)
    start, end = question.bounds
    down = sum(until - since for since, until in merged(_spans(outages)))
    good, total = end - start - down, end - start
    return CountedFigure(
        value=percent(good, total),
        rows=_counted(outages),
        good=Fraction(good, 1_000_000),
        total=Fraction(total, 1_000_000),
        telling=_opened(outages),
        parts=tuple(_part(question, each, UNIT_US["minutes"]) for each in outages),
    )


def time(question: Question, measure: OutageTime) -> CountedFigure:
    """Outage time in the metric's unit. ``total``: how many outages."""
    outages = in_window(question)
    unit = UNIT_US[question.metric.unit]
    spans = _spans(outages)
    if measure.overlap == "merged":
        subjects = sorted({each.subject or "" for each in outages})
        spans = [
            span
            for subject in subjects
            for span in merged(_spans(each for each in outages if (each.subject or "") == subject))
        ]
    counted = (_units(until - since, unit, measure.part) for since, until in spans)
    return CountedFigure(
        value=sum(counted, Fraction(0)),
        rows=_counted(outages),
        total=Fraction(len(outages)),
        telling=_opened(outages),
        parts=tuple(_part(question, each, unit) for each in outages),
    )


def count(question: Question) -> CountedFigure:
    """How many outages begin in the window."""
    start, _ = question.bounds
    outages = [each for each in in_window(question) if each.began >= start]
    return CountedFigure(
        value=Fraction(len(outages)),
        rows=_counted(outages),
        telling=_opened(outages),
        parts=tuple(_part(question, each, UNIT_US["minutes"]) for each in outages),
    )


def _units(us: int, unit: int, part: str) -> Fraction:
    exact = Fraction(us, unit)
    if part == "exact":
        return exact
    return Fraction(ceil(exact) if part == "started_counts" else floor(exact))


def _spans(outages: Iterable[ReportedOutage]) -> list[Interval]:
    return [(each.start, each.end) for each in outages]


def _counted(outages: list[ReportedOutage]) -> Index:
    return positions(row for each in outages for row in each.rows)


def _opened(outages: list[ReportedOutage]) -> Index:
    return np.array([each.opened for each in outages], np.intp)


def _part(question: Question, outage: ReportedOutage, unit: int) -> Part:
    """The outage with its own exact time, in the metric's unit or in minutes."""
    return Part(
        part=outage.name,
        subject=outage.subject,
        start=instant(outage.start),
        end=instant(outage.end),
        amount=Fraction(outage.end - outage.start, unit),
        good=False,
        events=tuple(reference(question.facts, row) for row in outage.rows),
    )
