"""What was stored after the close of a period: it is told late, whatever time it states itself.

A close that is ordered takes nothing from the time that the contract leaves for what comes late:
what was stored before that was over has come in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from schemas.agreement import Agreement
from schemas.frame import Bools, Facts, UInt64s
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from services.core.calendar.windows import (
    how_many,
    instant,
    label_at,
    labels_between,
    microseconds,
    window_of,
)
from services.core.counting.late_measurements import MEASURED
from services.core.counting.occurrences import NAMED_BY
from services.core.counting.words import ruling
from services.core.events.corrections import EventKey
from services.core.events.facts import CORRECTION, Index, identity_of
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import chunks, rows_in
from services.evaluator import evaluation_store
from services.evaluator.columns import identity_bytes
from services.evaluator.evaluation_store import FirstClose
from services.evaluator.fact_reader import Loaded
from services.shell.postgres import Connection

FramePlaces = Mapping[bytes, tuple[int, int]]
"""Identity to the partition and number of the frame."""
Closes = Mapping[str, Mapping[int, int]]
"""By closed period and partition, the last frame that came before the close."""
FEW_PERIODS = 400
"""Of more than so many in a stretch of time all closes are read."""
_MAY_TELL_OF_ANY = (CORRECTION, *NAMED_BY)
"""The kinds that may tell of a period in which their time does not lie."""


@dataclass(frozen=True, slots=True)
class StoredAfter:
    """Whether a period had been closed when an event was stored. See `ClosedBefore`.

    ``frames``: of linked events, of those that tell of an occurrence, and of late values.
    ``late``: high halves of the identities of late values.
    """

    frames: FramePlaces
    closes: Closes
    late: UInt64s

    def __call__(self, key: EventKey, period: str) -> bool:
        """Whether the period had been closed; the event's own time says nothing here."""
        place, last = self.frames.get(identity_of(*key)), self.closes.get(period)
        if place is None or last is None:
            return False
        return place[1] > last.get(place[0], -1)

    def may_be_late(self, facts: Facts) -> Index:
        """The rows of late values, and of no others but by chance."""
        if not len(self.late):
            return np.empty(0, np.intp)
        return rows_in(facts.id_high, self.late)


async def closes_of(
    connection: Connection,
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    parts: Sequence[Facts] | None,
    newest: Mapping[int, int],
) -> Closes:
    """The closes of an agreement that ``parts``, the facts read, may have come after; None: all.

    ``newest``: partition to its newest frame. To be called inside the transaction that reads them.
    """
    labels = None if parts is None else _periods_of(programmes, agreements, parts)
    found: dict[str, Mapping[int, int]] = {}
    early: list[FirstClose] = []
    name = agreements[-1].agreement
    for each in await evaluation_store.first_closes(connection, name, labels):
        found[each.period] = each.counted_through
        if each.closed_at.date() <= first_day(next_label(each.period)) + _longest(agreements):
            due = _due(programmes, agreements, each.period)
            if each.closed_at < due:
                early.append(replace(each, closed_at=due))
    return found | await evaluation_store.in_time(connection, early, newest)


def _longest(agreements: Sequence[Agreement]) -> timedelta:
    """No period can be closed later than so long after its last day, in any time zone."""
    return timedelta(hours=max(each.lateness_hours for each in agreements) + 48)


def _due(programmes: Sequence[Programme], agreements: Sequence[Agreement], period: str) -> datetime:
    lateness = timedelta(hours=ruling(agreements, period).lateness_hours)
    return window_of(period, ruling(programmes, period).time_zone).end + lateness


def _periods_of(
    programmes: Sequence[Programme], agreements: Sequence[Agreement], parts: Sequence[Facts]
) -> list[str] | None:
    """The settlement periods in which facts lie; None for any."""
    if any(np.isin(each.kind, _MAY_TELL_OF_ANY).any() for each in parts):
        return None
    times = [each.at_us[np.isin(each.kind, MEASURED)] for each in parts]
    times = [each for each in times if len(each)]
    if not times:
        return []
    zone, begin = programmes[-1].time_zone, min(each.effective_from for each in agreements)
    since, until = (
        max(first_day(label_at(instant(at), zone, "day")), begin)
        for at in (min(int(each.min()) for each in times), max(int(each.max()) for each in times))
    )
    found: list[str] = []
    for length in {each.settled for each in agreements}:
        first, last = label_of(since, length), label_of(until, length)
        if how_many(first, last) > FEW_PERIODS:
            return None
        found += labels_between(first, last)
    return found


def stored_after(
    loaded: Loaded,
    linked: FramePlaces,
    closes: Closes,
    programmes: Sequence[Programme],
    budget: Budget = UNBOUNDED,
) -> StoredAfter:
    """Which of the loaded facts came late. ``linked``: frames of the linked ones. Raises
    OverBudget."""
    facts = loaded.facts
    late = np.flatnonzero(_is_late(loaded, closes, programmes))
    told = np.flatnonzero(np.isin(facts.kind, list(NAMED_BY)))
    frames = {**linked, **_frames(loaded, told, budget), **_frames(loaded, late, budget)}
    return StoredAfter(frames, closes, np.unique(facts.id_high[late]))


def _is_late(loaded: Loaded, closes: Closes, programmes: Sequence[Programme]) -> Bools:
    """Which measured values were stored after the close of the period in which they lie.

    What lies before the first period is in that.
    """
    facts = loaded.facts
    found, measured = np.zeros(len(facts), np.bool_), np.isin(facts.kind, MEASURED)
    if not closes or not measured.any():
        return found
    periods = sorted(closes, key=first_day)
    windows = [window_of(each, ruling(programmes, each).time_zone) for each in periods]
    starts, ends = (
        np.array([microseconds(each) for each in edge], np.int64)
        for edge in zip(*((each.start, each.end) for each in windows), strict=True)
    )
    rows = np.flatnonzero(measured & (facts.at_us < ends.max()))
    place = np.maximum(np.searchsorted(starts, facts.at_us[rows], "right") - 1, 0)
    partitions = int(loaded.partition.max(initial=0)) + 1
    last = np.array(
        [[closes[each].get(number, -1) for number in range(partitions)] for each in periods]
    )
    found[rows] = (facts.at_us[rows] < ends[place]) & (
        loaded.number[rows] > last[place, loaded.partition[rows]]
    )
    return found


def _frames(loaded: Loaded, rows: Index, budget: Budget) -> dict[bytes, tuple[int, int]]:
    facts = loaded.facts
    columns = (facts.id_high, facts.id_low, loaded.partition, loaded.number)
    found: dict[bytes, tuple[int, int]] = {}
    for some in chunks(len(rows), budget):
        each = zip(*(column[rows[some]].tolist() for column in columns), strict=True)
        found |= {identity_bytes(high, low): (place, number) for high, low, place, number in each}
    return found
