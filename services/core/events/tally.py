"""Additive counts of facts per metric and window: kept live, and made again at the recount.

Two tallies of the same facts are equal however the facts were cut into batches, so a difference
between the running tally and the recount means that facts were lost or counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from schemas.frame import Facts, Int64s
from schemas.programme import Programme
from services.core.calendar.windows import DAY_US
from services.core.events.facts import Index

WINDOW_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": DAY_US}
_CHECK = 2**63
_LOW_HALF = np.int64(0xFFFFFFFF)

TallyKey = tuple[int, int]
"""Number of the metric, and start of the window in microseconds since 1970 UTC."""


class Tally(NamedTuple):
    """What lies in one window. ``a`` and ``b`` are exact sums, they may pass 64 bits.

    ``checksum``: sum of the payloads' hashes, modulo 2**63.
    """

    n: int
    a: int
    b: int
    checksum: int

    def plus(self, other: Tally) -> Tally:
        """The tally of both."""
        return Tally(
            self.n + other.n,
            self.a + other.a,
            self.b + other.b,
            (self.checksum + other.checksum) % _CHECK,
        )


def metric_windows(
    programmes: Iterable[Programme], numbers: Mapping[tuple[str, str], int]
) -> dict[int, int]:
    """Number of each metric to the length of its tally window in microseconds.

    A metric keeps the window of its first version: tallies of one metric must add up.
    """
    lengths: dict[int, int] = {}
    for programme in sorted(programmes, key=lambda each: each.version):
        for metric in programme.metrics:
            number = numbers.get((programme.programme, metric.metric))
            if number is not None:
                lengths.setdefault(number, WINDOW_US[metric.tally_window])
    return lengths


def tally(facts: Facts, windows: Mapping[int, int]) -> dict[TallyKey, Tally]:
    """Counts per metric and window. Facts of a metric without a length are tallied by day.

    Windows are cut in UTC. Facts without a metric have the number -1.
    """
    if not len(facts):
        return {}
    lengths = np.full(len(facts), DAY_US, np.int64)
    for number in np.unique(facts.metric).tolist():
        lengths[facts.metric == number] = windows.get(number, DAY_US)
    start = facts.at_us - facts.at_us % lengths
    order = np.lexsort((start, facts.metric))
    metric, start = facts.metric[order], start[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (metric[1:] != metric[:-1]) | (start[1:] != start[:-1])
    at = np.flatnonzero(first)
    n = np.diff(at, append=len(order)).tolist()
    check = np.add.reduceat(facts.payload[order], at) & np.uint64(_CHECK - 1)
    keys = zip(metric[at].tolist(), start[at].tolist(), strict=True)
    sums = zip(
        n,
        _sums(facts.a[order], at),
        _sums(facts.b[order], at),
        check.tolist(),
        strict=True,
    )
    return {key: Tally(*each) for key, each in zip(keys, sums, strict=True)}


def _sums(column: Int64s, at: Index) -> list[int]:
    """Exact sums of the groups that begin at these positions, in two halves."""
    high = np.add.reduceat(column >> 32, at).tolist()
    low = np.add.reduceat(column & _LOW_HALF, at).tolist()
    return [(upper << 32) + lower for upper, lower in zip(high, low, strict=True)]
