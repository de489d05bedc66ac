"""Outages as interruptions: those near each other are one, and those that are too short are none.

The length of an interruption is that of all of it, whatever periods it lies in, so that the periods
of an outage over midnight add up to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from schemas.interruptions import Interruptions
from services.core.counting.measures.boundaries import Extent
from services.core.counting.measures.question import UNIT_US, Question


@dataclass(frozen=True, slots=True)
class ReportedOutage:
    """One outage, uncut. ``rows``: the facts that say it. ``opened``: the first of them."""

    name: str
    subject: str | None
    extent: Extent
    rows: tuple[int, ...]
    opened: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Outages that count as one: each alone, or those of a subject that meet."""

    extent: Extent
    members: tuple[ReportedOutage, ...]


def stretches(outages: Iterable[ReportedOutage], nearer_us: Fraction | int = 0) -> list[Stretch]:
    """Outages that come in order of their start, as stretches of their subjects.

    Those that overlap or touch are one, and those that are less than ``nearer_us`` apart.
    """
    found: dict[str, list[Stretch]] = {}
    for each in outages:
        _join(found.setdefault(each.subject or "", []), each, nearer_us)
    return [stretch for own in found.values() for stretch in own]


def _join(own: list[Stretch], outage: ReportedOutage, nearer_us: Fraction | int) -> None:
    extent = outage.extent
    if own and _meets(own[-1].extent.end, extent.start, nearer_us):
        last = own[-1]
        ends = (last.extent.end, extent.end)
        until = None if None in ends else max(end for end in ends if end is not None)
        own[-1] = Stretch(Extent(last.extent.start, until), (*last.members, outage))
    else:
        own.append(Stretch(extent, (outage,)))


def _meets(end: int | None, start: int, nearer_us: Fraction | int) -> bool:
    return end is None or start <= end or start - end < nearer_us


def interruptions(
    question: Question, outages: Sequence[ReportedOutage], term: Interruptions | None
) -> tuple[list[ReportedOutage], int]:
    """What counts of outages, and how many interruptions are too short that touch the window.

    Both in order of start and name.
    """
    if term is None:
        return list(outages), 0
    joined = list(outages)
    if term.joined_within_minutes is not None:
        near = stretches(outages, term.joined_within_minutes * UNIT_US["minutes"])
        joined = sorted(map(_as_one, near), key=lambda each: (each.extent.start, each.name))
    if term.at_least_minutes is None:
        return joined, 0
    short = list(_short(question, joined, term))
    gone = {outage.rows for stretch in short for outage in stretch.members}
    here = sum(stretch.extent.counts(question, "split") for stretch in short)
    return [each for each in joined if each.rows not in gone], here


def _as_one(stretch: Stretch) -> ReportedOutage:
    first = stretch.members[0]
    rows = tuple(row for each in stretch.members for row in each.rows)
    return ReportedOutage(first.name, first.subject, stretch.extent, rows, first.opened)


def _short(
    question: Question, outages: Iterable[ReportedOutage], term: Interruptions
) -> Iterator[Stretch]:
    """Those that are over and shorter than what counts."""
    assert term.at_least_minutes is not None
    least = term.at_least_minutes * UNIT_US["minutes"]
    for stretch in stretches(outages):
        start, end = stretch.extent.start, stretch.extent.end
        if end is None:
            continue
        as_counted = term.length == "as_counted"
        if (question.counted.length(start, end) if as_counted else end - start) < least:
            yield stretch
