"""Whether exactly this event was accepted before, asked of the facts that the evaluator stored.

Ingest asks only before it refuses something whose repeat would be lawful: a conflict with what
this process acknowledged (another process's version may have been first in the log), and an event
that has become too old since it was accepted. So the usual event never waits for this.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

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
    times = sorted({row.at_us for row in rows})
    found: set[bytes] = set()
    places = await _frames(connection, times)
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


async def _frames(connection: Connection, times: Sequence[int]) -> list[tuple[int, int]]:
    """Partition and number of the frames in whose span one of the times lies."""
    spans: list[Any] = await connection.fetch(
        "select partition, number, min_us, max_us from fact_frame"
        " where max_us >= $1 and min_us <= $2",
        times[0],
        times[-1],
    )
    return [
        (span["partition"], span["number"])
        for span in spans
        if bisect_left(times, span["min_us"]) < bisect_right(times, span["max_us"])
    ]


def _facts(ids: bytes, payloads: bytes) -> Iterable[bytes]:
    for place in range(len(ids) // 16):
        yield ids[16 * place : 16 * place + 16] + payloads[8 * place : 8 * place + 8]
