"""Corrections that do not fit their events: kept in the quarantine, once each, with the reason.

A correction is an accepted fact. Whether it fits is seen when a period is counted, and may change
with later facts: then a further row says so, and the item itself stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from schemas.frame import Facts
from services.core.calendar.windows import instant
from services.core.events.corrections import EventKey, RejectedCorrection, waits_for
from services.core.events.facts import CORRECTION, TYPE_OF_KIND, payload_before, payload_bytes
from services.core.events.rejections import Rejection
from services.evaluator import fact_reader, link_store, store
from services.evaluator.columns import identity_bytes
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.fact_reader import Loaded
from services.evaluator.link_store import Untold
from services.evaluator.quarantine import REFUSED_CORRECTION, notice, problem_text
from services.evaluator.store import Aside
from services.shell.faults import faultpoint
from services.shell.frames import read_batch
from services.shell.outbox import enqueue_many
from services.shell.postgres import Connection

AT_ONCE = 500
"""So many are told in one transaction."""


@dataclass(frozen=True, slots=True)
class HeldCorrection:
    """A correction in the quarantine. ``refused``: as it was seen last."""

    item: int
    refused: bool


async def record(
    connection: Connection,
    topic: str,
    place: AgreementPeriod,
    loaded: Loaded,
    refused: Sequence[RejectedCorrection],
) -> None:
    """Bring the quarantine to what a count has seen of its agreement's corrections.

    To be called in the transaction of the count. ``topic``: where what is new is published.
    ``loaded``: the corrections that it looked at, among other facts.
    """
    rows = _rows(loaded.facts)
    held = await _held(connection, list(rows))
    found = {(each.correction.source, each.correction.id): each for each in refused}
    fresh = {rows[key]: each for key, each in sorted(found.items()) if key not in held}
    await _set_aside(connection, topic, loaded, fresh)
    changed = [
        (one.item, key in found)
        for key, one in sorted(held.items())
        if one.refused != (key in found)
    ]
    await connection.executemany(
        "insert into correction_verdict (item, refused, agreement, period) values ($1, $2, $3, $4)",
        [(*each, *place) for each in changed],
    )


async def tell_waiting(connection: Connection, topic: str, seconds: float) -> bool:
    """Set aside corrections whose event did not come in so many seconds, until it comes.

    Whether there may be more. ``topic``: where they are published.
    """
    async with connection.transaction():
        await link_store.clear_told(connection, REFUSED_CORRECTION, AT_ONCE)
        untold = await link_store.to_tell(connection, seconds, AT_ONCE)
        by_frame: dict[tuple[int, int], list[Untold]] = {}
        for each in untold:
            by_frame.setdefault((each.partition, each.number), []).append(each)
        items: dict[int, list[tuple[Aside, int]]] = {}
        async for place, body in fact_reader.frames(connection, sorted(by_frame)):
            own = by_frame[place]
            batch = read_batch(body).take(pa.array([each.place for each in own]))
            facts = fact_reader.as_facts([batch])
            for row, each in enumerate(own):
                corrects = str(msgspec.json.decode(facts.data[row])["corrects"])
                problem = waits_for(facts.sources[facts.source[row]], corrects)
                aside = _aside(facts, row, problem, each.first_offset)
                items.setdefault(each.partition, []).append((aside, 1))
        for partition, own_items in sorted(items.items()):
            first = await store.set_aside(connection, partition, own_items)
            await enqueue_many(connection, topic, [notice(item, at) for item, at in first])
        await link_store.note_told(connection, untold)
        faultpoint("told.before-commit")
    faultpoint("told.after-commit")
    return len(untold) == AT_ONCE


async def set_aside_stored(
    connection: Connection,
    topic: str,
    frame: tuple[int, int],
    batch: Any,
    refused: Mapping[int, Rejection],
) -> None:
    """Set aside corrections, by their rows, that a stored frame holds and no count will apply.

    ``topic``: where they are published. ``frame``: its partition and number.
    """
    if not refused:
        return
    partition, number = frame
    offset = await store.first_offset(connection, partition, number)
    rows = sorted(refused)
    facts = fact_reader.as_facts([batch.take(pa.array(rows))])
    items = [(_aside(facts, place, refused[row], offset), 1) for place, row in enumerate(rows)]
    first = await store.set_aside(connection, partition, items)
    await enqueue_many(connection, topic, [notice(item, at) for item, at in first])


def _rows(facts: Facts) -> dict[EventKey, int]:
    """The row of each correction."""
    rows = np.flatnonzero(facts.kind == CORRECTION).tolist()
    return {(facts.sources[facts.source[row]], facts.ids[row]): row for row in rows}


async def _held(
    connection: Connection, corrections: Sequence[EventKey]
) -> dict[EventKey, HeldCorrection]:
    if not corrections:
        return {}
    rows = await connection.fetch(
        "select q.number, q.source, q.event_id, coalesce(newest.refused, true) as refused"
        "  from unnest($2::text[], $3::text[]) as own(source, event_id)"
        "  join quarantine_item q using (source, event_id)"
        "  left join lateral (select refused from correction_verdict"
        "    where item = q.number order by number desc limit 1) newest on true"
        " where q.reason = $1",
        REFUSED_CORRECTION,
        [source for source, _ in corrections],
        [event_id for _, event_id in corrections],
    )
    return {
        (row["source"], row["event_id"]): HeldCorrection(row["number"], row["refused"])
        for row in rows
    }


async def _set_aside(
    connection: Connection,
    topic: str,
    loaded: Loaded,
    fresh: Mapping[int, RejectedCorrection],
) -> None:
    """Keep and publish corrections, by their rows, that are refused for the first time."""
    facts = loaded.facts
    rows = {_identity(facts, row): row for row in fresh}
    for partition in np.unique(loaded.partition[list(fresh)]).tolist() if fresh else ():
        own = [each for each, row in rows.items() if loaded.partition[row] == partition]
        offsets = await link_store.offsets(connection, partition, own)
        items = [
            (_aside(facts, rows[each], fresh[rows[each]].problem, offsets[each]), 1) for each in own
        ]
        known = await store.set_aside_before(connection, [item for item, _ in items])
        kept = [(item.as_kept(known), times) for item, times in items]
        first = await store.set_aside(connection, partition, kept)
        await enqueue_many(connection, topic, [notice(item, at) for item, at in first])


def _aside(facts: Facts, row: int, problem: Rejection, offset: int) -> Aside:
    """A refused correction as the quarantine keeps it."""
    source, event_id = facts.sources[facts.source[row]], facts.ids[row]
    return Aside(
        reason=REFUSED_CORRECTION,
        id128=_identity(facts, row),
        payload=payload_bytes(int(facts.payload_high[row]), int(facts.payload_low[row])),
        payload_before=payload_before(
            CORRECTION, int(facts.at_us[row]), "", None, 0, 0, facts.data[row]
        ),
        source=source,
        event_id=event_id,
        offset=offset,
        problem=problem_text(problem),
        told={
            "source": source,
            "id": event_id,
            "type": TYPE_OF_KIND[CORRECTION],
            "time": instant(int(facts.at_us[row])).isoformat(),
            "data": msgspec.json.decode(facts.data[row]),
        },
    )


def _identity(facts: Facts, row: int) -> bytes:
    return identity_bytes(int(facts.id_high[row]), int(facts.id_low[row]))
