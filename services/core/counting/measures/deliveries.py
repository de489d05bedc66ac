"""Deliveries and their delay: what was last said of each, and how late it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from operator import itemgetter

import msgspec
import numpy as np

from schemas.base import AcrossPeriods, exact
from schemas.evaluation import Part
from schemas.programme import DeliveryDelay
from services.core.calendar.windows import instant, microseconds
from services.core.counting.measures.boundaries import Extent
from services.core.counting.measures.question import (
    UNIT_US,
    CountedFigure,
    Question,
    positions,
    reference,
)

_WHOLES: tuple[AcrossPeriods, ...] = ("begins", "ends")


@dataclass(frozen=True, slots=True)
class _DeliveryState:
    """What was last said of a delivery. Its extent: from when it is due until its delay ends."""

    name: str
    subject: str | None
    extent: Extent
    value: Fraction | None
    rows: tuple[int, ...]


def delay(question: Question, measure: DeliveryDelay) -> CountedFigure:
    """How many of the deliveries that count in the window are late.

    ``good``: how many are not. ``total``: all that count. What is not delivered yet is as late as
    the window's end makes it; what counts as a whole keeps its whole delay.
    """
    known = sorted(
        question.told.about(
            question.need.subject, lambda: _deliveries(question), lambda each: (each.subject,)
        ),
        key=lambda each: (each.extent.start, each.name, each.rows),
    )
    here, touching = [], []
    for each in known:
        how = question.convention(each.extent.start)
        if _counts(question, each.extent, how):
            here.append((each, _part(question, each, how)))
        elif question.with_touching and _touches(question, each.extent):
            touching.append((each, _part(question, each, "split")))
    late = [each for each, part in here if not part.good]
    looked_at = [each for each, _ in (*here, *touching)]
    return CountedFigure(
        value=Fraction(len(late)) if here else None,
        rows=positions(row for each in looked_at for row in each.rows),
        good=Fraction(len(here) - len(late)),
        total=Fraction(len(here)),
        telling=np.array(
            [each.rows[-1] for each in (*late, *(one for one, _ in touching))], np.intp
        ),
        parts=tuple(part for _, part in here),
        touching=tuple(part for _, part in touching),
        unfinished=tuple(
            each.name
            for each, _ in here
            if each.extent.end is None
            and question.convention(each.extent.start) == "begins"
            and measure.until_delivered != "late_so_far"
        ),
        nothing=not here and any(_is_heard_of(question, each) for each in known),
    )


def _is_heard_of(question: Question, delivery: _DeliveryState) -> bool:
    """Whether a delivery shows that deliveries are reported: by a fact in the window, or because
    it is known and not there at the window's start.
    """
    start, end = question.bounds
    times = [int(question.facts.at_us[row]) for row in delivery.rows]
    pending = delivery.extent.end is None or delivery.extent.end >= start
    return any(start <= at_us < end for at_us in times) or (min(times) < start and pending)


def _counts(question: Question, extent: Extent, how: AcrossPeriods) -> bool:
    """Whether a delivery counts in the window. One that comes early has no piece elsewhere."""
    early = extent.end is not None and extent.end <= extent.start
    return extent.counts(question, "begins" if early and how == "split" else how)


def _touches(question: Question, extent: Extent) -> bool:
    """Whether it is due, late or delivered in the window."""
    return extent.touches(question) or any(extent.counts(question, how) for how in _WHOLES)


def _deliveries(question: Question) -> list[_DeliveryState]:
    facts = question.facts
    told: dict[tuple[int, str], list[tuple[int, int, dict[str, str]]]] = {}
    for row in question.rows.tolist():
        question.budget.spend()
        data = msgspec.json.decode(facts.data[row])
        key = int(facts.source[row]), data["delivery"]
        told.setdefault(key, []).append((int(facts.at_us[row]), row, data))
    found = (
        _delivery(name, sorted(said, key=itemgetter(0, 1))) for (_, name), said in told.items()
    )
    return [each for each in found if each is not None]


def _delivery(name: str, said: list[tuple[int, int, dict[str, str]]]) -> _DeliveryState | None:
    """The last word on every field: who does not repeat one leaves it as it was.

    None where it was called off before it was due: nothing was owed.
    """
    data: dict[str, str] = {}
    for _, _, each in said:
        data.update(each)
    due, delivered, called_off = (
        _us(data[key]) if key in data else None
        for key in ("due_at", "delivered_at", "called_off_at")
    )
    assert due is not None, "accepted deliveries say when they are due"
    ends = [moment for moment in (delivered, called_off) if moment is not None]
    if called_off is not None and called_off == min(ends) and called_off <= due:
        return None
    return _DeliveryState(
        name=name,
        subject=data.get("subject"),
        extent=Extent(due, min(ends, default=None)),
        value=exact(data["value"]) if "value" in data else None,
        rows=tuple(row for _, row, _ in said),
    )


def _us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def _part(question: Question, delivery: _DeliveryState, how: AcrossPeriods) -> Part:
    unit = UNIT_US.get(question.metric.unit, UNIT_US["days"])
    whole = delivery.extent
    early = whole.end is not None and whole.end <= whole.start
    counted = whole.within(question) if how == "split" and not early else whole
    return Part(
        part=delivery.name,
        subject=delivery.subject,
        start=instant(counted.start),
        end=None if counted.end is None else instant(counted.end),
        amount=Fraction(counted.length(question), unit),
        value=delivery.value,
        good=early,
        events=tuple(reference(question.facts, row) for row in delivery.rows),
        whole=whole.whole(question, unit),
    )
