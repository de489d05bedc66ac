"""What ingest refuses: kept in Postgres for a person to see, published through the outbox.

Bytes and reason are stored in the transaction that enqueues the record for the topic, so neither
is there without the other. The same place is kept once, however often it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.ingest import rejection_event
from services.ingest.rejection import EventRejection
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection

MOST = 500
MOST_BYTES = 4 * 1024 * 1024
"""What one transaction takes: a flood neither fills memory nor holds the outbox for long."""
TOLD_BYTES = 16 * 1024
"""Longer bytes are not repeated on the topic; the settlement API shows them whole."""


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where a record of an intake topic lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One thing refused. ``place``: None for what came over HTTP. ``at_us``: when."""

    place: RecordPosition | None
    party: str
    raw: bytes
    refusal: EventRejection
    at_us: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What makes it the same thing when it comes again."""
        if self.place is not None:
            return f"{self.place.topic}-{self.place.partition}-{self.place.offset}"
        return f"http-{hashlib.sha256(self.party.encode() + bytes(1) + self.raw).hexdigest()}"


_KEEP = """
    insert into intake_refusal (name, topic, partition, kafka_offset, party, source, event_id, code,
                                detail, problem, headers, raw)
    select * from unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::text[], $10::json[], $11::json[], $12::bytea[])
    on conflict do nothing
    returning name
"""


async def keep(connection: Connection, items: Sequence[RejectedRecord]) -> int:
    """Keep refusals and enqueue a record for each that is new. Gives how many were.

    Several transactions where there are many: what is kept stays kept if a later one fails.
    """
    new = 0
    for piece in _pieces(items):
        async with connection.transaction():
            new += await _keep(connection, piece)
    return new


async def _keep(connection: Connection, items: Sequence[RejectedRecord]) -> int:
    named = {item.name: item for item in reversed(items)}
    once = list(named.values())
    places = [item.place for item in once]
    rows = await connection.fetch(
        _KEEP,
        list(named),
        [place and place.topic for place in places],
        [None if place is None else place.partition for place in places],
        [None if place is None else place.offset for place in places],
        [item.party for item in once],
        [_text(item.refusal.source) for item in once],
        [_text(item.refusal.id) for item in once],
        [item.refusal.reason.code for item in once],
        [_text(item.refusal.told) for item in once],
        [_json(item.refusal.document()) for item in once],
        [_json(dict(item.headers)) for item in once],
        [item.raw for item in once],
    )
    new = {row["name"] for row in rows}
    await enqueue_many(
        connection, rejection_event.TOPIC, [_outgoing(item) for item in items if _first(item, new)]
    )
    return len(rows)


def _first(item: RejectedRecord, new: set[str]) -> bool:
    """Whether it is new, asked once for each."""
    if item.name not in new:
        return False
    new.remove(item.name)
    return True


def _outgoing(item: RejectedRecord) -> Outgoing:
    told = item.raw if len(item.raw) <= TOLD_BYTES else None
    body = rejection_event.record(
        item.name, item.party, told, item.refusal, item.at_us, item.headers, size=len(item.raw)
    )
    key = _text(item.refusal.source) or item.party
    return Outgoing(key, item.name, body, {"content-type": rejection_event.CONTENT_TYPE})


def _pieces(items: Sequence[RejectedRecord]) -> Iterator[Sequence[RejectedRecord]]:
    start = size = 0
    for end, item in enumerate(items):
        if end > start and (end - start >= MOST or size + len(item.raw) > MOST_BYTES):
            yield items[start:end]
            start, size = end, 0
        size += len(item.raw)
    if start < len(items):
        yield items[start:]


def _text(value: str | None) -> str | None:
    """A text as the database takes it: hostile senders write NULs and halves of letters."""
    if value is None:
        return None
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
