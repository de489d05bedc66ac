"""The evaluator's tables: every statement it sends, and nothing that decides."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from schemas.frame import Int64s, UInt64s
from services.core.events.facts import payload_bytes
from services.evaluator.columns import identities_from, identity_bytes, payloads_from
from services.shell.postgres import Connection

_MASK = 2**62 - 1


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One row of `fact_frame`. ``dup_ids`` are repetitions seen in the same records. ``days``: the
    metric numbers and UTC days since 1970 of its facts, each pair once."""

    number: int
    first_offset: int
    last_offset: int
    n: int
    min_us: int | None
    max_us: int | None
    metrics: list[int]
    frame: bytes
    ids: bytes
    payloads: bytes
    dup_ids: bytes
    days: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Tallies:
    """What a step adds to the running sums; a row per (metric, window), sorted by it."""

    metric: list[int]
    window_us: list[int]
    n: list[int]
    value: list[int]
    scale_or_total: list[int]
    checksum: list[int]


@dataclass(frozen=True, slots=True)
class Aside:
    """Something set aside, never applied. See `quarantine_item`.

    ``payload_before``: the payload's hash as a release before kept it.
    """

    reason: str
    id128: bytes
    payload: bytes
    source: str
    event_id: str
    offset: int
    problem: str
    payload_before: bytes
    told: dict[str, Any] | None = None
    held: dict[str, Any] | None = None
    raw: bytes | None = None

    @property
    def key(self) -> tuple[str, bytes, bytes]:
        """What makes it the same thing when it comes again."""
        return self.reason, self.id128, self.payload

    def as_kept(self, known: Container[tuple[str, bytes, bytes]]) -> Aside:
        """The same, under the hash that it was set aside with before. ``known``: keys."""
        if (self.reason, self.id128, self.payload_before) in known:
            return replace(self, payload=self.payload_before)
        return self


async def insert_frames(
    connection: Connection, partition: int, frames: Sequence[StoredFrame]
) -> None:
    """Store accepted facts, a row per frame, and note which metrics and days it holds."""
    await connection.executemany(
        "insert into fact_frame (partition, number, first_offset, last_offset, n, min_us, max_us,"
        " metrics, frame, ids, payloads, dup_ids)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        [
            (
                partition,
                each.number,
                each.first_offset,
                each.last_offset,
                each.n,
                each.min_us,
                each.max_us,
                each.metrics,
                each.frame,
                each.ids,
                each.payloads,
                each.dup_ids,
            )
            for each in frames
        ],
    )
    places = [(*day, each.number) for each in frames for day in each.days]
    await connection.execute(
        "insert into frame_day (metric, day, partition, number)"
        " select metric, day, $1, number"
        "   from unnest($2::int[], $3::int[], $4::int[]) as f(metric, day, number)",
        partition,
        *([place[column] for place in places] for column in range(3)),
    )


async def latest_of(connection: Connection, partition: int) -> dict[str, int]:
    """The latest event time accepted from each source of a partition."""
    rows = await connection.fetch(
        "select source, latest_us from source_latest where partition = $1", partition
    )
    return {row["source"]: row["latest_us"] for row in rows}


async def note_latest(connection: Connection, partition: int, heard: Mapping[str, int]) -> None:
    """Note sources that were heard, with the latest event time accepted from each."""
    if heard:
        names = sorted(heard)
        await connection.execute(
            "insert into source_latest (partition, source, latest_us)"
            " select $1, * from unnest($2::text[], $3::bigint[])"
            " on conflict (partition, source) do update set latest_us = excluded.latest_us,"
            " heard_at = clock_timestamp()",
            partition,
            names,
            [heard[name] for name in names],
        )


_ADD_TALLIES = f"""
    insert into tally as t (partition, metric, window_us, n, a, b, checksum)
    select $1, * from unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[])
    on conflict (partition, metric, window_us) do update set
        n = t.n + excluded.n,
        a = (t.a + excluded.a) & {_MASK},
        b = (t.b + excluded.b) & {_MASK},
        checksum = (t.checksum + excluded.checksum) & {_MASK}
"""  # noqa: S608 - the mask is a constant of this file


async def add_tallies(connection: Connection, partition: int, sums: Tallies) -> None:
    """Add to the running sums. Keys are distinct and sorted, so that two writers cannot lock
    crosswise."""
    if sums.metric:
        await connection.execute(
            _ADD_TALLIES,
            partition,
            sums.metric,
            sums.window_us,
            sums.n,
            sums.value,
            sums.scale_or_total,
            sums.checksum,
        )


_SET_ASIDE = """
    insert into quarantine_item as q (partition, reason, id128, payload, source, event_id,
                                      first_offset, told, held, raw, problem, times)
    select $1, item.*
      from unnest($2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::bigint[],
                  $8::json[], $9::json[], $10::bytea[], $11::text[], $12::bigint[])
           as item(reason, id128, payload, source, event_id, first_offset, told, held, raw,
                   problem, times)
     order by item.id128, item.payload, item.reason
    on conflict (id128, payload, reason) do update
        set times = q.times + excluded.times, last_at = clock_timestamp()
    returning id128, payload, reason, first_at, xmax = 0 as first
"""


async def set_aside_before(
    connection: Connection, items: Sequence[Aside]
) -> set[tuple[str, bytes, bytes]]:
    """The keys of what is in quarantine already under the identities of these."""
    if not items:
        return set()
    rows = await connection.fetch(
        "select reason, id128, payload from quarantine_item where id128 = any($1::bytea[])",
        [item.id128 for item in items],
    )
    return {(row["reason"], row["id128"], row["payload"]) for row in rows}


