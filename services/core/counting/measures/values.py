"""Counts and values: what lies in the window is added, averaged, ranked or held to a limit.

Columns are int64; every sum is made of two halves that cannot overflow, and ends in Python's
integers. A value is ``a / 10**b``.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

from schemas.frame import Bools, Int64s
from schemas.programme import Extreme, Mean, Percentile, WithinLimit
from services.core.counting.measures.question import CountedFigure, Question, percent
from services.core.events.facts import COUNT, LARGEST, Index

_LOW_HALF = np.int64(0xFFFFFFFF)


def whole_sum(column: Int64s) -> int:
    """The exact sum of a column, however large. Good for up to two thousand million rows."""
    return (int((column >> 32).sum()) << 32) + int((column & _LOW_HALF).sum())


def good_of_total(question: Question) -> CountedFigure:
    """Samples and counts: good out of total, in percent."""
    a, b = question.facts.a[question.rows], question.facts.b[question.rows]
    good, total = whole_sum(a), whole_sum(b)
    return CountedFigure(
        value=percent(good, total),
        rows=question.rows,
        good=Fraction(good),
        total=Fraction(total),
        telling=question.rows[a < b],
        nothing=bool(len(question.rows)) and not total,
    )


def total(question: Question) -> CountedFigure:
    """Sum of what was reported: a count gives its ``good``, the others their value."""
    rows, facts = question.rows, question.facts
    decimals = np.where(facts.kind[rows] == COUNT, 0, facts.b[rows])
    value = _sum(facts.a[rows], decimals)
    return CountedFigure(
        value=value if len(rows) else None, rows=rows, good=value, total=Fraction(len(rows))
    )


def mean(question: Question, measure: Mean) -> CountedFigure:
    """Plain mean of the values; told by the values worse than it."""
    a, b = _columns(question)
    value = _sum(a, b) / len(a) if len(a) else None
    worse = question.rows[_worse(question, a, b, value, or_equal=False)]
    return CountedFigure(value, question.rows, total=Fraction(len(a)), telling=worse)


def extreme(question: Question, measure: Extreme) -> CountedFigure:
    """Largest or smallest value; told by those at it when it is the wrong end."""
    a, b = _columns(question)
    value = _extreme(a, b, largest=measure.kind == "maximum")
    worse = question.rows[_worse(question, a, b, value, or_equal=True)]
    return CountedFigure(value, question.rows, total=Fraction(len(a)), telling=worse)


def percentile(question: Question, measure: Percentile) -> CountedFigure:
    """Nearest rank: the smallest value with at least that share of all at or below it."""
    a, b = _columns(question)
    value: Fraction | None = None
    if len(a):
        rank = ceil(measure.percent * len(a) / 100)
        value = _ranked(a, b, rank - 1)
    worse = question.rows[_worse(question, a, b, value, or_equal=True)]
    return CountedFigure(value, question.rows, total=Fraction(len(a)), telling=worse)


def within_limit(question: Question, measure: WithinLimit) -> CountedFigure:
    """Share of values at or under, or only under, the limit."""
    a, b = _columns(question)
    within = _at_most(a, b, measure.limit, or_equal=measure.equal_is_within)
    good = int(np.count_nonzero(within))
    return CountedFigure(
        value=percent(good, len(a)),
        rows=question.rows,
        good=Fraction(good),
        total=Fraction(len(a)),
        telling=question.rows[~within],
    )


def _columns(question: Question) -> tuple[Int64s, Int64s]:
    return question.facts.a[question.rows], question.facts.b[question.rows]


def _scales(b: Int64s) -> list[int]:
    return [int(each) for each in np.unique(b)]


def _sum(a: Int64s, b: Int64s) -> Fraction:
    scales = _scales(b)
    if len(scales) == 1:
        return Fraction(whole_sum(a), 10 ** scales[0])
    return sum((Fraction(whole_sum(a[b == each]), 10**each) for each in scales), Fraction(0))


def _extreme(a: Int64s, b: Int64s, *, largest: bool) -> Fraction | None:
    """The largest or smallest of each scale, then of all."""
    ends = (a[b == each] for each in _scales(b))
    values = [
        Fraction(int(part.max() if largest else part.min()), 10**each)
        for part, each in zip(ends, _scales(b), strict=True)
    ]
    if not values:
        return None
    return max(values) if largest else min(values)


def _ranked(a: Int64s, b: Int64s, position: int) -> Fraction:
    """The value at a position of the sorted values, all brought to one scale."""
    scale = max(_scales(b))
    steps = 10 ** (scale - b) if scale > int(b.min()) else None
    if steps is None:
        return Fraction(int(np.partition(a, position)[position]), 10**scale)
    largest = int(np.abs(a).max())
    if largest * int(steps.max()) < LARGEST:
        level = a * steps
        return Fraction(int(np.partition(level, position)[position]), 10**scale)
    # Too large for int64 at one scale: rank exact Python integers instead. Rare, and slow.
    exact = sorted(
        value * 10 ** (scale - places) for value, places in zip(a.tolist(), b.tolist(), strict=True)
    )
    return Fraction(exact[position], 10**scale)


def _at_most(a: Int64s, b: Int64s, limit: Fraction, *, or_equal: bool) -> Bools:
    """Which values are at or under a limit, or only under it; exact at every scale."""
    found = np.zeros(len(a), np.bool_)
    for places in _scales(b):
        end = floor(limit * 10**places) if or_equal else ceil(limit * 10**places) - 1
        here = b == places
        found[here] = a[here] <= max(-LARGEST, min(LARGEST, end))
    return found


def _worse(
    question: Question, a: Int64s, b: Int64s, value: Fraction | None, *, or_equal: bool
) -> Bools | Index:
    """Which values lie on the wrong side of the figure."""
    if value is None:
        return np.zeros(len(a), np.bool_)
    if question.metric.better == "lower":
        return ~_at_most(a, b, value, or_equal=not or_equal)
    return _at_most(a, b, value, or_equal=or_equal)
