"""Occurrences over the end of a window: where they count, and what of them lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from schemas.agreement import Agreement
from schemas.base import AcrossPeriods
from schemas.credit import Duration
from schemas.evaluation import WholeOccurrence
from schemas.period import PeriodLength, first_day, label_of, next_label, period_length
from schemas.programme import (
    AvailabilityByOutages,
    Metric,
    OutageTime,
    Programme,
    TicketsInTime,
)
from schemas.remedy import ByOccurrence
from services.core.calendar.windows import day_start, instant, microseconds
from services.core.counting.measures.question import Question

TermView = Literal["begins", "ends", "split", "as_counted", "goes_on"]
"""How a term looks at occurrences: by a convention of its own, as counted, or going on."""
AS_COUNTED: TermView = "as_counted"
GOES_ON: TermView = "goes_on"
_ALWAYS = -(2**63)


@dataclass(frozen=True, slots=True)
class Extent:
    """An occurrence in time, in microseconds. ``end`` None: it is not over, as far as is known.

    A delivery that comes early ends before it starts: it starts when it is due.
    """

    start: int
    end: int | None

    def touches(self, question: Question) -> bool:
        """Whether any of it lies in the window; an end at its first instant does."""
        since, until = question.bounds
        return self.start < until and (self.end is None or self.end >= since)

    def counts(self, question: Question, how: AcrossPeriods) -> bool:
        """Whether it, or the piece of it, counts in the window."""
        since, until = question.bounds
        if how == "begins":
            return since <= self.start < until and self.is_counted(question)
        if how == "ends":
            ended = self.end is not None and since <= self.end < until
            return ended and self.is_counted(question)
        return self.meets(question) and self.within(question).is_counted(question)

    def meets(self, question: Question) -> bool:
        """Whether any of it lies in the window, whether it counts or not."""
        since, until = question.bounds
        return self.start < until and (self.start >= since or self.end is None or self.end > since)

    def is_counted(self, question: Question) -> bool:
        """Whether any of it lies in time that counts; what is not over may yet."""
        if self.end is None or question.counted.is_all:
            return True
        return question.counted.counts(self.start, self.end)

    def within(self, question: Question) -> Extent:
        """The piece of it inside the window."""
        since, until = question.bounds
        end = until if self.end is None else min(self.end, until)
        return Extent(max(self.start, since), end)

    def length(self, question: Question) -> int:
        """How much of it counts; while it is not over, up to the window's end."""
        return question.counted.length(self.start, self.end_by(question))

    def end_by(self, question: Question) -> int:
        """When it ends; while it is not over, the window's end."""
        _, until = question.bounds
        return until if self.end is None else self.end

    def whole(self, question: Question, unit: int) -> WholeOccurrence | None:
        """All of it, in units of so many microseconds; None where it lies within the window."""
        since, until = question.bounds
        if self.start >= since and self.end is not None and since <= self.end < until:
            return None
        end, length = self.end_by(question), question.counted.length
        before = length(self.start, min(since, end))
        return WholeOccurrence(
            start=instant(self.start),
            end=None if self.end is None else instant(self.end),
            counts=question.convention(self.start),
            amount=Fraction(length(self.start, end), unit),
            before=Fraction(max(before, 0), unit),
            so_far=Fraction(length(self.start, min(end, until)), unit),
        )


def conventions(
    versions: Sequence[Programme], metric: Metric, period: str
) -> tuple[tuple[int, AcrossPeriods], ...]:
    """Where occurrences of a metric count, by when they begin: ``(since, convention)`` in order.

    That of the version in force in the period in which they begin, so that a change of version
    counts none of them twice and leaves none out. A version that does not know the metric, or
    does not say, does as ``metric`` does.
    """
    own, length = _stated(metric), period_length(period)
    if own is None:
        return ()
    found: list[tuple[int, AcrossPeriods]] = []
    for version in sorted(versions, key=lambda each: each.version):
        as_it_was = version.metric(metric.metric)
        how = (_stated(as_it_was) if as_it_was is not None else None) or own
        found.append((_in_force_from(version, length) if found else _ALWAYS, how))
    return tuple(found)


def _in_force_from(version: Programme, length: PeriodLength) -> int:
    """The start of the first period of a length that the version covers from its first day on."""
    label = label_of(version.effective_from, length)
    if first_day(label) != version.effective_from:
        label = next_label(label)
    return microseconds(day_start(first_day(label), version.time_zone))


def _stated(metric: Metric) -> AcrossPeriods | None:
    """What a metric says. Outage time that is merged and exact need not: it is then split."""
    stated: AcrossPeriods | None = getattr(metric.measure, "across_periods", None)
    return "split" if stated is None and isinstance(metric.measure, OutageTime) else stated


def views(
    metric: Metric, hows: frozenset[AcrossPeriods], looks: frozenset[TermView]
) -> tuple[bool, bool]:
    """Whether a window must know what is said after it, and what touches it and counts elsewhere.

    ``hows``: where the metric counts, by all versions. ``looks``: how terms look at occurrences.
    """
    own = looks & {"begins", "ends", "split"}
    measure = metric.measure
    in_pieces = isinstance(measure, AvailabilityByOutages)
    merged = isinstance(measure, OutageTime) and measure.overlap == "merged"
    whole_value = isinstance(measure, OutageTime | TicketsInTime) and "begins" in hows
    as_one = metric.interruptions is not None or metric.slices is not None
    later = as_one or whole_value or "begins" in own or (AS_COUNTED in looks and "begins" in hows)
    other = any(merged or hows != {how} for how in own)
    pieced = in_pieces and AS_COUNTED in looks and hows != {"split"}
    return later, GOES_ON in looks or other or pieced


def looked_at(agreement: Agreement) -> dict[str, frozenset[TermView]]:
    """Metrics whose occurrences terms look at one by one, and how they do."""
    found: dict[str, set[TermView]] = {}
    for level in agreement.levels:
        for credit in level.credits:
            term = credit.quantity
            if isinstance(term, Duration) and term.of == "each":
                how = term.across_periods or AS_COUNTED
                found.setdefault(term.metric or level.metric, set()).add(how)
    for right in agreement.terminations:
        if isinstance(right, ByOccurrence):
            found.setdefault(right.metric, set()).add(right.across_periods)
    return {metric: frozenset(looks) for metric, looks in found.items()}
