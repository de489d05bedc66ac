"""Answers from what is stored at this moment: open periods, single events, events of a figure."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import numpy as np

from schemas.frame import Facts
from schemas.statement import canonical
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import bounds_us, instant
from services.core.counting.evaluation import window_at
from services.core.events.facts import identity_of, number
from services.evaluator import columns, fact_reader, recount, store
from services.evaluator.refused_corrections import REFUSED_CORRECTION
from services.shell.frames import partition_of, read_batch
from services.shell.postgres import Connection, Pool


class After(NamedTuple):
    """A place in the order of facts: time, then identity."""

    at_us: int
    high: int
    low: int


BEGINNING = After(fact_reader.EVER[0], 0, 0)


async def preview(pool: Pool, catalogue: Catalogue, agreement: str, period: str) -> bytes:
    """What a close would say now, as canonical JSON; nothing is stored.

    Raises NoSuchPeriod, or ValueError where the catalogue does not let the period be counted.
    """
    subject = recount.target_of(catalogue, agreement, period)
    async with pool.acquire() as connection:
        snapshot = await recount.take(connection, subject)
    revision = 1 if snapshot.last is None else snapshot.last.revision + 1
    made, _ = await asyncio.to_thread(recount.evaluation, subject, snapshot, revision, "commanded")
    return canonical(made)


async def verdict(
    connection: Connection, catalogue: Catalogue, source: str, event_id: str, partitions: int
) -> dict[str, Any]:
    """What became of an event. ``partitions``: of `measurements`."""
    digest = identity_of(source, event_id)
    high, low = number(digest[:8]), number(digest[8:])
    partition = partition_of(source, partitions)
    place = await store.find(connection, high, low, partition)
    accepted: dict[str, Any] | None = None
    repeated = 0
    if place is not None:
        batch = read_batch(place.frame)
        (event,) = columns.events_of(batch, [place.row], catalogue.metrics)
        accepted = {
            "partition": place.partition,
            "frame": place.number,
            "row": place.row,
            "first_offset": place.first_offset,
            "last_offset": place.last_offset,
            "stored_at": place.stored_at.isoformat(),
            "event": event,
        }
        repeated = await store.repetitions(connection, high, low, partition)
    aside = await _aside(connection, source, event_id)
    unfit = any(
        each["reason"] == REFUSED_CORRECTION and each["resolved_at"] is None for each in aside
    )
    standing = "accepted" if accepted and not unfit else "quarantined" if aside else "not_seen"
    return {
        "source": source,
        "id": event_id,
        "standing": standing,
        "accepted": accepted,
        "duplicates": repeated,
        "quarantined": aside,
    }


async def _aside(connection: Connection, source: str, event_id: str) -> list[dict[str, Any]]:
    rows = await connection.fetch(
        "select q.number, reason, problem, told, times, first_at, last_at, a.seen_at as resolved_at"
        " from quarantine_item q left join applied_correction a on a.item = q.number"
        " where source = $1 and event_id = $2 order by q.number",
        source,
        event_id,
    )
    return [
        {
            "number": row["number"],
            "reason": row["reason"],
            "problem": row["problem"],
            "told": json.loads(row["told"]) if row["told"] else None,
            "times": row["times"],
            "first_at": row["first_at"].isoformat(),
            "last_at": row["last_at"].isoformat(),
            "resolved_at": row["resolved_at"].isoformat() if row["resolved_at"] else None,
        }
        for row in rows
    ]


async def facts_of(
    pool: Pool,
    catalogue: Catalogue,
    agreement: str,
    metric: str,
    period: str,
    subject: str | None,
    after: After,
    limit: int,
) -> tuple[list[dict[str, Any]], After | None]:
    """The accepted facts of a metric in a period, by time and identity, from a place on.

    Gives at most ``limit`` and the place to go on from, None at the end. Raises NoSuchPeriod.
    """
    versions = catalogue.agreements.get(agreement)
    if not versions:
        raise recount.NoSuchPeriod(f"agreement {agreement} is not applied; correct the name")
    programmes = catalogue.programmes[versions[-1].programme]
    numbered = catalogue.numbers.get((versions[-1].programme, metric))
    if numbered is None:
        raise recount.NoSuchPeriod(
            f"programme {versions[-1].programme} has no metric {metric}; correct the name"
        )
    start, end = bounds_us(window_at(programmes, period))
    span = (max(start, after.at_us), end)
    if span[0] >= end:
        return [], None
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        loaded = await fact_reader.load(connection, {numbered: span})
    facts = loaded.facts
    rows = _in_order(facts, start, end, subject, after)
    items = [_item(facts, row) for row in rows[:limit].tolist()]
    if len(rows) <= limit:
        return items, None
    last = int(rows[limit - 1])
    return items, After(int(facts.at_us[last]), int(facts.id_high[last]), int(facts.id_low[last]))


def _in_order(facts: Facts, start: int, end: int, subject: str | None, after: After) -> Any:
    keep = (facts.at_us >= start) & (facts.at_us < end)
    if subject is not None:
        known = list(facts.subjects)
        keep &= facts.subject == (known.index(subject) if subject in known else -2)
    rows = np.flatnonzero(keep)
    rows = rows[np.lexsort((facts.id_low[rows], facts.id_high[rows], facts.at_us[rows]))]
    if after == BEGINNING:
        return rows
    at_us, high, low = facts.at_us[rows], facts.id_high[rows], facts.id_low[rows]
    wanted_high, wanted_low = np.uint64(after.high), np.uint64(after.low)
    beyond = (high > wanted_high) | ((high == wanted_high) & (low > wanted_low))
    return rows[(at_us > after.at_us) | ((at_us == after.at_us) & beyond)]


def _item(facts: Facts, row: int) -> dict[str, Any]:
    code = int(facts.subject[row])
    return {
        "source": facts.sources[int(facts.source[row])],
        "id": facts.ids[row],
        "type": columns.TYPES[int(facts.kind[row])],
        "time": instant(int(facts.at_us[row])).isoformat(),
        "subject": None if code < 0 else facts.subjects[code],
    }
