"""The table of outages, tickets and deliveries: every statement that is sent to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.evaluator.fact_reader import Span
from services.shell.postgres import Connection


class ToldEvent(NamedTuple):
    """One event of an occurrence, what it says of time, and where it is stored.

    ``named``: 16 bytes of the occurrence. ``number``, ``place``: of the frame, and the row there.
    """

    metric: int
    named: bytes
    first_us: int
    last_us: int
    ended_us: int | None
    reopened_us: int | None
    at_us: int
    number: int
    place: int


# In order of the key, so that a step and a pass over older frames cannot lock crosswise.
_NOTE = """
    insert into occurrence as o (partition, metric, named, first_us, last_us, ended_us, reopened_us,
                                 last_number, times, numbers, places)
    select $1, metric, named, min(first_us), max(last_us), max(ended_us), max(reopened_us),
           max(number), array_agg(at_us order by number, place),
           array_agg(number order by number, place), array_agg(place order by number, place)
      from unnest($2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::int[], $10::int[])
           as e(metric, named, first_us, last_us, ended_us, reopened_us, at_us, number, place)
     group by metric, named order by metric, named
    on conflict (partition, metric, named) do update set
        first_us = least(o.first_us, excluded.first_us),
        last_us = greatest(o.last_us, excluded.last_us),
        ended_us = greatest(o.ended_us, excluded.ended_us),
        reopened_us = greatest(o.reopened_us, excluded.reopened_us),
        last_number = greatest(o.last_number, excluded.last_number),
        times = o.times || excluded.times,
        numbers = o.numbers || excluded.numbers,
        places = o.places || excluded.places
"""


async def note(connection: Connection, partition: int, events: Sequence[ToldEvent]) -> None:
    """Add events to their occurrences."""
    if events:
        columns = zip(*events, strict=True)
        await connection.execute(_NOTE, partition, *(list(column) for column in columns))


@dataclass(frozen=True, slots=True)
class Lateness:
    """From when on events of a settlement period are told late: of occurrences that began then, it
    is open what of them counts.

    ``starts``: of the periods up to the one that is counted, in order, in microseconds.
    ``closings``: until when each can still be told of by the time of events. ``counted``: for each
    period and partition, in this order, the last frame that came before its close and those after.
    """

    starts: Sequence[int]
    closings: Sequence[int]
    counted: Sequence[int]
    partitions: int


class EventPlace(NamedTuple):
    """Where an event of an occurrence is stored."""

    partition: int
    number: int
    place: int
    metric: int


# Each part by its index, whatever the planner takes the tables for: `offset 0`.
_BEYOND = """
    with need as (
        select * from unnest($1::int[], $2::bigint[], $3::bigint[], $10::bigint[])
                          as n(metric, first, past, until)
    ), own as (
        select o.*, need.first, need.past, need.until
          from need
         cross join lateral (
                select partition, times, numbers, places, metric from occurrence o
                 where o.metric = need.metric and o.past_us >= need.first and o.first_us < need.past
                offset 0) o
        union all
        select o.*, need.first, need.past, need.until
          from need
         cross join lateral (
                select partition, times, numbers, places, metric
                  from occurrence o
                 cross join lateral (
                        select greatest(width_bucket(o.first_us, $4::bigint[]), 1) as begun) p
                 where o.metric = need.metric and o.past_us < need.first
                   and (o.past_us >= ($5::bigint[])[begun]
                        or o.last_number > ($6::bigint[])[(begun - 1) * $7 + o.partition + 1])
                offset 0) o
        union all
        select o.partition, times, numbers, places, o.metric, need.first, need.past, need.until
          from unnest($8::int[], $9::bytea[]) as one(partition, named)
         cross join need
          join occurrence o on o.partition = one.partition and o.metric = need.metric
                           and o.named = one.named
    )
    select distinct own.partition, e.number, e.place, own.metric
      from own cross join lateral unnest(times, numbers, places) as e(at_us, number, place)
     where (e.at_us < own.first or e.at_us >= own.past) and e.at_us < own.until
     order by 1, 2, 3
"""


async def beyond(
    connection: Connection,
    spans: Mapping[int, Span],
    until_us: Mapping[int, int],
    late: Lateness,
    named: Collection[tuple[int, bytes]],
) -> list[EventPlace]:
    """The events outside of these spans of their metrics that a count of what is in them needs.
    ``until_us``: by metric, of what comes then or later none.

    Of occurrences that are in a span at some time or not over before it; of those of which an event
    was told late, and so may not count; and of those ``named``, by partition.
    """
    metrics = sorted(spans)
    rows = await connection.fetch(
        _BEYOND,
        metrics,
        [spans[metric][0] for metric in metrics],
        [spans[metric][1] for metric in metrics],
        list(late.starts),
        list(late.closings),
        list(late.counted),
        late.partitions,
        [partition for partition, _ in named],
        [name for _, name in named],
        [until_us[metric] for metric in metrics],
    )
    return [EventPlace(*row) for row in rows]


async def is_behind(connection: Connection) -> bool:
    """Whether occurrences from before the table are not written down yet."""
    return bool(await connection.fetchval("select exists (select from occurrence_backlog)"))


async def next_frames(
    connection: Connection, metrics: Sequence[int], most: int
) -> tuple[int, int, list[int]] | None:
    """A partition that is behind, the frame up to which its next pass goes, and those before it
    that hold facts of these metrics; None where none is behind. Locks the partition's place."""
    row = await connection.fetchrow(
        "select partition, following, past from occurrence_backlog"
        " order by partition limit 1 for update"
    )
    if row is None:
        return None
    partition, following, past = row
    rows = await connection.fetch(
        "select number from fact_frame"
        " where partition = $1 and number >= $2 and number < $3 and metrics && $4::int[]"
        " order by number limit $5",
        partition,
        following,
        past,
        list(metrics),
        most,
    )
    found = [row["number"] for row in rows]
    return partition, found[-1] + 1 if len(found) == most else past, found


async def went_to(connection: Connection, partition: int, following: int) -> None:
    """Write down how far a pass has come."""
    await connection.execute(
        "update occurrence_backlog set following = $2 where partition = $1", partition, following
    )
    await connection.execute("delete from occurrence_backlog where following >= past")
