"""The rows of `fact_frame` that a step writes: accepted facts only, small frames merged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.frame import Bools, Int8s, Int32s, Int64s
from services.core.calendar.windows import DAY_US
from services.evaluator import columns as cols
from services.evaluator.columns import Columns
from services.evaluator.identity_index import DUPLICATE, NEW
from services.evaluator.store import StoredFrame
from services.shell.frames import MAX_ROWS
from services.shell.steps import Record


def stored_frames(
    given: Sequence[tuple[Record, Any]], columns: Columns, verdict: Int8s, number: int
) -> tuple[list[StoredFrame], npt.NDArray[np.uint32]]:
    """The rows of `fact_frame` for a step, and the number of the one that holds each fact.

    Small frames that follow each other share a row; a full one of which everything was accepted
    is kept as it came.
    """
    fresh, repeated = verdict == NEW, verdict == DUPLICATE
    numbers = np.zeros(len(columns), np.uint32)
    bounds = np.cumsum([0, *(batch.num_rows for _, batch in given)])
    counts = [int(fresh[a:b].sum()) for a, b in pairwise(bounds)]
    stored: list[StoredFrame] = []
    for first, last in _groups(counts):
        rows = slice(int(bounds[first]), int(bounds[last]))
        if not (fresh[rows].any() or repeated[rows].any()):
            continue
        keep = [fresh[bounds[each] : bounds[each + 1]] for each in range(first, last)]
        numbers[rows] = number + len(stored)
        stored.append(
            _stored_frame(given[first:last], columns, rows, keep, repeated, number + len(stored))
        )
    return stored, numbers


def _groups(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring frames whose accepted rows fit into one, as ranges of positions."""
    groups: list[tuple[int, int]] = []
    filled = 0
    for place, count in enumerate(counts):
        if groups and filled + count <= MAX_ROWS:
            groups[-1] = (groups[-1][0], place + 1)
            filled += count
        else:
            groups.append((place, place + 1))
            filled = count
    return groups


def _stored_frame(
    given: Sequence[tuple[Record, Any]],
    columns: Columns,
    rows: slice,
    keep: Sequence[Bools],
    repeated: Bools,
    number: int,
) -> StoredFrame:
    fresh = np.concatenate(keep)
    high, low = columns.high[rows], columns.low[rows]
    at_us, again = columns.at_us[rows][fresh], repeated[rows]
    untouched = len(given) == 1 and bool(fresh.all())
    return StoredFrame(
        number=number,
        first_offset=given[0][0].offset,
        last_offset=given[-1][0].offset,
        n=len(at_us),
        min_us=int(at_us.min()) if len(at_us) else None,
        max_us=int(at_us.max()) if len(at_us) else None,
        metrics=np.unique(columns.metric[rows][fresh]).tolist(),
        frame=given[0][0].value
        if untouched
        else cols.frame_of([batch for _, batch in given], keep),
        ids=cols.identities(high[fresh], low[fresh]),
        payloads=cols.identities(
            columns.payload_high[rows][fresh], columns.payload_low[rows][fresh]
        ),
        dup_ids=cols.identities(high[again], low[again]),
        days=_days(columns.metric[rows][fresh], at_us),
    )


def _days(metric: Int32s, at_us: Int64s) -> list[tuple[int, int]]:
    """Metric and UTC day since 1970 of some facts, each pair once."""
    day = at_us // DAY_US
    order, starts = cols.groups(metric, day)
    first = order[starts]
    return list(zip(metric[first].tolist(), day[first].tolist(), strict=True))
