"""Whether exactly this event was accepted before, asked of the facts that the evaluator stored.

Ingest asks only before it refuses something whose repeat would be lawful: a conflict with what
this process acknowledged (another process's version may have been first in the log), and an event
that has become too old since it was accepted. So the usual event never waits for this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.core.calendar.windows import DAY_US
from services.core.events.facts import NO_METRIC, Row, payload_before_of
from services.shell.postgres import Connection

MOST_FRAMES = 512
"""Frames read for one question, 96 KiB each at most. With more, the rest is not known."""
_AT_ONCE = 32
_NO_LOW_HALF = bytes(8)


async def accepted(
    connection: Connection, rows: Sequence[Row], metrics: Mapping[int, tuple[str, str]]
) -> frozenset[bytes]:
    """Identity and payload, in one, of those rows that were accepted exactly so.

    ``metrics``: number to programme and name. What the evaluator has not applied yet is not among
    them. A release before kept another hash of the same payload.
    """
    if not rows:
        return frozenset()
    names = {number: name for number, (_, name) in metrics.items()} | {NO_METRIC: ""}
    wanted = {row.identity + row.payload for row in rows}
    before = {row.identity + payload_before_of(row, names[row.metric]): row for row in rows}
    found: set[bytes] = set()
    places = await _frames(connection, {(row.metric, row.at_us // DAY_US) for row in rows})
    for start in range(0, min(len(places), MOST_FRAMES), _AT_ONCE):
        frames = await connection.fetch(
            "select ids, payloads from fact_frame where (partition, number) in"
            " (select * from unnest($1::int[], $2::int[]))",
            *(list(part) for part in zip(*places[start : start + _AT_ONCE], strict=True)),
        )
        for frame in frames:
            facts = set(_facts(frame["ids"], frame["payloads"]))
            found.update(wanted & facts)
            repeated = (before[each] for each in before.keys() & facts)
            found.update(row.identity + row.payload for row in repeated)
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
    """Identity and payload of each. Where the hash has 64 bits, 8 bytes are stored of it, or 16
    of which the last 8 are 0."""
    rows = len(ids) // 16
    width = len(payloads) // rows if rows else 0
    for place in range(rows):
        payload = payloads[width * place : width * place + width]
        yield ids[16 * place : 16 * place + 16] + payload.removesuffix(_NO_LOW_HALF)
