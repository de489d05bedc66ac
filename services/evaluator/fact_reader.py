"""Facts read back from storage: only the frames that can matter, only the rows that do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.frame import Facts, Int32s
from services.core.calendar.windows import DAY_US
from services.core.events.facts import EMPTY, in_order
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import chunks
from services.evaluator.columns import groups
from services.evaluator.store import modular
from services.shell.frames import facts_of, numbers_of, read_batch
from services.shell.postgres import Connection

T = TypeVar("T")

NO_METRIC = -1
_LATEST = 2**62

Span = tuple[int, int]
"""Microseconds since 1970 UTC, half open."""
Sums = tuple[int, int, int, int]
"""Number of facts, sums of ``value``, ``scale_or_total`` and the high halves of the payloads'
hashes modulo 2^62."""
Key = tuple[int, int, int]
"""Partition, metric number, day since 1970 UTC."""

EVER: Span = (-_LATEST, _LATEST)


class Texts(Sequence[str]):
    """A column of texts that makes a Python object only of what is asked for."""

    def __init__(self, column: Any) -> None:
        """``column``: an Arrow array of (large) strings without nulls or offset."""
        assert column.null_count == 0
        column = column.cast(pa.large_string())
        _, places, body = column.buffers()
        self._places: npt.NDArray[np.int64] = np.frombuffer(places, np.int64)[
            column.offset : column.offset + len(column) + 1
        ]
        self._body = memoryview(body) if body is not None else memoryview(b"")
        self._column = column

    def __len__(self) -> int:
        return len(self._places) - 1 if len(self._places) else 0

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            first, past, step = row.indices(len(self))
            if step == 1:
                return self._column.slice(first, max(0, past - first)).to_pylist()
            return [self[each] for each in range(first, past, step)]
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        return str(self._body[self._places[row] : self._places[row + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        yield from self._column.to_pylist()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Facts of one snapshot. ``partition``, ``number``: of the frame of each fact, beside it."""

    facts: Facts
    partition: Int32s
    number: Int32s


# Whatever the planner takes the tables for, each frame is looked up by its key: `offset 0`.
_FRAMES = """
    select found.partition, found.number, f.frame
      from (select distinct d.partition, d.number
              from unnest($1::int[], $2::bigint[], $3::bigint[]) as need(metric, first, past)
             cross join lateral (
                    select partition, number from frame_day
                     where metric = need.metric and day >= need.first and day < need.past
                    offset 0) d) found
     cross join lateral (
            select frame from fact_frame
             where partition = found.partition and number = found.number
            offset 0) f
     order by 1, 2
"""


async def load(connection: Connection, spans: Mapping[int, Span]) -> Loaded:
    """The facts of these metrics whose day touches their span, whole UTC days of them.

    ``spans``: metric number to span. To be called inside a transaction, so that all of it is of one
    snapshot.
    """
    wanted = {metric: whole_days(span) for metric, span in spans.items()}
    names = sorted(wanted)
    cursor = connection.cursor(
        _FRAMES,
        names,
        [wanted[name][0] // DAY_US for name in names],
        [wanted[name][1] // DAY_US for name in names],
        prefetch=32,
    )
    batches: list[Any] = []
    partitions: list[Int32s] = []
    frame_numbers: list[Int32s] = []
    async for row in cursor:
        batch = _within(read_batch(row["frame"]), wanted)
        if batch.num_rows:
            batches.append(batch)
            partitions.append(np.full(batch.num_rows, row["partition"], np.int32))
            frame_numbers.append(np.full(batch.num_rows, row["number"], np.int32))
    if not batches:
        return Loaded(EMPTY, np.empty(0, np.int32), np.empty(0, np.int32))
    return await until_cancelled(
        _by_identity, batches, np.concatenate(partitions), np.concatenate(frame_numbers)
    )


async def until_cancelled(work: Callable[..., T], *given: Any) -> T:
    """What ``work(*given, budget)`` comes to, in a thread that ends when nobody waits for it any
    more. It may take as many steps as it likes."""
    budget = Budget()
    try:
        return await asyncio.to_thread(work, *given, budget)
    except asyncio.CancelledError:
        budget.stop()
        raise


_SOME = """
    select f.partition, f.number, frame
      from unnest($1::int[], $2::int[]) as need(partition, number)
      join fact_frame f using (partition, number)
"""


async def frames(
    connection: Connection, places: Sequence[tuple[int, int]]
) -> AsyncIterator[tuple[tuple[int, int], bytes]]:
    """Stored frames by partition and number, in any order; to be read inside a transaction."""
    if places:
        cursor = connection.cursor(
            _SOME, [place[0] for place in places], [place[1] for place in places], prefetch=32
        )
        async for row in cursor:
            yield (row["partition"], row["number"]), row["frame"]


def _by_identity(batches: list[Any], partition: Int32s, number: Int32s, budget: Budget) -> Loaded:
    """All rows in order of identity, the order in which the core counts; empties the list.

    Put in order here, by Arrow, no text of theirs becomes an object.
    """
    batch = _one(batches)
    batches.clear()
    numbers = numbers_of(batch)
    order = in_order(numbers["id_high"], numbers["id_low"], budget)
    parts = [batch.take(pa.array(order[some])) for some in chunks(len(order), budget)]
    del batch, numbers
    return Loaded(_facts(_one(parts)), partition[order], number[order])


def whole_days(span: Span) -> Span:
    """The span widened to whole UTC days, so that every tally window lies within or without."""
    first, past = span
    return first - first % DAY_US, past + -past % DAY_US


def _within(batch: Any, wanted: Mapping[int, Span]) -> Any:
    numbers = numbers_of(batch)
    keep = np.zeros(batch.num_rows, np.bool_)
    for metric in np.unique(numbers["metric"]).tolist():
        if metric in wanted:
            first, past = wanted[metric]
            at_us = numbers["at_us"]
            keep |= (numbers["metric"] == metric) & (at_us >= first) & (at_us < past)
    return batch if keep.all() else batch.filter(pa.array(keep))


_TEXTS = ("id", "data")


def as_facts(batches: Sequence[Any]) -> Facts:
    """Batches with a frame's columns as facts. Their texts stay in Arrow's memory."""
    return _facts(_one(batches))


def _one(batches: Sequence[Any]) -> Any:
    """Batches as one, however large their texts are together: they get 64-bit places."""
    table = pa.Table.from_batches(batches)
    for name in _TEXTS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.large_string()))
    (batch,) = table.unify_dictionaries().combine_chunks().to_batches()
    return batch


