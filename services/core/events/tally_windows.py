"""How long the windows are in which a metric's facts are tallied as they come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.programme import Programme
from services.core.calendar.windows import DAY_US

WINDOW_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": DAY_US}


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
