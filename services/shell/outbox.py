"""From Postgres to Kafka: each record once, in order, without holes.

A service *enqueues* in the transaction of its effect. The number of a row is taken under a lock
that lasts until commit, so the numbers of a partition follow commit order and have no holes. The
*relay* publishes the rows: `services.shell.relay`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from aiokafka.partitioner import murmur2

from services.shell.logs import correlation_id
from services.shell.postgres import Connection

EVENT_ID = "event_id"
CONTENT_TYPE = "content-type"
CORRELATION = "correlation_id"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be published."""

    key: str
    event_id: str
    """Deterministic, so that a reader without read_committed can still tell a repeat."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """`content-type` is application/json unless given; sequence and event_id are added by the
    relay."""


async def declare(connection: Connection, topic: str, partitions: int) -> None:
    """Make a topic known to the outbox, in the admin step that also creates it. Safe to repeat.

    Raises:
        ValueError: the topic is known with another number of partitions. The key of a record
            decides its partition, so that number is for ever; use a new topic.
    """
    known = await _partitions(connection, topic)
    if not known:
        await connection.execute(
            "insert into outbox_head (topic, partition) select $1, generate_series(0, $2 - 1)"
            " on conflict do nothing",
            topic,
            partitions,
        )
    elif known != partitions:
        raise ValueError(
            f"topic {topic} has {known} partitions in the outbox, {partitions} asked for: the key "
            "of a record decides its partition, so the number cannot change; use a new topic"
        )


class OutboxBroken(Exception):
    """Kafka and the outbox contradict each other. Going on would publish a hole or a repeat."""


class OtherInstallation(RuntimeError):
    """The database belongs to an installation with another prefix, or is not prepared. Going on
    would mix two."""


async def check_topics(connection: Connection, topics: Sequence[str]) -> None:
    """Nothing where the outbox knows these topics, or none at all yet.

    Raises:
        OtherInstallation: it knows others only. Asked at start, before anything is read: facts of
        another installation would be stored as ours.
    """
    known = await known_topics(connection)
    if known and (missing := sorted(set(topics) - known.keys())):
        raise OtherInstallation(
            f"the outbox of this database knows the topics {', '.join(sorted(known))}, and not "
            f"{', '.join(missing)}: give the EARNBACK_PREFIX that the database was prepared with, "
            "or the EARNBACK_POSTGRES of the installation with this prefix; after an upgrade, run "
            "'earnback prepare' first"
        )


async def known_topics(connection: Connection) -> dict[str, int]:
    """The topics that were declared, with their prefix, and how many partitions each has."""
    rows = await connection.fetch("select topic, count(*) from outbox_head group by topic")
    return dict(rows)


async def enqueue(
    connection: Connection,
    topic: str,
    key: str,
    event_id: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Enqueue one record in the caller's transaction. For several, `enqueue_many` costs the same
    once."""
    await enqueue_many(connection, topic, [Outgoing(key, event_id, body, headers or {})])


_LOCK = """
    select partition from outbox_head where topic = $1 and partition = any($2::int[])
     order by partition for no key update
"""
_TAKE = """
    with taken as (
        update outbox_head head set next_seq = head.next_seq + wanted.rows
          from unnest($2::int[], $3::bigint[]) as wanted(partition, rows)
         where head.topic = $1 and head.partition = wanted.partition
        returning head.partition, head.next_seq - wanted.rows as first
    )
    insert into outbox (topic, partition, seq, key, event_id, headers, body)
    select $1, row.partition, taken.first + row.place, row.key, row.event_id, row.headers, row.body
      from unnest($4::int[], $5::bigint[], $6::text[], $7::text[], $8::jsonb[], $9::bytea[])
           as row(partition, place, key, event_id, headers, body)
      join taken on taken.partition = row.partition
"""


async def enqueue_many(connection: Connection, topic: str, messages: Sequence[Outgoing]) -> None:
    """Enqueue records in the caller's transaction, each partition in the order given.

    Transactions that enqueue to the same partition wait for each other until commit: enqueue late
    in the transaction. What was published already and taken over after a restore is left out.

    Raises:
        LookupError: the topic was not declared.
        AlreadyPublished: another record was published under the same id.
    """
    if not messages:
        return
    count, published = await connection.fetchrow(_TOPIC, topic)
    if not count:
        raise LookupError(f"topic {topic} is not known to the outbox: declare it first")
    if published:
        messages = await _not_published(connection, topic, messages)
    placed: dict[int, int] = {}
    rows = []
    for message in messages:
        partition = partition_of(message.key, count)
        place = placed.get(partition, 0)
        placed[partition] = place + 1
        rows.append((partition, place, message))
    wanted = sorted(placed)
    # Always in the same order, or two transactions could wait for each other.
    await connection.execute(_LOCK, topic, wanted)
    await connection.execute(
        _TAKE,
        topic,
        wanted,
        [placed[partition] for partition in wanted],
        [partition for partition, _, _ in rows],
        [place for _, place, _ in rows],
        [message.key for _, _, message in rows],
        [message.event_id for _, _, message in rows],
        [_headers(message) for _, _, message in rows],
        [message.body for _, _, message in rows],
    )


_TOPIC = """
    select (select count(*) from outbox_head where topic = $1),
           exists (select from outbox_taken_over where topic = $1 and reproduced_at is null)
"""


class AlreadyPublished(ValueError):
    """Under the id of a record another one was published, after the backup that was restored."""


async def _not_published(
    connection: Connection, topic: str, messages: Sequence[Outgoing]
) -> list[Outgoing]:
    """The messages without those that were published before the backup was restored."""
    rows = await connection.fetch(
        "update outbox_taken_over set reproduced_at = clock_timestamp()"
        " where topic = $1 and event_id = any($2::text[]) and reproduced_at is null"
        " returning event_id, digest",
        topic,
        [message.event_id for message in messages],
    )
    digests = {row["event_id"]: row["digest"] for row in rows}
    for message in messages:
        digest = digests.get(message.event_id)
        if digest is not None and digest != content_digest(message.body):
            raise AlreadyPublished(
                f"{topic} holds another record with the id {message.event_id}, published after the "
                "backup that was restored: what led to it is not there, such as a version of a "
                "contract or an order; bring it about again, as docs/how-to/restore-a-backup.md "
                "says"
            )
    return [message for message in messages if message.event_id not in digests]


def content_digest(body: bytes) -> bytes:
    """SHA-256 of what a record says: of a JSON object without its attribute `time`."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return hashlib.sha256(body).digest()
    if isinstance(said, dict):
        said.pop("time", None)
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest()


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: as Kafka's own default partitioner does, so others can find
    it."""
    return int((murmur2(key.encode("utf-8")) & 0x7FFFFFFF) % partitions)


def _headers(message: Outgoing) -> str:
    headers = {CONTENT_TYPE: "application/json", **message.headers}
    correlation = correlation_id()
    if correlation is not None:
        headers.setdefault(CORRELATION, correlation)
    return json.dumps(headers)


async def _partitions(connection: Connection, topic: str) -> int:
    return int(
        await connection.fetchval("select count(*) from outbox_head where topic = $1", topic)
    )
