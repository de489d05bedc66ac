"""Corrections that do not fit their events: kept in the quarantine, once each, with the reason.

A correction is an accepted fact. Whether it fits is seen when a period is counted, and may change
with later facts: then a further row says so, and the item itself stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.frame import Facts
from schemas.programme import Programme
from services.core.events.corrections import EventKey, RejectedCorrection
from services.core.events.facts import identity_of
from services.evaluator import columns, store
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.fact_reader import Loaded
from services.evaluator.quarantine import notice
from services.evaluator.store import Aside
from services.shell.frames import read_batch
from services.shell.outbox import enqueue_many
from services.shell.postgres import Connection

REFUSED_CORRECTION = "refused_correction"


@dataclass(frozen=True, slots=True)
class HeldCorrection:
    """A correction in the quarantine. ``refused``: as it was seen last."""

    item: int
    refused: bool


async def record(
    connection: Connection,
    topic: str,
    place: AgreementPeriod,
    programmes: Sequence[Programme],
    loaded: Loaded,
    refused: Sequence[RejectedCorrection],
    metrics: Mapping[int, tuple[str, str]],
) -> None:
    """Bring the quarantine to what a count has seen of a programme's corrections.

    To be called in the transaction of the count. ``topic``: where what is new is published.
    ``loaded``: the facts counted, all corrections of the programme's sources among them.
    """
    sources = sorted({each.source for one in programmes for each in one.sources})
    held = await _held(connection, sources)
    found = {(each.correction.source, each.correction.id): each for each in refused}
    fresh = [each for identity, each in sorted(found.items()) if identity not in held]
    if fresh:
        items = [await _aside(connection, each, loaded, metrics) for each in fresh]
        first: list[Any] = []
        for partition, item in items:
            first += await store.set_aside(connection, partition, [(item, 1)])
        await enqueue_many(connection, topic, [notice(item, at) for item, at in first])
    changed = [
        (one.item, identity in found)
        for identity, one in sorted(held.items())
        if one.refused != (identity in found)
    ]
    await connection.executemany(
        "insert into correction_verdict (item, refused, agreement, period) values ($1, $2, $3, $4)",
        [(*each, *place) for each in changed],
    )


async def _held(connection: Connection, sources: Sequence[str]) -> dict[EventKey, HeldCorrection]:
    rows = await connection.fetch(
        "select q.number, q.source, q.event_id, a.item is null as refused"
        "  from quarantine_item q left join applied_correction a on a.item = q.number"
        " where q.reason = $1 and q.source = any($2::text[])",
        REFUSED_CORRECTION,
        sources,
    )
    return {
        (row["source"], row["event_id"]): HeldCorrection(row["number"], row["refused"])
        for row in rows
    }


async def _aside(
    connection: Connection,
    each: RejectedCorrection,
    loaded: Loaded,
    metrics: Mapping[int, tuple[str, str]],
) -> tuple[int, Aside]:
    """A refused correction as the quarantine keeps it, and the partition that holds it."""
    source, event_id = each.correction.source, each.correction.id
    identity = identity_of(source, event_id)
    high, low = int.from_bytes(identity[:8], "big"), int.from_bytes(identity[8:], "big")
    row = _row(loaded.facts, high, low)
    partition = int(loaded.partition[row])
    where = await store.find(connection, high, low, partition)
    assert where is not None, "a fact that was counted is stored"
    (told,) = columns.events_of(read_batch(where.frame), [where.row], metrics)
    problem = each.problem
    field = f"{problem.field}: " if problem.field else ""
    return partition, Aside(
        reason=REFUSED_CORRECTION,
        id128=identity,
        payload=int(loaded.facts.payload[row]).to_bytes(8, "big"),
        source=source,
        event_id=event_id,
        offset=where.first_offset,
        problem=f"{field}{problem.reason}; {problem.remedy}",
        told=told,
    )


def _row(facts: Facts, high: int, low: int) -> int:
    (rows,) = np.nonzero((facts.id_high == np.uint64(high)) & (facts.id_low == np.uint64(low)))
    return int(rows[0])
