"""Deliveries and their delay: what was last said of each, and how late it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from operator import itemgetter

import msgspec
import numpy as np

from schemas.base import exact
from schemas.evaluation import Part
from services.core.calendar.windows import instant, microseconds
from services.core.counting.measures.question import (
    UNIT_US,
    CountedFigure,
    Question,
    positions,
    reference,
)


@dataclass(frozen=True, slots=True)
class _DeliveryState:
    """What was last said of a delivery."""

    name: str
    subject: str | None
    due_us: int
    delivered_us: int | None
    value: Fraction | None
    rows: tuple[int, ...]


def delay(question: Question) -> CountedFigure:
    """How many deliveries due in the window are late.

    ``good``: how many are not. ``total``: all that were due. What is not delivered yet is as late
    as the window's end makes it; what is delivered after the window keeps its whole delay.
    """
    start, end = question.bounds
    due = sorted(
        (
            each
            for each in _deliveries(question)
            if start <= each.due_us < end and question.is_about(each.subject)
        ),
        key=lambda each: (each.due_us, each.name, each.rows),
    )
    parts = tuple(_part(question, each) for each in due)
    late = [each.rows[-1] for each, part in zip(due, parts, strict=True) if not part.good]
    return CountedFigure(
        value=Fraction(len(late)) if due else None,
        rows=positions(row for each in due for row in each.rows),
        good=Fraction(len(due) - len(late)),
        total=Fraction(len(due)),
        telling=np.array(late, np.intp),
        parts=parts,
    )


def _deliveries(question: Question) -> list[_DeliveryState]:
    facts = question.facts
    told: dict[tuple[int, str], list[tuple[int, int, dict[str, str]]]] = {}
    for row in question.rows.tolist():
        data = msgspec.json.decode(facts.data[row])
        key = int(facts.source[row]), data["delivery"]
        told.setdefault(key, []).append((int(facts.at_us[row]), row, data))
    return [_delivery(name, sorted(said, key=itemgetter(0, 1))) for (_, name), said in told.items()]


def _delivery(name: str, said: list[tuple[int, int, dict[str, str]]]) -> _DeliveryState:
    """The last word on every field: who does not repeat one leaves it as it was."""
    data: dict[str, str] = {}
    for _, _, each in said:
        data.update(each)
    return _DeliveryState(
        name=name,
        subject=data.get("subject"),
        due_us=_us(data["due_at"]),
        delivered_us=_us(data["delivered_at"]) if "delivered_at" in data else None,
        value=exact(data["value"]) if "value" in data else None,
        rows=tuple(row for _, row, _ in said),
    )


def _us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def _part(question: Question, delivery: _DeliveryState) -> Part:
    _, end = question.bounds
    unit = UNIT_US.get(question.metric.unit, UNIT_US["days"])
    delivered = delivery.delivered_us
    late_us = (end if delivered is None else delivered) - delivery.due_us
    return Part(
        part=delivery.name,
        subject=delivery.subject,
        start=instant(delivery.due_us),
        end=None if delivered is None else instant(delivered),
        amount=Fraction(late_us, unit),
        value=delivery.value,
        good=delivered is not None and late_us <= 0,
        events=tuple(reference(question.facts, row) for row in delivery.rows),
    )
