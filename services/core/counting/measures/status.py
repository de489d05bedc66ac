"""Availability by status: a sample's status holds until the subject's next sample."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from schemas.frame import Bools, Int64s
from schemas.programme import AvailabilityByStatus
from services.core.calendar.intervals import lengths_within
from services.core.counting.measures.question import CountedFigure, Question, percent
from services.core.counting.measures.values import whole_sum
from services.core.events.facts import Index
from services.core.exact.chunked import argsort, ascending


@dataclass(frozen=True, slots=True)
class _Stretches:
    """One stretch per sample, cut at the window, in order of subject and time."""

    rows: Index
    us: Int64s
    up: Bools
    before_first_us: int


def availability(question: Question, measure: AvailabilityByStatus) -> CountedFigure:
    """Share of time up, in percent; ``good`` and ``total`` are seconds.

    Samples before the window give the status with which it begins. Of several samples at one
    instant the last by identity holds. Without any sample there is no figure.
    """
    found, nothing = _stretches(question), not question.counted.spans
    if not len(found.rows):
        return CountedFigure(None, found.rows, good=Fraction(0), total=Fraction(0), nothing=nothing)
    up, observed = whole_sum(found.us[found.up]), whole_sum(found.us)
    if measure.before_first != "not_observed":
        observed += found.before_first_us
        up += found.before_first_us if measure.before_first == "up" else 0
    start, _ = question.bounds
    counted = (found.us > 0) | (question.facts.at_us[found.rows] >= start)
    return CountedFigure(
        value=percent(up, observed),
        rows=ascending(found.rows[counted]),
        good=Fraction(up, 1_000_000),
        total=Fraction(observed, 1_000_000),
        telling=found.rows[~found.up & (found.us > 0)],
        nothing=nothing,
    )


def _stretches(question: Question) -> _Stretches:
    start, end = question.bounds
    facts = question.facts
    rows = question.rows[facts.at_us[question.rows] < end]
    # The rows are in order of identity and the sort is stable: that breaks ties of time.
    rows = rows[argsort(facts.at_us[rows], question.budget)]
    rows = rows[argsort(facts.subject[rows], question.budget)]
    at_us, subject = facts.at_us[rows], facts.subject[rows]
    last = np.ones(len(rows), np.bool_)
    last[:-1] = subject[1:] != subject[:-1]
    first = np.ones(len(rows), np.bool_)
    first[1:] = last[:-1]
    until = np.full(len(rows), end, np.int64)
    until[:-1][~last[:-1]] = at_us[1:][~last[:-1]]
    begins = np.full(int(first.sum()), start, np.int64)
    spans = question.counted.spans
    us = lengths_within(spans, np.maximum(at_us, start), until)
    before = whole_sum(lengths_within(spans, begins, at_us[first]))
    return _Stretches(rows, us, facts.value[rows] > 0, before)
