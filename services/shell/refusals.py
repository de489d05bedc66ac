"""How much of what a party's events were refused for is kept: a quota a day, the rest counted.

A party that sends rubbish must neither fill the disk nor be in anyone's way. Of each party and day
(UTC) so many refusals and so many of their bytes are kept whole, for a person to see. What is
beyond is refused as well, and leaves a count, a digest over all of it and one sample. See the
table `refusal_count`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from services.shell.postgres import Connection

NOBODY = "operator"
"""Whose refusals these are where no party can be told."""
MOST_RAW = 64 * 1024
"""Bytes of one refused event that are kept: as many as an event may have."""
SAMPLE_BYTES = 4 * 1024
LEAST_DAYS = 7
"""A trigger holds younger rows against every removal."""
REMOVED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class RefusalQuota:
    """What is kept of each party's refused events."""

    events: int = 2_000
    """A day."""
    size: int = 4 * 1024 * 1024
    """Bytes a day."""
    days: int = 90
    """How long it is kept."""
    subjects: int = 10_000
    """Of each party and metric that a level judges for each subject; further ones are refused."""


USUAL = RefusalQuota()
"""What holds where nothing is set."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal as it is counted. ``size``: bytes that keeping it takes."""

    party: str
    code: str
    raw: bytes
    detail: str
    size: int


def seconds_left(now: datetime) -> int:
    """Until the next day's quota begins."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return max(1, int((tomorrow - now).total_seconds()))


async def within_quota(
    connection: Connection, quota: RefusalQuota, day: date, part: str, items: Sequence[Refused]
) -> list[bool]:
    """Count refusals, in order, and tell of each whether it is to be kept.

    In the transaction that keeps them. ``part``: who counts; one at a time, or two may keep a few
    more than the quota.
    """
    verdicts: dict[int, bool] = {}
    for party in sorted({item.party for item in items}):
        mine = [number for number, item in enumerate(items) if item.party == party]
        events, size = await _kept(connection, party, day)
        for number in mine:
            events, size = events + 1, size + items[number].size
            verdicts[number] = events <= quota.events and size <= quota.size
            if not verdicts[number]:
                events, size = events - 1, size - items[number].size
        await _count(connection, day, part, [(items[number], verdicts[number]) for number in mine])
    return [verdicts[number] for number in range(len(items))]


async def _kept(connection: Connection, party: str, day: date) -> tuple[int, int]:
    row = await connection.fetchrow(
        "select coalesce(sum(kept), 0)::bigint as events,"
        " coalesce(sum(kept_bytes), 0)::bigint as size"
        "  from refusal_count where party = $1 and day = $2",
        party,
        day,
    )
    return row["events"], row["size"]


async def _count(
    connection: Connection, day: date, part: str, counted: Sequence[tuple[Refused, bool]]
) -> None:
    for code in sorted({item.code for item, _ in counted}):
        kept = [item for item, within in counted if within and item.code == code]
        beyond = [item for item, within in counted if not within and item.code == code]
        party = counted[0][0].party
        if kept:
            await connection.execute(_KEPT, party, day, part, code, len(kept), _size(kept))
        if beyond:
            before = await connection.fetchval(_DIGEST, party, day, part, code) or b""
            await connection.execute(
                _BEYOND,
                party,
                day,
                part,
                code,
                len(beyond),
                _size(beyond),
                chained(before, [item.raw for item in beyond]),
                beyond[0].raw[:SAMPLE_BYTES],
                beyond[0].detail[:SAMPLE_BYTES],
            )


def chained(digest: bytes, raws: Sequence[bytes]) -> bytes:
    """The digest over one thing after the other: whoever has them all can reckon it again."""
    for raw in raws:
        digest = hashlib.sha256(digest + hashlib.sha256(raw).digest()).digest()
    return digest


def _size(items: Sequence[Refused]) -> int:
    return sum(item.size for item in items)


_KEPT = """
    insert into refusal_count as c (party, day, part, code, kept, kept_bytes)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (party, day, part, code) do update
        set kept = c.kept + excluded.kept, kept_bytes = c.kept_bytes + excluded.kept_bytes,
            last_at = clock_timestamp()
"""
_DIGEST = (
    "select digest from refusal_count"
    " where party = $1 and day = $2 and part = $3 and code = $4 for update"
)
_BEYOND = """
    insert into refusal_count as c (party, day, part, code, beyond, beyond_bytes, digest, sample,
                                    sample_detail)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (party, day, part, code) do update
        set beyond = c.beyond + excluded.beyond,
            beyond_bytes = c.beyond_bytes + excluded.beyond_bytes, digest = excluded.digest,
            sample = coalesce(c.sample, excluded.sample),
            sample_detail = coalesce(c.sample_detail, excluded.sample_detail),
            last_at = clock_timestamp()
"""


async def remove_old(connection: Connection, days: int) -> int:
    """Remove refused events, and counts of them, that are older than so many days; a bounded
    number at a time. Gives how many went. Facts, and corrections that do not fit, stay."""
    removed = 0
    for statement in _OLD:
        tag = await connection.execute(statement, max(days, LEAST_DAYS), REMOVED_AT_ONCE)
        removed += int(tag.split()[-1])
    return removed


_OLD = (
    "delete from intake_refusal where number in (select number from intake_refusal"
    "  where refused_at < clock_timestamp() - make_interval(days => $1)"
    "  order by refused_at limit $2)",
    "delete from quarantine_item where number in (select number from quarantine_item"
    "  where reason in ('conflict', 'beyond_horizon', 'unreadable', 'too_many_subjects')"
    "    and first_at < clock_timestamp() - make_interval(days => $1)"
    "  order by first_at limit $2)",
    "delete from refusal_count where (party, day, part, code) in"
    " (select party, day, part, code from refusal_count"
    "   where day < (clock_timestamp() at time zone 'UTC')::date - $1::int limit $2)",
)
