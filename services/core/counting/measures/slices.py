"""Downtime in whole slices of the clock."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from schemas.slices import Slices
from services.core.calendar.intervals import Interval, common, lengths_within, merged

_MINUTE_US = 60_000_000


def reach_us(term: Slices) -> int:
    """How far beyond a window its slices depend on what is out."""
    return term.in_a_row * term.minutes * _MINUTE_US


def bad_slices(spans: Sequence[Interval], window: Interval, term: Slices) -> list[Interval]:
    """The downtime of a window, as a set of whole slices that lie in it.

    ``spans``: what is out, as a set, from `reach_us` before the window until as long after it, so
    that a run of slices over an end of the window counts in both. Windows begin and end with a
    slice: every zone is a whole number of quarters of an hour from UTC.
    """
    lasts, reach = term.minutes * _MINUTE_US, reach_us(term)
    edges = np.arange(window[0] - reach, window[1] + reach + 1, lasts, dtype=np.int64)
    out = lengths_within(spans, edges[:-1], edges[1:])
    bad = out >= ceil(term.bad_at_percent * lasts / 100)
    turns = np.flatnonzero(np.diff(np.concatenate(([0], bad.astype(np.int8), [0]))))
    runs = (
        (int(edges[first]), int(edges[past]))
        for first, past in turns.reshape(-1, 2).tolist()
        if past - first >= term.in_a_row
    )
    return common([window], merged(runs))
