"""What is asked of a measure, what it answers, and the evidence beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from schemas.base import AcrossPeriods
from schemas.evaluation import (
    Counting,
    EventRef,
    Evidence,
    ExcludedTime,
    IncompleteOccurrence,
    MetricFigure,
    OtherFigure,
    Part,
)
from schemas.frame import Facts, Int64s
from schemas.period import Window
from schemas.programme import (
    AvailabilityByOutages,
    DeliveryDelay,
    Metric,
    OutageCount,
    OutageTime,
    TicketsInTime,
)
from services.core.calendar.intervals import Interval
from services.core.calendar.windows import bounds_us
from services.core.counting.measures.counted_time import CountedTime
from services.core.events.facts import Index, identities
from services.core.exact.budget import UNBOUNDED, Budget

TELLING = 20
"""How many events a figure names as evidence; all are found by metric and window."""

UNIT_US = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
"""Microseconds of the units that are times. A day is 24 hours here."""

HUNDRED = Fraction(100)
T = TypeVar("T")
_AT_ONCE = 1 << 20
NOTHING: Index = np.empty(0, np.intp)
NO_TIMES: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Need:
    """One figure that somebody wants: a metric, for one subject or all, in one period.

    ``vendor``: whose share of the tickets; None for everybody's.
    """

    metric: str
    subject: str | None
    period: str
    vendor: str | None = None


@dataclass(slots=True)
class ToldBySubject:
    """What is told of a metric's occurrences in a window: put together once, for all subjects."""

    every: Sequence[Any] | None = None
    by_subject: dict[str | None, list[Any]] = field(default_factory=dict)

    def about(
        self,
        subject: str | None,
        put_together: Callable[[], Iterable[T]],
        subjects: Callable[[T], Collection[str | None]],
    ) -> Sequence[T]:
        """The occurrences of a subject, None for all, in the order in which they are put together.

        ``subjects``: whom an occurrence may be about.
        """
        if self.every is None:
            every = list(put_together())
            for each in every:
                for whose in set(subjects(each)):
                    self.by_subject.setdefault(whose, []).append(each)
            self.every = every
        return self.every if subject is None else self.by_subject.get(subject, ())


@dataclass(frozen=True, slots=True)
class Question:
    """A need, with all that its measure has to know.

    ``rows``: positions of the metric's facts, in order of identity. For measures that count what
    lies in the window these are the window's and the subject's; for those that carry a state they
    are all that are known. ``holders``: source to the vendor it reports for. ``vendors``: all.
    ``counted``: which time counts. ``conventions``: where occurrences over a window's end count, of
    those that begin from an instant on, in order. ``later``: what is said after the window's end is
    known in it.
    ``with_touching``: also what touches the window and counts in another one is asked for.
    ``beats``: when the metric's heartbeat was heard, ascending, from as long before the window as
    it keeps time known; None where it has none. ``budget``: what takes facts one by one spends it.
    ``told``: shared by the questions that differ in their subject alone.
    """

    metric: Metric
    need: Need
    window: Window
    facts: Facts
    rows: Index
    holders: Mapping[str, str]
    vendors: frozenset[str]
    counted: CountedTime
    conventions: tuple[tuple[int, AcrossPeriods], ...] = ()
    later: bool = False
    with_touching: bool = False
    beats: Int64s | None = None
    budget: Budget = UNBOUNDED
    told: ToldBySubject = field(default_factory=ToldBySubject)

    @property
    def bounds(self) -> tuple[int, int]:
        """The window in microseconds."""
        return bounds_us(self.window)

    def convention(self, at_us: int) -> AcrossPeriods:
        """Where an occurrence counts that begins at an instant; split where nothing is stated."""
        found: AcrossPeriods = "split"
        for since, how in self.conventions:
            if since <= at_us:
                found = how
        return found

    def is_about(self, subject: str | None) -> bool:
        """Whether the question asks for this subject, or for all."""
        return self.need.subject in (None, subject)


