"""Which time of a window is known: by what was reported, and by a heartbeat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.frame import Int64s
from schemas.programme import Heartbeat

Interval = tuple[int, int]
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


def without(spans: Iterable[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """What is left of spans after others, which are in order and apart, are taken out."""
    left: list[Interval] = []
    for start, end in spans:
        for begins, until in taken:
            if until <= start or begins >= end:
                continue
            if begins > start:
                left.append((start, begins))
            start = until
        if start < end:
            left.append((start, end))
    return left
