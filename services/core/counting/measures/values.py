"""Counts and values: what lies in the window is added, averaged, ranked or held to a limit.

Columns are int64; every sum is made of two halves that cannot overflow, and ends in Python's
integers. A value is ``value / 10**scale_or_total``.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from heapq import merge
from math import ceil, floor

import numpy as np

from schemas.frame import Bools, Int64s
from schemas.programme import Extreme, Mean, Percentile, WithinLimit
from services.core.calendar.intervals import holds_each
from services.core.counting.measures.question import CountedFigure, Question, percent
from services.core.events.facts import COUNT, LARGEST, Index
from services.core.exact.budget import Budget
from services.core.exact.chunked import chunks

_LOW_HALF = np.int64(0xFFFFFFFF)


def whole_sum(column: Int64s) -> int:
    """The exact sum of a column, however large. Good for up to two thousand million rows."""
    return (int((column >> 32).sum()) << 32) + int((column & _LOW_HALF).sum())


def good_of_total(question: Question) -> CountedFigure:
    """Samples and counts: good out of total, in percent."""
    goods, totals = _columns(question)
    good, total = whole_sum(goods), whole_sum(totals)
    return CountedFigure(
        value=percent(good, total),
        rows=question.rows,
        good=Fraction(good),
        total=Fraction(total),
        telling=question.rows[goods < totals],
        nothing=bool(len(question.rows)) and not total,
    )


def good_samples(question: Question) -> CountedFigure:
    """Good probes out of all, of those that lie in time that counts."""
    counted = question.counted
    if counted.is_all:
        return good_of_total(question)
    inside = holds_each(counted.spans, question.facts.at_us[question.rows])
    found = good_of_total(replace(question, rows=question.rows[inside]))
    return replace(found, nothing=not counted.spans)


def total(question: Question) -> CountedFigure:
    """Sum of what was reported: a count gives its ``good``, the others their value."""
    rows, facts = question.rows, question.facts
    decimals = np.where(facts.kind[rows] == COUNT, 0, facts.scale_or_total[rows])
    value = _sum(facts.value[rows], decimals)
    return CountedFigure(
        value=value if len(rows) else None, rows=rows, good=value, total=Fraction(len(rows))
    )


def mean(question: Question, measure: Mean) -> CountedFigure:
    """Plain mean of the values; told by the values worse than it."""
    values, scales = _columns(question)
    value = _sum(values, scales) / len(values) if len(values) else None
    worse = question.rows[_worse(question, values, scales, value, or_equal=False)]
    return CountedFigure(value, question.rows, total=Fraction(len(values)), telling=worse)


def extreme(question: Question, measure: Extreme) -> CountedFigure:
    """Largest or smallest value; told by those at it when it is the wrong end."""
    values, scales = _columns(question)
    value = _extreme(values, scales, largest=measure.kind == "maximum")
    worse = question.rows[_worse(question, values, scales, value, or_equal=True)]
    return CountedFigure(value, question.rows, total=Fraction(len(values)), telling=worse)


def percentile(question: Question, measure: Percentile) -> CountedFigure:
    """The value at the rank, or between the two ranks, that the measure's method names."""
    values, scales = _columns(question)
    value: Fraction | None = None
    if len(values) and measure.method == "interpolated":
        value = _between_ranks(values, scales, measure.percent, question.budget)
    elif len(values):
        rank = ceil(measure.percent * len(values) / 100)
        value = _ranked(values, scales, rank - 1, question.budget)
    worse = question.rows[_worse(question, values, scales, value, or_equal=True)]
    return CountedFigure(value, question.rows, total=Fraction(len(values)), telling=worse)


def _between_ranks(values: Int64s, scales: Int64s, share: Fraction, budget: Budget) -> Fraction:
    """Linear between the closest ranks: of n values the smallest is at 0, the largest at n - 1."""
    place = share * (len(values) - 1) / 100
    low, high = floor(place), ceil(place)
    under = _ranked(values, scales, low, budget)
    if low == high:
        return under
    return under + (_ranked(values, scales, high, budget) - under) * (place - low)


def within_limit(question: Question, measure: WithinLimit) -> CountedFigure:
    """Share of values at or under, or only under, the limit."""
    values, scales = _columns(question)
    within = _at_most(values, scales, measure.limit, or_equal=measure.equal_is_within)
    good = int(np.count_nonzero(within))
    return CountedFigure(
        value=percent(good, len(values)),
        rows=question.rows,
        good=Fraction(good),
        total=Fraction(len(values)),
        telling=question.rows[~within],
    )


def _columns(question: Question) -> tuple[Int64s, Int64s]:
    return question.facts.value[question.rows], question.facts.scale_or_total[question.rows]


def _distinct(scales: Int64s) -> list[int]:
    return [int(each) for each in np.unique(scales)]


def _sum(values: Int64s, scales: Int64s) -> Fraction:
    distinct = _distinct(scales)
    if len(distinct) == 1:
        return Fraction(whole_sum(values), 10 ** distinct[0])
    parts = (Fraction(whole_sum(values[scales == each]), 10**each) for each in distinct)
    return sum(parts, Fraction(0))


def _extreme(values: Int64s, scales: Int64s, *, largest: bool) -> Fraction | None:
    """The largest or smallest of each scale, then of all."""
    distinct = _distinct(scales)
    parts = (values[scales == each] for each in distinct)
    ends = [
        Fraction(int(part.max() if largest else part.min()), 10**each)
        for part, each in zip(parts, distinct, strict=True)
    ]
    if not ends:
        return None
    return max(ends) if largest else min(ends)


def _ranked(values: Int64s, scales: Int64s, position: int, budget: Budget) -> Fraction:
    """The value at a position of the sorted values, all brought to one scale."""
    scale = max(_distinct(scales))
    steps = 10 ** (scale - scales) if scale > int(scales.min()) else None
    if steps is None:
        return Fraction(int(np.partition(values, position)[position]), 10**scale)
    largest = int(np.abs(values).max())
    if largest * int(steps.max()) < LARGEST:
        level = values * steps
        return Fraction(int(np.partition(level, position)[position]), 10**scale)
    # Too large for int64 at one scale: rank exact Python integers instead. Rare, and slow.
    runs = [
        sorted(
            value * 10 ** (scale - places)
            for value, places in zip(values[some].tolist(), scales[some].tolist(), strict=True)
        )
        for some in chunks(len(values), budget)
    ]
    for place, exact in enumerate(merge(*runs)):
        budget.spend(0)
        if place == position:
            return Fraction(exact, 10**scale)
    raise AssertionError("there is no such position")


def _at_most(values: Int64s, scales: Int64s, limit: Fraction, *, or_equal: bool) -> Bools:
    """Which values are at or under a limit, or only under it; exact at every scale."""
    found = np.zeros(len(values), np.bool_)
    for places in _distinct(scales):
        end = floor(limit * 10**places) if or_equal else ceil(limit * 10**places) - 1
        here = scales == places
        found[here] = values[here] <= max(-LARGEST, min(LARGEST, end))
    return found


def _worse(
    question: Question, values: Int64s, scales: Int64s, value: Fraction | None, *, or_equal: bool
) -> Bools | Index:
    """Which values lie on the wrong side of the figure."""
    if value is None:
        return np.zeros(len(values), np.bool_)
    if question.metric.better == "lower":
        return ~_at_most(values, scales, value, or_equal=not or_equal)
    return _at_most(values, scales, value, or_equal=or_equal)