async def set_aside(
    connection: Connection, partition: int, items: Sequence[tuple[Aside, int]]
) -> list[tuple[Aside, datetime]]:
    """Quarantine things, each with how often it came; gives those that are there for the first
    time, and the moment that is stored for it."""
    if not items:
        return []
    rows = await connection.fetch(
        _SET_ASIDE,
        partition,
        [item.reason for item, _ in items],
        [item.id128 for item, _ in items],
        [item.payload for item, _ in items],
        [item.source for item, _ in items],
        [item.event_id for item, _ in items],
        [item.offset for item, _ in items],
        [_json(item.told) for item, _ in items],
        [_json(item.held) for item, _ in items],
        [item.raw for item, _ in items],
        [item.problem for item, _ in items],
        [times for _, times in items],
    )
    first = {
        (row["reason"], row["id128"], row["payload"]): row["first_at"]
        for row in rows
        if row["first"]
    }
    return [(item, first[item.key]) for item, _ in items if item.key in first]


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


async def first_offset(connection: Connection, partition: int, number: int) -> int:
    """The offset of the first record that a stored frame holds facts of."""
    found: int = await connection.fetchval(
        "select first_offset from fact_frame where partition = $1 and number = $2",
        partition,
        number,
    )
    return found


async def index_rows(
    connection: Connection, partition: int
) -> AsyncIterator[tuple[int, UInt64s, UInt64s, UInt64s]]:
    """Number, high halves and both halves of the payload hashes of every stored frame of a
    partition, in order.

    To be read inside a transaction.
    """
    cursor = connection.cursor(
        "select number, ids, payloads from fact_frame where partition = $1 order by number",
        partition,
        prefetch=64,
    )
    async for row in cursor:
        high, _ = identities_from(row["ids"])
        yield row["number"], high, *payloads_from(row["payloads"], len(high))


@dataclass(frozen=True, slots=True)
class StoredFact:
    """An accepted fact: its payload's hash, and where it is stored."""

    payload: bytes
    number: int
    row: int


async def known_facts(
    connection: Connection, partition: int, numbers: Sequence[int], highs: set[int]
) -> dict[tuple[int, int], StoredFact]:
    """By identity, the facts in these frames whose high half is asked for."""
    if not numbers:
        return {}
    rows = await connection.fetch(
        "select number, ids, payloads from fact_frame"
        " where partition = $1 and number = any($2::int[])",
        partition,
        list(numbers),
    )
    wanted = np.array(sorted(highs), np.uint64)
    found: dict[tuple[int, int], StoredFact] = {}
    for row in rows:
        high, low = identities_from(row["ids"])
        payload = payloads_from(row["payloads"], len(high))
        for place in np.flatnonzero(np.isin(high, wanted)).tolist():
            identity = (int(high[place]), int(low[place]))
            found[identity] = StoredFact(
                payload_bytes(*(int(half[place]) for half in payload)), row["number"], place
            )
    return found


async def frame_bodies(
    connection: Connection, partition: int, numbers: Sequence[int]
) -> dict[int, bytes]:
    """Stored frames by number."""
    rows = await connection.fetch(
        "select number, frame from fact_frame where partition = $1 and number = any($2::int[])",
        partition,
        list(numbers),
    )
    return {row["number"]: row["frame"] for row in rows}


@dataclass(frozen=True, slots=True)
class FactLocation:
    """Where an accepted fact is stored."""

    partition: int
    number: int
    first_offset: int
    last_offset: int
    row: int
    frame: bytes
    stored_at: Any


async def find(
    connection: Connection,
    high: int,
    low: int,
    partition: int,
    numbers: Sequence[int] = (),
    since: int = 0,
) -> FactLocation | None:
    """The stored fact of an identity, searched in these frames of its partition and in all from
    one on."""
    needle = identity_bytes(high, low)
    rows = await connection.fetch(
        "select number, first_offset, last_offset, ids, frame, stored_at from fact_frame"
        " where partition = $1 and (number = any($3::int[]) or number >= $4)"
        " and position($2::bytea in ids) > 0 order by number",
        partition,
        needle,
        list(numbers),
        since,
    )
    for row in rows:
        at = _aligned(row["ids"], needle)
        if at:
            return FactLocation(
                partition,
                row["number"],
                row["first_offset"],
                row["last_offset"],
                at[0],
                row["frame"],
                row["stored_at"],
            )
    return None


async def repetitions(
    connection: Connection, high: int, low: int, partition: int, since: int
) -> int:
    """How many duplicates of an identity came: the same payload again.

    ``since``: the frame that holds the fact; none came before it.
    """
    needle = identity_bytes(high, low)
    rows = await connection.fetch(
        "select dup_ids from fact_frame"
        " where partition = $1 and number >= $3 and octet_length(dup_ids) > 0"
        "   and position($2::bytea in dup_ids) > 0",
        partition,
        needle,
        since,
    )
    return sum(len(_aligned(row["dup_ids"], needle)) for row in rows)


def _aligned(ids: bytes, needle: bytes) -> list[int]:
    """Rows whose 16 bytes are these. A match across two rows is none."""
    high, low = identities_from(ids)
    wanted = (int.from_bytes(needle[:8], "big"), int.from_bytes(needle[8:], "big"))
    rows = np.flatnonzero((high == np.uint64(wanted[0])) & (low == np.uint64(wanted[1])))
    return [int(row) for row in rows]


def modular(sums: Int64s | UInt64s) -> list[int]:
    """Sums as `tally` holds them: modulo 2^62. Wrapping sums of 64 bits give the same."""
    return [int(each) & _MASK for each in sums.tolist()]


def signed(stored: int) -> int:
    """A stored sum as a number: right for every sum between -2^61 and 2^61."""
    return stored - 2**62 if stored >= 2**61 else stored
