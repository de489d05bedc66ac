"""Outages, tickets and deliveries by name: noted in the step that stores their events, so that a
count finds those that matter to its windows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from schemas.agreement import Agreement
from schemas.frame import Bools
from schemas.period import first_day
from schemas.programme import Programme
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import microseconds, window_of
from services.core.counting.occurrence_time import said_times
from services.core.counting.occurrences import NAMED_BY
from services.core.counting.words import ruling
from services.core.events.facts import CORRECTION
from services.core.events.rules import KINDS_OF_MEASURE
from services.evaluator import occurrence_store, store
from services.evaluator.columns import Columns, joined
from services.evaluator.occurrence_store import Lateness, ToldEvent
from services.evaluator.stored_after import Closes
from services.evaluator.watermark import periods
from services.shell.frames import NotAFrame, numbers_of, read_batch
from services.shell.logs import log
from services.shell.postgres import Connection

FRAMES_AT_ONCE = 100
"""Frames of before that are looked at in one pass."""
_KINDS = list(NAMED_BY)
_NOT_CLOSED = 2**31 - 1


async def note(
    connection: Connection, partition: int, columns: Columns, stored: Bools, numbers: Any
) -> None:
    """Note what the stored rows of a step tell of. ``numbers``: of the frame that holds each."""
    if not (stored & np.isin(columns.kind, _KINDS)).any():
        return
    rows = np.flatnonzero(stored)
    places = np.arange(len(rows)) - np.searchsorted(numbers[rows], numbers[rows])
    told = np.isin(columns.kind[rows], _KINDS)
    events = _told_events(columns, rows[told], numbers, places[told])
    await occurrence_store.note(connection, partition, list(events))


def _told_events(columns: Columns, rows: Any, numbers: Any, places: Any) -> Iterator[ToldEvent]:
    """What these rows tell. ``places``: of each of them in its frame."""
    bounds = np.cumsum([0, *(batch.num_rows for batch in columns.batches)])
    of = np.searchsorted(bounds, rows, "right") - 1
    for row, index, place in zip(rows.tolist(), of.tolist(), places.tolist(), strict=True):
        batch, own = columns.batches[index], row - int(bounds[index])
        kind, at_us = int(columns.kind[row]), int(columns.at_us[row])
        data = msgspec.json.decode(batch.column("data")[own].as_py())
        named = _named(kind, batch.column("source")[own].as_py(), data)
        times = said_times(kind, at_us, data)
        yield ToldEvent(int(columns.metric[row]), named, *times, at_us, int(numbers[row]), place)


def _named(kind: int, source: str, data: Mapping[str, Any]) -> bytes:
    """What stands for an occurrence: a source's names are its own, for each kind."""
    said = f"{kind}\0{source}\0{data[NAMED_BY[kind]]}"
    return blake2b(said.encode(), digest_size=16).digest()


def named_in(partition: int, batch: Any) -> Iterator[tuple[int, bytes]]:
    """The occurrences that facts of a partition tell of, or that corrections name among them."""
    kinds = numbers_of(batch)["kind"]
    for row in np.flatnonzero(np.isin(kinds, [*_KINDS, CORRECTION])).tolist():
        said = msgspec.json.decode(batch.column("data")[row].as_py())
        source = batch.column("source")[row].as_py()
        if kinds[row] != CORRECTION:
            yield partition, _named(int(kinds[row]), source, said)
        while isinstance(said, dict) and "corrects" in said:  # a correction, or one of a correction
            said = said.get("data")
            for kind, name in NAMED_BY.items():
                if isinstance(said, dict) and isinstance(said.get(name), str):
                    yield partition, _named(kind, source, said)


def lateness(
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    period: str,
    closes: Closes,
    partitions: int,
) -> Lateness:
    """When events of the periods up to this one were told late. ``closes``: of the agreement, as
    `closes_of` finds them. ``partitions``: how many there may be frames of."""
    zone, last = programmes[-1].time_zone, first_day(period)
    labels = []
    for label in periods(agreements, zone):
        if first_day(label) > last:
            break
        labels.append(label)
    least = np.full(partitions, _NOT_CLOSED)
    counted = []
    for label in reversed(labels):  # what comes before the close of one may come after a later one
        own = closes.get(label)
        if own is not None:
            least = np.minimum(least, [own.get(each, -1) for each in range(partitions)])
        counted.append(least.tolist())
    return Lateness(
        [microseconds(window_of(label, zone).start) for label in labels],
        [_closing_us(programmes, agreements, label) for label in labels],
        [number for own in reversed(counted) for number in own],
        partitions,
    )


def _closing_us(
    programmes: Sequence[Programme], agreements: Sequence[Agreement], label: str
) -> int:
    """See `Words.closing_us`."""
    end = window_of(label, ruling(programmes, label).time_zone).end
    return microseconds(end) + ruling(agreements, label).lateness_hours * 3_600_000_000


async def fill(connection: Connection, catalogue: Catalogue) -> bool:
    """Note the occurrences of some frames from before there was a table of them; whether there may
    be more. What cannot be read stays: until it can, counts read all events."""
    try:
        return await _fill(connection, catalogue)
    except NotAFrame as error:
        log(__name__).error("occurrences_not_noted", error=str(error))
        return False


async def _fill(connection: Connection, catalogue: Catalogue) -> bool:
    metrics = [
        number
        for number, (programme, metric) in catalogue.metrics.items()
        if _may_have(catalogue.programmes.get(programme, ()), metric)
    ]
    async with connection.transaction():
        found = await occurrence_store.next_frames(connection, metrics, FRAMES_AT_ONCE)
        if found is None:
            return False
        partition, following, frames = found
        bodies = await store.frame_bodies(connection, partition, frames)
        for number, body in bodies.items():
            events = await asyncio.to_thread(_events_of, number, body)
            await occurrence_store.note(connection, partition, events)
        await occurrence_store.went_to(connection, partition, following)
    return True


def _events_of(number: int, body: bytes) -> list[ToldEvent]:
    columns = joined([read_batch(body)])
    rows = np.flatnonzero(np.isin(columns.kind, _KINDS))
    return list(_told_events(columns, rows, np.full(len(columns), number), rows))


def _may_have(versions: Sequence[Programme], metric: str) -> bool:
    """Whether any version counts a metric from occurrences; without versions nobody can tell."""
    found = [one for each in versions if (one := each.metric(metric)) is not None]
    kinds = {kind for one in found for kind in KINDS_OF_MEASURE[one.measure.kind]}
    return not versions or bool(kinds.intersection(_KINDS))
