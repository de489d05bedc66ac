"""What it all must come to, counted plainly: no code of the product, nothing but dictionaries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.chaos.feed import CHARGES, KINDS, LEVELS, LIMIT, MONTHS, SOON_DAYS, Event

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = 3600, 86_400
WINDOWS = {"portal": HOUR, "up": HOUR, "orders": DAY, "answers": DAY, "": DAY}
"""Seconds of a metric's tally; "" stands for events that name no metric."""


@dataclass(slots=True)
class Count:
    """``identities``: source and id of each event that counts.
    ``tallies``: metric and start (seconds since 1970) to events, sum of a, sum of b.
    ``figures``: metric and month to good and total. ``owed``: agreement and month to cents.
    """

    identities: set[tuple[str, str]] = field(default_factory=set)
    tallies: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    figures: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    owed: dict[tuple[str, str], int] = field(default_factory=dict)


def recount(events: Iterable[bytes]) -> Count:
    """Count events, each once. What a vendor takes back after the close stays counted."""
    events = list(events)
    corrected = _corrected(events)
    soon = timedelta(days=SOON_DAYS)
    made, good, total = Count(), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for event in map(json.loads, events):
        identity = event["source"], event["id"]
        if identity in made.identities:
            continue
        made.identities.add(identity)
        at, data = _time(event), event["data"]
        metric = data.get("metric", "")
        a, b = _good_and_total(metric, data)
        start = int(at.timestamp()) // WINDOWS[metric] * WINDOWS[metric]
        tally = made.tallies.setdefault((metric, start), [0, 0, 0])
        for place, number in enumerate((1, *_columns(metric, data))):
            tally[place] += number
        is_back = identity in corrected and corrected[identity] - at < soon
        if metric and not is_back:
            month = at.astimezone(BERLIN).strftime("%Y-%m")
            good[metric, month] += a
            total[metric, month] += b
    made.figures = {key: (good[key], total[key]) for key in total}
    made.owed = _owed(made.figures)
    return made


def _corrected(events: Iterable[bytes]) -> dict[tuple[str, str], datetime]:
    """What is taken back, and when."""
    found: dict[tuple[str, str], datetime] = {}
    for raw in events:
        if b'"corrects"' in raw:
            event = json.loads(raw)
            found[event["source"], event["data"]["corrects"]] = _time(event)
    return found


def _time(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])


def _good_and_total(metric: str, data: dict[str, str]) -> tuple[int, int]:
    if metric in ("portal", "up"):
        return int(data["up"]), 1
    if metric == "orders":
        return int(data["good"]), int(data["total"])
    if metric == "answers":
        return int(int(data["value"]) <= LIMIT), 1
    return 0, 0


def _columns(metric: str, data: dict[str, str]) -> tuple[int, int]:
    """The two numbers that a frame carries for an event."""
    if metric == "answers":
        return int(data["value"]), 0
    return _good_and_total(metric, data)


def _owed(figures: dict[tuple[str, str], tuple[int, int]]) -> dict[tuple[str, str], int]:
    """Three percent of the charge below 97 %, seven below 93 %; bravo at most
    five percent of the charges of the last three months together."""
    owed: dict[tuple[str, str], int] = {}
    for kind in KINDS:
        past: list[Fraction] = []
        for month in MONTHS:
            percent = 0
            for metric in LEVELS[kind]:
                good, total = figures[metric, month]
                value = Fraction(100 * good, total)
                percent += 0 if value >= 97 else 3 if value >= 93 else 7
            credit = Fraction(CHARGES[kind]) * percent / 100
            if kind == "bravo":
                before = past[-2:]
                ceiling = Fraction(CHARGES[kind]) * 5 / 100 * (len(before) + 1)
                credit = min(credit, max(ceiling - sum(before), Fraction(0)))
                past.append(credit)
            owed[f"{kind}-deal", month] = int(credit * 100 + Fraction(1, 2))
    return owed
