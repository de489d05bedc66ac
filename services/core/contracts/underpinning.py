"""Gaps between an agreement and what underpins it: warnings, never refusals.

An underpinning contract or an OLA names the levels that stand on its own. Where it promises less,
later, for fewer hours or for a shorter time than what depends on it, the party in between bears the
difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from schemas.agreement import Agreement, Underpins
from schemas.bands import Threshold
from schemas.base import written
from schemas.level import Level
from schemas.period_cycle import cycle_of, length_text
from schemas.programme import (
    Metric,
    Percentile,
    Programme,
    TicketsInTime,
    WithinLimit,
)
from services.core.contracts.wording import nearest

Why = Literal[
    "not_known", "not_comparable", "weaker_target", "longer_time", "fewer_hours",
    "period_not_covered",
]  # fmt: skip

_MILLISECONDS = {
    "milliseconds": 1, "seconds": 1000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """One warning: what the underpinning level lacks, and what to do about it."""

    agreement: str
    version: int
    level: str
    stands_on_it: str
    their_level: str
    why: Why
    reason: str
    remedy: str

    def text(self) -> str:
        """One line for people."""
        return (
            f"{self.agreement} version {self.version}, level {self.level}, underpins "
            f"{self.their_level} of {self.stands_on_it}: {self.reason}; {self.remedy}"
        )


@dataclass(frozen=True, slots=True)
class _Side:
    agreement: Agreement
    level: Level
    metric: Metric


GapReason = tuple[Why, str, str]


def gaps(agreements: Sequence[Agreement], programmes: Sequence[Programme]) -> tuple[Gap, ...]:
    """All gaps between the agreements, each version beside every version in force with it.

    ``agreements``: all versions, resolved. ``programmes``: all versions of theirs.
    """
    return tuple(
        Gap(
            agreement.agreement, agreement.version, link.level, link.agreement, link.their_level,
            *found,
        )
        for agreement in agreements
        for link in agreement.underpins
        for found in dict.fromkeys(_of_link(agreement, link, agreements, programmes))
    )  # fmt: skip


def _of_link(
    agreement: Agreement,
    link: Underpins,
    agreements: Sequence[Agreement],
    programmes: Sequence[Programme],
) -> Iterator[GapReason]:
    theirs = [one for one in agreements if one.agreement == link.agreement]
    if not theirs:
        close = nearest(link.agreement, [one.agreement for one in agreements])
        remedy = f"did you mean '{close}'?" if close else "give its file as well"
        yield "not_known", f"the agreement {link.agreement} is not known", remedy
        return
    yield from _uncovered([one for one in agreements if one.agreement == agreement.agreement],
                          theirs)  # fmt: skip
    own = _side(agreement, link.level, programmes)
    for other in theirs:
        if not _meet(agreement, other):
            continue
        if other.level_named(link.their_level) is None:
            close = nearest(link.their_level, [level.level for level in other.levels])
            remedy = f"did you mean '{close}'?" if close else "correct their_level"
            yield "not_known", f"it has no level {link.their_level}", remedy
            continue
        their = _side(other, link.their_level, programmes)
        if own is not None and their is not None:
            yield from _between(own, their)


def _side(agreement: Agreement, level: str, programmes: Sequence[Programme]) -> _Side | None:
    """The level with its metric; None where a name is wrong, which the contract check refuses."""
    found = agreement.level_named(level)
    own = [one for one in programmes if one.programme == agreement.programme]
    begun = [one for one in own if one.effective_from <= agreement.effective_from] or own
    programme = max(begun, key=lambda one: one.version, default=None)
    metric = programme.metric(found.metric) if programme is not None and found is not None else None
    return None if found is None or metric is None else _Side(agreement, found, metric)


def _meet(one: Agreement, other: Agreement) -> bool:
    """Whether two versions are ever in force together."""
    begins = max(one.effective_from, other.effective_from)
    return all(each.effective_until is None or begins < each.effective_until
               for each in (one, other))  # fmt: skip


def _uncovered(own: Sequence[Agreement], theirs: Sequence[Agreement]) -> Iterator[GapReason]:
    begins, their_begin = (min(one.effective_from for one in side) for side in (own, theirs))
    ends, their_end = _end(own), _end(theirs)
    remedy = "let it cover the whole time of what depends on it"
    if begins > their_begin:
        yield "period_not_covered", f"it begins on {begins}, not by {their_begin}", remedy
    if ends is not None and (their_end is None or ends < their_end):
        until = f"on {their_end}" if their_end is not None else "later, without end"
        yield "period_not_covered", f"it ends on {ends}, what depends on it {until}", remedy


def _end(versions: Sequence[Agreement]) -> date | None:
    """When the newest version ends; None: it is open."""
    return max(versions, key=lambda one: one.version).effective_until


def _between(own: _Side, their: _Side) -> Iterator[GapReason]:
    yield from _targets(own, their)
    yield from _times(own, their)
    measured, theirs = (side.level.measured or side.agreement.settled for side in (own, their))
    if cycle_of(measured).about_days > cycle_of(theirs).about_days:
        per = length_text(theirs)
        reason = f"it is measured per {length_text(measured)}, what depends on it per {per}"
        yield "longer_time", reason, f"measure it per {per}, so that no miss is averaged away"


def _targets(own: _Side, their: _Side) -> Iterator[GapReason]:
    for name in ("expected", "minimum"):
        theirs: Threshold | None = getattr(their.level, name)
        ours: Threshold | None = getattr(own.level, name)
        if theirs is None:
            continue
        if ours is None:
            reason = f"it has no {name} level, what depends on it has '{theirs.text()}'"
            yield "weaker_target", reason, f"agree on {name}: {theirs.text()}"
            continue
        units = own.metric.figure_unit, their.metric.figure_unit
        scale = _scale(*units)
        if scale is None or ours.higher_is_met != theirs.higher_is_met:
            reason = (
                f"its {name} level is '{ours.text()}' {units[0]}, theirs "
                f"'{theirs.text()}' {units[1]}"
            )
            yield "not_comparable", reason, "compare them by hand"
        elif _weaker(ours, theirs, scale):
            longer = units[0] in _MILLISECONDS
            reason = (
                f"its {name} level '{ours.text()}' {units[0]} asks for less than "
                f"'{theirs.text()}' {units[1]}"
            )
            yield "longer_time" if longer else "weaker_target", reason, "agree on at least as much"


def _scale(own: str, their: str) -> Fraction | None:
    """What to multiply an own value by to have it in their unit; None: units of two kinds."""
    if own == their:
        return Fraction(1)
    if own in _MILLISECONDS and their in _MILLISECONDS:
        return Fraction(_MILLISECONDS[own], _MILLISECONDS[their])
    return None


def _weaker(ours: Threshold, theirs: Threshold, scale: Fraction) -> bool:
    """Whether some value meets ours and not theirs."""
    limit = ours.limit * scale
    if limit == theirs.limit:
        return ours.met_by(ours.limit) and not theirs.met_by(theirs.limit)
    return limit < theirs.limit if ours.higher_is_met else limit > theirs.limit


def _times(own: _Side, their: _Side) -> Iterator[GapReason]:
    """What the metrics themselves allow: a limit of time, a percentile, the hours of a clock."""
    mine, theirs = own.metric.measure, their.metric.measure
    if (
        isinstance(mine, TicketsInTime)
        and isinstance(theirs, TicketsInTime)
        and mine.limit_minutes > theirs.limit_minutes
    ):
        reason = (
            f"a ticket may take {written(mine.limit_minutes)} minutes, "
            f"under what depends on it {written(theirs.limit_minutes)}"
        )
        yield "longer_time", reason, "agree on at most the same time"
    hours, their_hours = own.metric.business_hours, their.metric.business_hours
    if hours is not None and hours != their_hours and type(mine) is type(theirs):
        when = "day and night" if their_hours is None else "in other hours"
        reason = f"its clock runs in its own business hours, what depends on it {when}"
        yield "fewer_hours", reason, "let its hours cover those of what depends on it"
    if isinstance(mine, WithinLimit) and isinstance(theirs, WithinLimit):
        scale = _scale(own.metric.unit, their.metric.unit)
        if scale is not None and mine.limit * scale > theirs.limit:
            reason = (
                f"a value up to {written(mine.limit)} {own.metric.unit} is within its limit, under "
                f"what depends on it up to {written(theirs.limit)} {their.metric.unit}"
            )
            yield "longer_time", reason, "agree on at most the same limit"
    if (
        isinstance(mine, Percentile)
        and isinstance(theirs, Percentile)
        and mine.percent < theirs.percent
    ):
        reason = (
            f"it holds for {written(mine.percent)} % of the values, what depends on it for "
            f"{written(theirs.percent)} %"
        )
        yield "weaker_target", reason, "agree on at least the same share"
