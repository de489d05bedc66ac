"""Whether exactly this event was accepted before, asked of the facts that the evaluator stored.

Ingest asks only before it refuses something whose repeat would be lawful: a conflict with what
this process acknowledged (another process's version may have been first in the log), and an event
that has become too old since it was accepted. So the usual event never waits for this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.core.calendar.windows import DAY_US
from services.core.events.facts import Row
from services.shell.postgres import Connection

MOST_FRAMES = 512
"""Frames read for one question, 96 KiB each at most. With more, the rest is not known."""
_AT_ONCE = 32


async def accepted(connection: Connection, rows: Sequence[Row]) -> frozenset[bytes]:
    """Identity and payload, in one, of those rows that were accepted exactly so.

    What the evaluator has not applied yet is not among them.
    """
    if not rows:
        return frozenset()
    wanted = {row.identity + row.payload for row in rows}
    found: set[bytes] = set()
    places = await _frames(connection, {(row.metric, row.at_us // DAY_US) for row in rows})
    for start in range(0, min(len(places), MOST_FRAMES), _AT_ONCE):
        frames = await connection.fetch(
            "select ids, payloads from fact_frame where (partition, number) in"
            " (select * from unnest($1::int[], $2::int[]))",
            *(list(part) for part in zip(*places[start : start + _AT_ONCE], strict=True)),
        )
        for frame in frames:
            found.update(wanted.intersection(_facts(frame["ids"], frame["payloads"])))
        if len(found) == len(wanted):
            break
    return frozenset(found)


async def _frames(connection: Connection, days: Iterable[tuple[int, int]]) -> list[Any]:
    """Partition and number of the frames with facts of one of these metrics and days."""
    metrics, numbers = zip(*days, strict=True)
    return list(
        await connection.fetch(
            "select distinct partition, number from unnest($1::int[], $2::int[]) as w(metric, day)"
            " cross join lateral (select partition, number from frame_day d"
            "   where d.metric = w.metric and d.day = w.day offset 0) f",
            metrics,
            numbers,
        )
    )


def _facts(ids: bytes, payloads: bytes) -> Iterable[bytes]:
    for place in range(len(ids) // 16):
        yield ids[16 * place : 16 * place + 16] + payloads[8 * place : 8 * place + 8]
