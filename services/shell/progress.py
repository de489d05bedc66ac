"""How far each consumer has come. Postgres is the sole authority; Kafka's committed offset is only
a gauge.

A worker *claims* its partitions whenever it is assigned them: the row's epoch grows, and whoever
held an older one can never write again. Every step then moves the row by compare-and-swap in the
same transaction as its effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.shell.postgres import Connection, Fenced


class NotOurs(Fenced):
    """Another worker has claimed this partition since. Drop what is held of it; it is being taken
    care of."""


@dataclass(frozen=True, slots=True)
class PartitionClaim:
    """The right to write one partition's effects, and how far they reach."""

    app: str
    topic: str
    partition: int
    epoch: int
    next_offset: int
    """The first record not yet applied."""
    last_sequence: int | None = None
    """Number of the last applied record, on topics that number them. None: the first one seen is
    the start."""
    max_event_us: int | None = None
    """The latest event time applied, in microseconds since 1970 UTC."""


_CLAIM = """
    insert into progress as p (app, topic, partition, epoch, next_offset, last_sequence)
    select $1, $2, c.partition, 1, c.first, case when c.first = 0 then 0 end
      from unnest($3::int[], $4::bigint[]) as c(partition, first)
     order by c.partition
    on conflict (app, topic, partition) do update set epoch = p.epoch + 1
    returning partition, epoch, next_offset, last_sequence, max_event_us
"""


async def claim(
    connection: Connection, app: str, topic: str, beginnings: Mapping[int, int]
) -> dict[int, PartitionClaim]:
    """Claim partitions of a topic for this process. Whoever held them before is shut out from now
    on.

    `beginnings` maps each partition to the first offset its log still has: a new app starts there.
    Waits for a step of the former owner that is just committing.
    """
    partitions = sorted(beginnings)
    rows = await connection.fetch(
        _CLAIM, app, topic, partitions, [beginnings[each] for each in partitions]
    )
    return {row["partition"]: PartitionClaim(app=app, topic=topic, **dict(row)) for row in rows}


async def hold(connection: Connection, held: PartitionClaim) -> None:
    """Lock the row for this transaction, before the work is done.

    Raises:
        NotOurs: the partition was claimed by another, or stands elsewhere than the claim says.
    """
    found = await connection.fetchval(
        "select true from progress where app = $1 and topic = $2 and partition = $3"
        " and epoch = $4 and next_offset = $5 for no key update",
        held.app,
        held.topic,
        held.partition,
        held.epoch,
        held.next_offset,
    )
    if not found:
        raise NotOurs(f"{held.topic}-{held.partition} is no longer held with epoch {held.epoch}")


async def advance(
    connection: Connection,
    held: PartitionClaim,
    old: int,
    new: int,
    max_event_us: int | None,
    last_sequence: int | None = None,
) -> None:
    """Move from offset `old` to `new` (the first record not applied), inside the caller's
    transaction.

    Raises:
        NotOurs: the row is not at (epoch, old). The caller's transaction must be rolled back.
    """
    assert new > old, "a step moves forward"
    tag = await connection.execute(
        "update progress set next_offset = $6, max_event_us = greatest(max_event_us, $7),"
        " last_sequence = coalesce($8, last_sequence), last_advanced_at = clock_timestamp()"
        " where app = $1 and topic = $2 and partition = $3 and epoch = $4 and next_offset = $5",
        held.app,
        held.topic,
        held.partition,
        held.epoch,
        old,
        new,
        max_event_us,
        last_sequence,
    )
    if tag != "UPDATE 1":
        raise NotOurs(f"{held.topic}-{held.partition} moved under epoch {held.epoch}")


async def has_moved(connection: Connection, held: PartitionClaim, new: int) -> bool:
    """Tell whether a commit with unknown outcome went through: the row is ours and at `new`."""
    found = await connection.fetchval(
        "select next_offset from progress"
        " where app = $1 and topic = $2 and partition = $3 and epoch = $4",
        held.app,
        held.topic,
        held.partition,
        held.epoch,
    )
    return bool(found == new)


async def positions(connection: Connection, app: str) -> dict[tuple[str, int], int]:
    """Return the next offset of every (topic, partition) that an app has ever claimed."""
    rows = await connection.fetch(
        "select topic, partition, next_offset from progress where app = $1", app
    )
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
