"""The corrections of events that may count for a period: who made them, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.catalogue.snapshot import Catalogue
from services.evaluator import columns, fact_reader, link_store, recount
from services.evaluator.link_store import CorrectionPlace
from services.shell.frames import read_batch
from services.shell.postgres import Connection, Pool

StoredPlace = tuple[int, int, int]
"""Partition, frame and row."""


class StoredCorrections(NamedTuple):
    """Some of a period's corrections, and the place to go on from."""

    items: list[dict[str, Any]]
    following: StoredPlace | None


async def corrections(
    pool: Pool,
    catalogue: Catalogue,
    agreement: str,
    period: str,
    after: StoredPlace,
    limit: int,
) -> StoredCorrections:
    """The corrections from a place on, in the order in which they were stored.

    Of an event that lies in the period's facts as it was sent or as a correction puts it: also
    those that another one stands in the place of. Raises NoSuchPeriod.
    """
    target = recount.target_of(catalogue, agreement, period)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = await link_store.own_corrections(
            connection,
            target.programme,
            target.by_name,
            agreement,
            target.days,
            after,
            limit + 1,
        )
        shown, more = found[:limit], found[limit:]
        events = await _events(connection, shown, catalogue.metrics)
    last = shown[-1] if more else None
    return StoredCorrections(
        [_item(one, events) for one in shown],
        (last.partition, last.number, last.place) if last is not None else None,
    )


async def _events(
    connection: Connection,
    found: list[CorrectionPlace],
    metrics: Mapping[int, tuple[str, str]],
) -> dict[StoredPlace, dict[str, Any]]:
    """The corrections and what they correct, a frame at a time, by place."""
    wanted: dict[tuple[int, int], set[int]] = {}
    for one in found:
        wanted.setdefault((one.partition, one.number), set()).add(one.place)
        wanted.setdefault((one.partition, one.event_number), set()).add(one.event_place)
    events: dict[StoredPlace, dict[str, Any]] = {}
    async for place, body in fact_reader.frames(connection, sorted(wanted)):
        rows = sorted(wanted[place])
        read = columns.events_of(read_batch(body), rows, metrics)
        events |= {(*place, row): event for row, event in zip(rows, read, strict=True)}
    return events


def _item(one: CorrectionPlace, events: Mapping[StoredPlace, dict[str, Any]]) -> dict[str, Any]:
    made = events[one.partition, one.number, one.place]
    said = made["data"]
    return {
        "source": made["source"],
        "id": made["id"],
        "time": made["time"],
        "stored_at": one.stored_at.isoformat(),
        "corrects": said["corrects"],
        "reason": said["reason"],
        "event": events[one.partition, one.event_number, one.event_place],
        "takes_back": said.get("data") is None and said.get("time") is None,
        "data": said.get("data"),
        "moved_to": said.get("time"),
    }
