"""Sets of stretches of time: half-open, exact, in order and apart.

An `Interval` is ``(start, end)`` in whole microseconds, ``start`` inside and ``end`` outside. A set
is a sequence of them in ascending order in which none is empty and no two overlap or touch; what
every function here gives back is one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from schemas.frame import Bools, Int64s

Interval = tuple[int, int]


def merged(spans: Iterable[Interval]) -> list[Interval]:
    """The time covered by any of the spans; what overlaps or touches becomes one."""
    result: list[Interval] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        elif start < end:
            result.append((start, end))
    return result


def without(spans: Iterable[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """What is left of spans, each by itself, after a set is taken out of them."""
    left: list[Interval] = []
    for start, end in spans:
        for begins, until in taken[max(0, bisect_right(taken, (start,)) - 1) :]:
            if begins >= end:
                break
            if until <= start:
                continue
            if begins > start:
                left.append((start, begins))
            start = until
        if start < end:
            left.append((start, end))
    return left


def common(spans: Iterable[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What spans, each by itself, have in common with a set."""
    found: list[Interval] = []
    for start, end in spans:
        for begins, until in others[max(0, bisect_right(others, (start,)) - 1) :]:
            if begins >= end:
                break
            if until > start:
                found.append((max(start, begins), min(end, until)))
    return found


def at_least(sets: Sequence[Sequence[Interval]], many: int) -> list[Interval]:
    """The time that lies in so many of some sets at once."""
    steps = sorted((at, change) for one in sets for span in one for at, change in _ends(span))
    found, inside, since = [], 0, 0
    for at, change in steps:
        before, inside = inside, inside + change
        if before < many <= inside:
            since = at
        elif inside < many <= before:
            found.append((since, at))
    return merged(found)


def _ends(span: Interval) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a span begins and ends. At one moment what ends does so before what begins."""
    start, end = span
    return (start, 1), (end, -1)


def length(spans: Iterable[Interval]) -> int:
    """How long spans are together, in microseconds: each by itself, also where they overlap."""
    return sum(end - start for start, end in spans)


def holds(spans: Sequence[Interval], moment: int) -> bool:
    """Whether a moment lies in a set."""
    place = bisect_right(spans, moment, key=lambda span: span[0])
    return place > 0 and moment < spans[place - 1][1]


def holds_each(spans: Sequence[Interval], moments: Int64s) -> Bools:
    """Which moments lie in a set."""
    if not spans:
        return np.zeros(len(moments), np.bool_)
    begins, ends = np.array(spans, np.int64).T
    place = np.searchsorted(begins, moments, side="right")
    found: Bools = (place > 0) & (moments < ends[np.maximum(place - 1, 0)])
    return found


def lengths_within(spans: Sequence[Interval], starts: Int64s, ends: Int64s) -> Int64s:
    """How much of each of many stretches lies in a set; 0 where one ends before it starts."""
    found: Int64s = _before(spans, np.maximum(starts, ends)) - _before(spans, starts)
    return found


def _before(spans: Sequence[Interval], moments: Int64s) -> Int64s:
    """How much of a set lies before each moment."""
    if not spans:
        return np.zeros(len(moments), np.int64)
    begins, ends = np.array(spans, np.int64).T
    so_far = np.concatenate(([0], np.cumsum(ends - begins)))
    place = np.searchsorted(begins, moments, side="right")
    last = np.maximum(place - 1, 0)
    inside = np.minimum(moments, ends[last]) - begins[last]
    found: Int64s = np.where(place > 0, so_far[last] + inside, 0)
    return found
