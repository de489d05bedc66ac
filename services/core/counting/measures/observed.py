"""Which time of a window is known: by what was reported, and by a heartbeat."""

from __future__ import annotations

import numpy as np

from schemas.frame import Int64s
from schemas.programme import Heartbeat
from services.core.calendar.intervals import Interval

_MINUTE_US = 60_000_000


def known_us(heartbeat: Heartbeat) -> int:
    """How long after a fact of the heartbeat the time is known, in microseconds."""
    return int(heartbeat.unknown_after_minutes * _MINUTE_US)


def unknown_stretches(beats: Int64s, start: int, end: int, known: int) -> list[Interval]:
    """The stretches of ``[start, end)`` further than ``known`` from the last beat before them.

    ``beats``: microseconds, ascending, those before ``start`` included that still matter.
    """
    begins = np.concatenate(([start], np.maximum(beats + known, start)))
    ends = np.concatenate((beats, [end]))
    ends = np.minimum(np.maximum(ends, start), end)
    gaps = np.flatnonzero(begins < ends)
    return [(int(begins[at]), int(ends[at])) for at in gaps]