def _facts(batch: Any) -> Facts:
    texts = {name: Texts(batch.column(name)) for name in _TEXTS}
    for name in _TEXTS:  # not to be read into objects below
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, name, pa.nulls(len(batch), pa.string()))
    bare = facts_of(batch)
    return replace(bare, ids=texts["id"], data=texts["data"])


def counted(loaded: Loaded, budget: Budget = UNBOUNDED) -> dict[Key, Sums]:
    """Sums of the facts per partition, metric and UTC day. Raises OverBudget."""
    found: dict[Key, Sums] = {}
    for some in chunks(len(loaded.facts), budget):
        for key, sums in _counted(loaded, some).items():
            so_far = found.get(key, (0, 0, 0, 0))
            n, *others = (one + other for one, other in zip(so_far, sums, strict=True))
            value, scale_or_total, checksum = (one % 2**62 for one in others)
            found[key] = (n, value, scale_or_total, checksum)
    return found


def _counted(loaded: Loaded, some: slice) -> dict[Key, Sums]:
    facts, partition, metric = loaded.facts, loaded.partition[some], loaded.facts.metric[some]
    day = facts.at_us[some] // DAY_US
    order, starts = groups(partition, metric, day)
    keys = np.stack([partition, metric, day], axis=1)[order[starts]]
    n = np.diff(starts, append=len(order)).tolist()
    sums = [
        modular(np.add.reduceat(column[some][order], starts))
        for column in (facts.value, facts.scale_or_total, facts.payload_high)
    ]
    found: dict[Key, Sums] = {}
    for place, key in enumerate(keys.tolist()):
        value, scale_or_total, checksum = (column[place] for column in sums)
        found[tuple(key)] = (n[place], value, scale_or_total, checksum)
    return found


# The key of a tally begins with its partition: each is asked by itself, or all would be read.
_TALLIED = """
    select partition, need.metric, floor(window_us / 86400000000.0)::bigint as day,
           sum(n) as n, sum(a) as a, sum(b) as b, sum(checksum) as checksum
      from generate_series(0, (select max(partition) from tally)) as every(partition)
     cross join unnest($1::int[], $2::bigint[], $3::bigint[]) as need(metric, first, past)
     cross join lateral (
            select window_us, n, a, b, checksum from tally t
             where t.partition = every.partition and t.metric = need.metric
               and window_us >= need.first and window_us < need.past
            offset 0) t
     group by 1, 2, 3
"""


async def tallied(connection: Connection, spans: Mapping[int, Span]) -> dict[Key, Sums]:
    """What the running tallies say of the same."""
    wanted = {metric: whole_days(span) for metric, span in spans.items()}
    names = sorted(wanted)
    rows = await connection.fetch(
        _TALLIED, names, [wanted[name][0] for name in names], [wanted[name][1] for name in names]
    )
    return {
        (row["partition"], row["metric"], row["day"]): (
            int(row["n"]),
            int(row["a"]) % 2**62,
            int(row["b"]) % 2**62,
            int(row["checksum"]) % 2**62,
        )
        for row in rows
    }