@dataclass(frozen=True, slots=True)
class CountedFigure:
    """A figure before it is written down.

    ``rows``: the facts that were counted, ascending. ``telling``: those among them that moved the
    figure the wrong way, in any order and number. ``in_pieces``, ``touching``, ``unfinished`` and
    ``others`` are as in `MetricFigure`. ``nothing``: facts say that there was nothing to
    count; ``nothing_to_count``: what the metric states for that. ``down``: the counted time in
    which it was down, where the measure says that of each instant.
    """

    value: Fraction | None
    rows: Index
    good: Fraction | None = None
    total: Fraction | None = None
    telling: Index = field(default_factory=lambda: NOTHING)
    parts: tuple[Part, ...] = ()
    in_pieces: bool = False
    touching: tuple[Part, ...] = ()
    unfinished: tuple[str, ...] = ()
    others: tuple[OtherFigure, ...] = ()
    nothing: bool = False
    nothing_to_count: Literal["no_data", "no_result", "counts_as"] | None = None
    unknown_us: int | None = None
    down: Sequence[Interval] = ()
    short: int = 0
    bad_slices: int | None = None
    excluded: tuple[ExcludedTime, ...] = ()
    incomplete: tuple[IncompleteOccurrence, ...] = ()


def percent(good: int | Fraction, total: int | Fraction) -> Fraction | None:
    """Good out of total in percent; None when the total is nothing."""
    return Fraction(good) * 100 / Fraction(total) if total else None


def positions(rows: Iterable[int]) -> Index:
    """Row numbers, each once and ascending, as an index."""
    return np.array(sorted(set(rows)), np.intp)


def reference(facts: Facts, row: int) -> EventRef:
    """The identity of the fact at a position."""
    return EventRef(source=facts.sources[int(facts.source[row])], id=facts.ids[row])


def digest(facts: Facts, rows: Index, budget: Budget = UNBOUNDED) -> str:
    """SHA-256 over identity and payload of the facts; ``rows`` are in order of identity.

    Raises OverBudget.
    """
    seen = sha256()
    for start in range(0, len(rows), _AT_ONCE):
        budget.spend(0)
        seen.update(identities(facts, rows[start : start + _AT_ONCE]).data)
    return seen.hexdigest()


def first_in_time(facts: Facts, rows: Index, most: int = TELLING) -> Index:
    """The first facts by time and then identity; ``rows`` may be millions, in any order."""
    at_us: npt.NDArray[np.int64] = facts.at_us[rows]
    if len(rows) > most:
        latest = np.partition(at_us, most - 1)[most - 1]
        rows, at_us = rows[at_us <= latest], at_us[at_us <= latest]
    return rows[np.lexsort((rows, at_us))][:most]


def counting_of(metric: Metric) -> Counting | None:
    """How a metric's figure is made of occurrences; None where it is made of none."""
    match metric.measure:
        case OutageTime(kind=kind, overlap=overlap, part=part):
            return Counting(measure=kind, unit=metric.unit, overlap=overlap, part=part)
        case AvailabilityByOutages(kind=kind) | OutageCount(kind=kind):
            return Counting(measure=kind, unit=metric.unit)
        case (
            TicketsInTime(kind=kind, nothing_to_count=nothing)
            | DeliveryDelay(kind=kind, nothing_to_count=nothing)
        ):
            return Counting(measure=kind, unit=metric.unit, nothing_to_count=nothing)
    return None


def figure(question: Question, answer: CountedFigure) -> MetricFigure:
    """The answer written down, with its evidence."""
    facts, (start, end) = question.facts, question.bounds
    return MetricFigure(
        metric=question.need.metric,
        subject=question.need.subject,
        period=question.need.period,
        window=question.window,
        value=answer.value,
        good=answer.good,
        total=answer.total,
        nothing_to_count=answer.nothing_to_count,
        unknown_seconds=(
            None if answer.unknown_us is None else Fraction(answer.unknown_us, 1_000_000)
        ),
        counted_seconds=(
            None
            if question.counted.total_us == end - start
            else Fraction(question.counted.total_us, UNIT_US["seconds"])
        ),
        incomplete=answer.incomplete,
        short_interruptions=answer.short or None,
        excluded=answer.excluded,
        bad_slices=answer.bad_slices,
        parts=answer.parts,
        in_pieces=answer.in_pieces,
        touching=answer.touching,
        unfinished=answer.unfinished,
        others=answer.others,
        evidence=Evidence(
            facts=len(answer.rows),
            digest=digest(facts, answer.rows, question.budget),
            telling=tuple(
                reference(facts, row) for row in first_in_time(facts, answer.telling).tolist()
            ),
        ),
    )
