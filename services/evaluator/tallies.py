"""Running tallies: sums per metric and window, the early view of a period."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas.frame import Bools
from services.core.calendar.windows import DAY_US
from services.evaluator import store
from services.evaluator.columns import Columns, groups
from services.evaluator.store import Tallies


def tallies(columns: Columns, fresh: Bools, widths: Mapping[int, int]) -> Tallies:
    """Sums per metric and window of the accepted rows.

    ``widths``: metric to microseconds, a day where it says nothing, cut in UTC. Sums are
    modulo 2^62, as the database keeps them; ``checksum`` is the sum of the high halves of the
    payloads' hashes.
    """
    metric, at_us = columns.metric[fresh], columns.at_us[fresh]
    if not len(metric):
        return Tallies([], [], [], [], [], [])
    names, place = np.unique(metric, return_inverse=True)
    width = np.array([widths.get(name, DAY_US) for name in names.tolist()])[place]
    window = at_us - at_us % width
    order, starts = groups(metric, window)
    payload = columns.payload_high[fresh][order]
    return Tallies(
        metric=metric[order][starts].tolist(),
        window_us=window[order][starts].tolist(),
        n=np.diff(starts, append=len(metric)).tolist(),
        value=store.modular(np.add.reduceat(columns.value[fresh][order], starts)),
        scale_or_total=store.modular(np.add.reduceat(columns.scale_or_total[fresh][order], starts)),
        checksum=store.modular(np.add.reduceat(payload, starts)),
    )
