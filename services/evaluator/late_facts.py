"""Which closed periods the frames stored since may change. Too many is harmless, too few is not.

A period that is named here is counted again, and where nothing has changed nothing follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from schemas.frame import Int64s
from schemas.period import first_day, next_label
from services.core.calendar.windows import overlaps
from services.core.counting.carried import carries
from services.evaluator import evaluation_store, link_store
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.link_store import AgreementPlace, LinkedPlace, MetricPlace
from services.evaluator.recount import RecountTarget
from services.shell.logs import log
from services.shell.postgres import Connection

AT_ONCE = 2000
"""Frames looked at before what they change is written down."""
BREATH = 50
"""After so many frames other work of the process goes on."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of a stored frame without reading it."""

    partition: int
    number: int
    min_us: int
    max_us: int
    metrics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A closed period and the frames that its newest evaluation has counted.

    ``evaluated`` False: it is being closed, and what comes meanwhile must not be missed.
    """

    target: RecountTarget
    counted_through: Mapping[int, int]
    evaluated: bool = True

    def has_counted(self, partition: int, number: int) -> bool:
        """Whether the newest evaluation knows this frame."""
        return number <= self.counted_through.get(partition, -1)

    def is_told(self, place: AgreementPlace) -> bool:
        """Whether its evaluation carries what is stated; a label of no period is in none."""
        target = self.target
        if place.until == date.max:
            return first_day(next_label(target.period)) > place.since
        try:
            return overlaps(target.period, place.label) or carries(
                target.programmes, target.agreements, target.period, place.label, place.name
            )
        except ValueError:
            return False
        except Exception:  # too many is harmless, too few is not
            log(__name__).exception("late_facts_unclear", agreement=target.place[0])
            return True


@dataclass(frozen=True, slots=True)
class _Spans:
    """The spans of one metric that closed periods have counted, a row each."""

    first: Int64s
    past: Int64s
    places: list[AgreementPeriod]


class ClosedPeriods:
    """All closed periods, found by metric and time or by agreement."""

    def __init__(self) -> None:
        self._periods: dict[AgreementPeriod, ClosedPeriod] = {}
        self._of_agreement: dict[str, set[AgreementPeriod]] = {}
        self._spans: dict[int, _Spans] = {}
        self.unknown: list[AgreementPeriod] = []
        """Closed periods of which cannot be told what is counted: anything may change them."""
        self._closed: dict[str, int] = {}

    def __contains__(self, place: AgreementPeriod) -> bool:
        period = self._periods.get(place)
        return period is not None and period.evaluated

    def being_closed(self) -> list[ClosedPeriod]:
        """Periods that are being closed for the first time."""
        return [each for each in self._periods.values() if not each.evaluated]

    def count(self, agreement: str) -> int:
        """How many periods of an agreement are closed."""
        return self._closed.get(agreement, 0)

    def put(self, period: ClosedPeriod) -> None:
        """Take in a period, or what is now known of it."""
        place = period.target.place
        known = self._periods.get(place)
        if period.evaluated and place not in self:
            self._closed[place[0]] = self.count(place[0]) + 1
        self._periods[place] = period
        self._of_agreement.setdefault(place[0], set()).add(place)
        if known is None or known.target.spans != period.target.spans:
            for metric in {*period.target.spans, *(known.target.spans if known else ())}:
                self._spans.pop(metric, None)

    def needing(self, metric: int, first_us: int, last_us: int) -> Iterator[ClosedPeriod]:
        """Periods to which facts of a metric within these times, both included, can matter."""
        spans = self._spans.get(metric)
        if spans is None:
            spans = self._spans[metric] = self._spans_of(metric)
        for row in np.flatnonzero((spans.first <= last_us) & (first_us < spans.past)).tolist():
            yield self._periods[spans.places[row]]

    def told(self, place: AgreementPlace) -> Iterator[ClosedPeriod]:
        """Periods whose evaluation carries what is stated."""
        for each in self._of_agreement.get(place.agreement, ()):
            if self._periods[each].is_told(place):
                yield self._periods[each]

    def _spans_of(self, metric: int) -> _Spans:
        found = [
            (*period.target.spans[metric], place)
            for place, period in self._periods.items()
            if metric in period.target.spans
        ]
        return _Spans(
            np.array([first for first, _, _ in found], np.int64),
            np.array([past for _, past, _ in found], np.int64),
            [place for _, _, place in found],
        )


async def scan(
    connection: Connection, closed: ClosedPeriods, numbers: Mapping[tuple[str, str], int]
) -> bool:
    """Look at the frames that nobody has looked at; whether there may be more.

    Writes what it found and how far it came in one transaction; looks at them outside of it, with
    time for other work of the process in between. ``numbers``: of metrics.
    """
    frames = await _next_frames(connection)
    if not frames:
        return False
    places = await _places(connection, frames)
    recount_queue: dict[AgreementPeriod, str] = dict.fromkeys(closed.unknown, "unknown")
    for place, frame in enumerate(frames):
        linked = places.get((frame.partition, frame.number), ())
        for period, cause in _changed(frame, linked, closed, numbers):
            if not period.has_counted(frame.partition, frame.number):
                recount_queue.setdefault(period.target.place, cause)
        if place % BREATH == BREATH - 1:
            await asyncio.sleep(0)
    async with connection.transaction():
        await evaluation_store.enqueue_recounts(connection, recount_queue)
        await evaluation_store.scan_to(connection, {each.partition: each.number for each in frames})
    return len(frames) == AT_ONCE


async def _next_frames(connection: Connection) -> list[Frame]:
    """Frames that were not looked at, in order, with facts or without."""
    rows = await connection.fetch(
        "select f.partition, f.number, f.min_us, f.max_us, f.metrics"
        "  from (select distinct partition from progress) p"
        "  left join touch_scan s using (partition)"
        "  cross join lateral ("
        "    select partition, number, min_us, max_us, metrics from fact_frame"
        "     where partition = p.partition and number > coalesce(s.number, -1)"
        "     order by number limit $1) f"
        " order by f.partition, f.number limit $1",
        AT_ONCE,
    )
    return [
        Frame(
            row["partition"],
            row["number"],
            row["min_us"] or 0,
            row["max_us"] or 0,
            tuple(row["metrics"]),
        )
        for row in rows
    ]


async def _places(
    connection: Connection, frames: Iterable[Frame]
) -> dict[tuple[int, int], list[LinkedPlace]]:
    """By frame, where its linked facts lie and lay, and what they are stated for."""
    keys = [(each.partition, each.number) for each in frames]
    found: dict[tuple[int, int], list[LinkedPlace]] = {}
    for row in await link_store.places_of_frames(connection, keys):
        found.setdefault((row.partition, row.number), []).append(row.place)
    return found


def _changed(
    frame: Frame,
    linked: Iterable[LinkedPlace],
    closed: ClosedPeriods,
    numbers: Mapping[tuple[str, str], int],
) -> Iterator[tuple[ClosedPeriod, str]]:
    """Periods that a frame may change, with the cause."""
    for metric in frame.metrics:
        for period in closed.needing(metric, frame.min_us, frame.max_us):
            yield period, "facts"
    for place in linked:
        if isinstance(place, MetricPlace):
            number = numbers.get((place.programme, place.metric))
            if number is not None:
                for period in closed.needing(number, place.at_us, place.at_us):
                    yield period, "correction"
        else:
            for period in closed.told(place):
                yield period, "charge or circumstance"
