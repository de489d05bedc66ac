"""The facts of worked contracts, each taken out, moved over a boundary or narrowed in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from schemas.period import first_day, label_of, next_label, period_length

Event = Mapping[str, Any]
How = Literal["absent", "longer", "shorter", "narrowed", "boundary", "currency"]

_STATED = ("earnback.charge.v1", "earnback.circumstance.v1", "earnback.figure.v1")
"""What is stated of a period. Measurements are not altered: fewer of them are fewer."""


@dataclass(frozen=True)
class Altered:
    """The events with one fact altered. ``fact``: as it was; ``how``: the question that it asks."""

    how: How
    fact: Event
    events: Sequence[Event]


def alterations(events: Sequence[Event]) -> Iterator[Altered]:
    """Every alteration of every stated fact, in order."""
    for place, event in enumerate(events):
        if event["type"] not in _STATED:
            continue
        rest = (*events[:place], *events[place + 1 :])
        yield Altered("absent", event, rest)
        for how, change in _changes(event):
            other = deepcopy(dict(event))
            other["data"] = {**event["data"], **change}
            yield Altered(how, event, (*events[:place], other, *events[place + 1 :]))


def _changes(event: Event) -> Iterator[tuple[How, dict[str, Any]]]:
    data = event["data"]
    period = data["period"]
    length = period_length(period)
    if length == "month":
        yield "longer", {"period": label_of(first_day(period), "quarter")}
    if length in ("month", "quarter", "year"):
        yield "shorter", {"period": first_day(period).isoformat()}
    yield "boundary", {"period": next_label(period)}
    if event["type"] == "earnback.charge.v1":
        other = "EUR" if data["currency"] != "EUR" else "USD"
        yield "currency", {"currency": other}
    if "subject" not in data:
        yield "narrowed", {"subject": "somebody-else"}
    if event["type"] == "earnback.circumstance.v1" and "level" not in data:
        yield "narrowed", {"level": "another-level"}
