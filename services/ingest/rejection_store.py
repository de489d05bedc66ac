"""What ingest refuses: kept in Postgres for a person to see, published through the outbox.

Bytes and reason are stored in the transaction that enqueues the record for the topic, so neither
is there without the other. The same place is kept once, however often it is read. What is beyond
the quota of its sender is counted, and nothing more: see `services.shell.refusals`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.catalogue.audit import Author
from services.catalogue.four_eyes import RequestedAct, TooManyRequests, ask
from services.ingest import rejection_event
from services.ingest.rejection import EventRejection
from services.shell.faults import faultpoint
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection
from services.shell.refusals import MOST_RAW, RefusalQuota, Refused, within_quota

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

    @property
    def log(self) -> tuple[str, int]:
        """The partition that it is in."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One thing refused. ``place``: None for what came over HTTP. ``at_us``: when."""

    place: RecordPosition | None
    party: str
    raw: bytes
    refusal: EventRejection
    at_us: int
    headers: Mapping[str, str] = field(default_factory=dict)
    by: Author | None = None
    """Who sent it, with which key; None: through a topic of the vendor's own."""

    @property
    def name(self) -> str:
        """What makes it the same thing when it comes again."""
        if self.place is not None:
            return f"{self.place.topic}-{self.place.partition}-{self.place.offset}"
        return f"http-{hashlib.sha256(self.party.encode() + bytes(1) + self.raw).hexdigest()}"

    @property
    def part(self) -> str:
        """Who counts it: for each sender, one at a time."""
        return "http" if self.place is None else f"{self.place.topic}/{self.place.partition}"


_KEEP = """
    insert into intake_refusal (name, topic, partition, kafka_offset, party, source, event_id, code,
                                detail, problem, headers, raw)
    select * from unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::text[], $10::json[], $11::json[], $12::bytea[])
    on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """What became of refusals. ``new``: how many are kept now. ``beyond``: the names of those that
    the quota of their sender leaves no room for."""

    new: int = 0
    beyond: frozenset[str] = frozenset()


async def keep(
    connection: Connection, items: Sequence[RejectedRecord], quota: RefusalQuota, topic: str
) -> KeptRecords:
    """Keep refusals within the quota and enqueue a record for each that is new, for the topic of
    refused events; count the others.

    Several transactions where there are many: what is kept stays kept if a later one fails.
    """
    new, beyond = 0, frozenset[str]()
    for piece in _pieces(items):
        async with connection.transaction():
            kept = await _keep(connection, piece, quota, topic)
            faultpoint("refusals.before-commit")
        faultpoint("refusals.after-commit")
        new, beyond = new + kept.new, beyond | kept.beyond
    return KeptRecords(new, beyond)


async def _keep(
    connection: Connection, items: Sequence[RejectedRecord], quota: RefusalQuota, topic: str
) -> KeptRecords:
    named = {item.name: item for item in reversed(items)}
    first = [named.pop(item.name) for item in items if item.name in named]
    fresh = await _without_known(connection, first)
    kept: list[RejectedRecord] = []
    beyond: list[str] = []
    for part in sorted({item.part for item in fresh}):
        mine = [item for item in fresh if item.part == part]
        day = datetime.fromtimestamp(mine[0].at_us / 1_000_000, UTC).date()
        counted = [_counted(item) for item in mine]
        verdicts = await within_quota(connection, quota, day, part, counted)
        for item, within in zip(mine, verdicts, strict=True):
            if within:
                kept.append(item)
            else:
                beyond.append(item.name)
    if kept:
        await _insert(connection, kept)
        await enqueue_many(connection, topic, [_outgoing(item) for item in kept])
    for item in first:
        if item.refusal.asks is not None and item.name not in beyond:
            await _ask(connection, item.refusal.asks, item.by or Author(None, item.party, "vendor"))
    return KeptRecords(len(kept), frozenset(beyond))


async def _ask(connection: Connection, act: RequestedAct, by: Author) -> None:
    """Have a decision agreed to. Where the party has too many open requests it stays refused, and
    is asked for when it comes again."""
    with suppress(TooManyRequests):
        await ask(connection, act, by)


async def _without_known(
    connection: Connection, items: Sequence[RejectedRecord]
) -> list[RejectedRecord]:
    """Those that are neither kept nor counted yet. Of one sender or topic, no other transaction
    keeps any meanwhile."""
    for lock in sorted({item.part if item.place else f"http {item.party}" for item in items}):
        await connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('refusals ' || $1, 0))", lock
        )
    rows = await connection.fetch(
        "select name from intake_refusal where name = any($1::text[])",
        [item.name for item in items if item.place is None],
    )
    known = {row["name"] for row in rows}
    through = await _read_through(connection, items)
    return [
        item
        for item in items
        if item.name not in known
        and (item.place is None or item.place.offset > through.get(item.place.log, -1))
    ]


async def _read_through(
    connection: Connection, items: Sequence[RejectedRecord]
) -> dict[tuple[str, int], int]:
    """How far each intake partition was kept or counted before; it is moved on to these."""
    last: dict[tuple[str, int], int] = {}
    for item in items:
        if item.place is not None:
            last[item.place.log] = max(item.place.offset, last.get(item.place.log, -1))
    before: dict[tuple[str, int], int] = {}
    for (topic, partition), offset in last.items():
        found = await connection.fetchval(
            "select through from refusal_read where topic = $1 and partition = $2", topic, partition
        )
        before[topic, partition] = -1 if found is None else found
        await connection.execute(
            "insert into refusal_read as r (topic, partition, through) values ($1, $2, $3)"
            " on conflict (topic, partition) do update"
            "    set through = greatest(r.through, excluded.through)",
            topic,
            partition,
            offset,
        )
    return before


def _counted(item: RejectedRecord) -> Refused:
    detail = _text(item.refusal.told) or ""
    document = len(_json(item.refusal.document()))
    # The bytes are kept twice: in the table, and for a time in the outbox.
    size = 2 * (min(len(item.raw), MOST_RAW) + document)
    return Refused(item.party, item.refusal.reason.code, item.raw, detail, size)


async def _insert(connection: Connection, items: Sequence[RejectedRecord]) -> None:
    places = [item.place for item in items]
    await connection.execute(
        _KEEP,
        [item.name for item in items],
        [place and place.topic for place in places],
        [None if place is None else place.partition for place in places],
        [None if place is None else place.offset for place in places],
        [item.party for item in items],
        [_text(item.refusal.source) for item in items],
        [_text(item.refusal.id) for item in items],
        [item.refusal.reason.code for item in items],
        [_text(item.refusal.told) for item in items],
        [_json(_document(item)) for item in items],
        [_json(dict(item.headers)) for item in items],
        [item.raw[:MOST_RAW] for item in items],
    )


def _document(item: RejectedRecord) -> dict[str, Any]:
    """The problem; with size and digest of the event where it is longer than what is kept of it."""
    document = item.refusal.document()
    if len(item.raw) > MOST_RAW:
        document |= {"size": len(item.raw), "sha256": hashlib.sha256(item.raw).hexdigest()}
    return document


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
