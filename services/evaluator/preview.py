"""Answers from what is stored at this moment: open periods, single events, events of a figure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from schemas.period import first_day, label_of
from schemas.statement import canonical
from services.catalogue.snapshot import Catalogue
from services.core.counting.evaluation import agreement_at, programme_at
from services.core.counting.evidence import EvidenceEvent, Place, evidence_of
from services.core.counting.measures.counting import with_parts
from services.core.counting.measures.question import Need
from services.core.events.corrections import EventKey
from services.core.events.facts import identity_of, number
from services.evaluator import columns, recount, store
from services.evaluator.frame_lookup import FramesToSearch
from services.evaluator.quarantine import REFUSED_CORRECTION
from services.evaluator.recount import RecountTarget
from services.shell.frames import read_batch
from services.shell.postgres import Connection, Pool


class EventsPage(NamedTuple):
    """Some of a figure's events, the place to go on from, and the digest of its evidence."""

    items: list[dict[str, Any]]
    following: Place | None
    digest: str


async def preview(
    pool: Pool,
    catalogue: Catalogue,
    agreement: str,
    period: str,
    as_accepted: Collection[EventKey] = (),
) -> bytes:
    """What a close would say now, as canonical JSON; nothing is stored.

    ``as_accepted``: proposals that are taken as accepted. Raises NoSuchPeriod, or ValueError where
    the catalogue does not let the period be counted.
    """
    subject = recount.target_of(catalogue, agreement, period)
    async with pool.acquire() as connection:
        snapshot = await recount.take(connection, subject)
    revision = 1 if snapshot.last is None else snapshot.last.revision + 1
    counted = partial(recount.evaluation, subject, snapshot, revision, "commanded", as_accepted)
    made, _ = await recount.in_thread(subject, recount.MOST_FACTS, counted)
    return canonical(made)


async def verdict(
    connection: Connection,
    catalogue: Catalogue,
    source: str,
    event_id: str,
    partition: int,
    where: FramesToSearch,
) -> dict[str, Any]:
    """What became of an event. ``partition``: of its source. ``where``: the frames that may hold
    it, as the owner of the partition says."""
    high, low = halves_of(source, event_id)
    place = await store.find(connection, high, low, partition, where.numbers, where.since)
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
        repeated = await store.repetitions(connection, high, low, partition, place.number)
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


def halves_of(source: str, event_id: str) -> tuple[int, int]:
    """The high and the low half of an event's identity."""
    digest = identity_of(source, event_id)
    return number(digest[:8]), number(digest[8:])


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


async def events_behind(
    pool: Pool, catalogue: Catalogue, agreement: str, need: Need, after: Place | None, limit: int
) -> EventsPage:
    """The events that moved a figure of an agreement, by time and identity, from a place on.

    Every fact that the figure was counted from, whenever it lies, and the corrections of these.
    Raises NoSuchPeriod.
    """
    versions = catalogue.agreements.get(agreement)
    if not versions:
        raise recount.NoSuchPeriod(f"agreement {agreement} is not applied; correct the name")
    settled = label_of(first_day(need.period), agreement_at(versions, need.period).settled)
    target = _only(recount.target_of(catalogue, agreement, settled), need)
    async with pool.acquire() as connection:
        snapshot = await recount.take(connection, target)
    return await asyncio.to_thread(_page, target, snapshot, need, after, limit)


def _only(target: RecountTarget, need: Need) -> RecountTarget:
    """The target with no more facts than one figure needs. Raises NoSuchPeriod."""
    if need.metric not in target.metrics:
        raise recount.NoSuchPeriod(
            f"agreement {target.place[0]} looks at no metric {need.metric}; use one of "
            f"{', '.join(sorted(target.metrics))}"
        )
    programme = programme_at(target.programmes, need.period)
    wanted = {
        target.numbers.get((programme.programme, one.metric))
        for one in with_parts(programme, [need])
    }
    spans = {number: span for number, span in target.spans.items() if number in wanted}
    return replace(target, spans=spans)


def _page(
    target: RecountTarget,
    snapshot: recount.Snapshot,
    need: Need,
    after: Place | None,
    limit: int,
) -> EventsPage:
    found = evidence_of(
        target.programmes,
        target.agreements,
        need,
        recount.facts_in(snapshot),
        target.numbers,
        target.horizon,
        snapshot.stored_after,
    )
    names = {number: metric for (_, metric), number in target.numbers.items()}
    events, following = found.page(after, limit, names)
    return EventsPage([_item(event) for event in events], following, found.digest)


def _item(event: EvidenceEvent) -> dict[str, Any]:
    return {
        "source": event.event.source,
        "id": event.event.id,
        "type": event.type,
        "time": event.time.isoformat(),
        "metric": event.metric,
        "subject": event.subject,
        "payload": event.payload,
        "corrects": event.corrects,
    }
