"""What the evaluator keeps of closing: evaluations, requests, alarms, and periods touched since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.evaluation import PeriodEvaluation
from services.shell.postgres import Connection, Fenced

OF_ONE_AGREEMENT = 20
"""So many requests or touched periods of one agreement are looked at together."""

AgreementPeriod = tuple[str, str]
"""Agreement and period."""


@dataclass(frozen=True, slots=True)
class Last:
    """The newest evaluation of a period. ``counted_through``: by partition, its last frame."""

    revision: int
    body: str
    counted_through: Mapping[int, int]
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A close that somebody asked for."""

    number: int
    agreement: str
    period: str
    requested_by: str


async def last(connection: Connection, agreement: str, period: str) -> Last | None:
    """The newest evaluation of a period, or None when it is open."""
    row = await connection.fetchrow(
        "select revision, body, cover, record from evaluation"
        " where agreement = $1 and period = $2 order by revision desc limit 1",
        agreement,
        period,
    )
    if row is None:
        return None
    versions = json.loads(row["record"]).get("versions", [])
    return Last(row["revision"], row["body"], cover_of(row["cover"]), tuple(versions))


async def newest(
    connection: Connection, places: Sequence[AgreementPeriod]
) -> dict[AgreementPeriod, str]:
    """The newest evaluations of these periods, as they are stored."""
    rows = await connection.fetch(
        "select agreement, period, body from unnest($1::text[], $2::text[]) as p(agreement, period)"
        " cross join lateral (select body from evaluation e where e.agreement = p.agreement"
        "   and e.period = p.period order by revision desc limit 1) newest",
        [agreement for agreement, _ in places],
        [period for _, period in places],
    )
    return {(row["agreement"], row["period"]): row["body"] for row in rows}


@dataclass(frozen=True, slots=True)
class FirstClose:
    """The close of a period. ``counted_through``: by partition, the last frame it has counted."""

    period: str
    counted_through: Mapping[int, int]
    closed_at: datetime


async def first_closes(
    connection: Connection, agreement: str, periods: Sequence[str] | None
) -> list[FirstClose]:
    """The closes of these periods of an agreement, as far as they are closed; None: of all."""
    rows = await connection.fetch(
        "select period, cover, closed_at from evaluation where agreement = $1 and revision = 1"
        "   and ($2::text[] is null or period = any($2))",
        agreement,
        periods,
    )
    return [FirstClose(row["period"], cover_of(row["cover"]), row["closed_at"]) for row in rows]


async def in_time(
    connection: Connection, closes: Sequence[FirstClose], newest: Mapping[int, int]
) -> dict[str, dict[int, int]]:
    """By period and partition, the last frame that was stored before ``closed_at``, or that the
    close has counted. ``newest``: partition to its newest frame.
    """
    asked = [
        (each.period, partition, each.counted_through.get(partition, -1), each.closed_at)
        for each in closes
        for partition in newest
    ]
    if not asked:
        return {}
    rows = await connection.fetch(
        "select period, partition, (select f.number from fact_frame f"
        "   where f.partition = c.partition and f.number > c.number and f.stored_at >= c.at"
        "   order by f.number limit 1) as late"
        "  from unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[])"
        "       as c(period, partition, number, at)",
        *(list(column) for column in zip(*asked, strict=True)),
    )
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        late, partition = row["late"], row["partition"]
        last = newest[partition] if late is None else late - 1
        found.setdefault(row["period"], {})[partition] = last
    return found


def cover_of(text: str) -> dict[int, int]:
    """Partition to the last frame that an evaluation has counted, as it is stored."""
    return {int(partition): number for partition, number in json.loads(text).items()}


async def insert(
    connection: Connection,
    evaluation: PeriodEvaluation,
    body: bytes,
    counted_through: Mapping[int, int],
    record: Mapping[str, Any],
) -> None:
    """Store a revision. ``body``: its canonical bytes. Raises Fenced when it is there already."""
    stored = await connection.fetchval(
        "insert into evaluation (agreement, period, revision, programme, reason, body, sha256,"
        " cover, record) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " on conflict do nothing returning revision",
        evaluation.agreement,
        evaluation.period,
        evaluation.revision,
        evaluation.programme,
        evaluation.reason,
        body.decode(),
        hashlib.sha256(body).digest(),
        json.dumps({str(partition): number for partition, number in counted_through.items()}),
        json.dumps(record),
    )
    if stored is None:
        raise Fenced(f"{evaluation.agreement} {evaluation.period} was counted by another process")


async def last_frames(connection: Connection) -> dict[int, int]:
    """The number of the newest frame of each partition."""
    rows = await connection.fetch(
        "select partition, (select max(number) from fact_frame f where f.partition = p.partition)"
        " as number from (select distinct partition from progress) p"
    )
    return {row["partition"]: row["number"] for row in rows if row["number"] is not None}


async def offsets_of(connection: Connection, counted_through: Mapping[int, int]) -> dict[int, int]:
    """By partition, the last record that was counted, for the last frame that was."""
    partitions = sorted(counted_through)
    rows = await connection.fetch(
        "select partition, last_offset from fact_frame"
        "  join unnest($1::int[], $2::int[]) as wanted(partition, number)"
        " using (partition, number)",
        partitions,
        [counted_through[each] for each in partitions],
    )
    return {row["partition"]: row["last_offset"] for row in rows}


async def request(connection: Connection, agreement: str, period: str, requested_by: str) -> int:
    """Ask for a close; gives the request's number."""
    return int(
        await connection.fetchval(
            "insert into close_request (agreement, period, requested_by) values ($1, $2, $3)"
            " returning number",
            agreement,
            period,
            requested_by,
        )
    )


async def waiting(connection: Connection) -> list[Request]:
    """Requests that nobody has answered, oldest first, so many of each agreement."""
    rows = await connection.fetch(
        "select number, agreement, period, requested_by from ("
        "  select *, row_number() over (partition by agreement order by number) as place"
        "    from close_request where outcome is null) waiting"
        " where place <= $1 order by number",
        OF_ONE_AGREEMENT,
    )
    return [Request(**dict(row)) for row in rows]


async def answer(
    connection: Connection, numbers: Sequence[int], outcome: str, detail: str, revision: int | None
) -> None:
    """Say what became of requests."""
    await connection.execute(
        "update close_request set outcome = $2, detail = $3, revision = $4,"
        " done_at = clock_timestamp() where number = any($1::bigint[]) and outcome is null",
        list(numbers),
        outcome,
        detail,
        revision,
    )


async def raise_alarm(connection: Connection, place: AgreementPeriod, found: Sequence[Any]) -> None:
    """Say that tallies and facts differ; one open alarm per period."""
    await connection.execute(
        "insert into close_alarm (agreement, period, found) values ($1, $2, $3)"
        " on conflict (agreement, period) where resolved_at is null"
        " do update set found = excluded.found, checked_at = clock_timestamp()",
        *place,
        json.dumps(list(found)),
    )


async def resolve_alarm(connection: Connection, place: AgreementPeriod) -> None:
    """Say that tallies and facts agree again."""
    await connection.execute(
        "update close_alarm set resolved_at = clock_timestamp()"
        " where agreement = $1 and period = $2 and resolved_at is null",
        *place,
    )


async def alarms(connection: Connection) -> dict[AgreementPeriod, float]:
    """Open alarms, with the seconds since they were last checked."""
    rows = await connection.fetch(
        "select agreement, period,"
        " extract(epoch from clock_timestamp() - checked_at)::float8 as age"
        " from close_alarm where resolved_at is null"
    )
    return {(row["agreement"], row["period"]): row["age"] for row in rows}


async def enqueue_recounts(
    connection: Connection, places: Collection[AgreementPeriod], cause: str
) -> None:
    """Remember closed periods that may have changed."""
    ordered = sorted(places)
    await connection.execute(
        "insert into touched (agreement, period, cause)"
        " select *, $3 from unnest($1::text[], $2::text[])"
        " on conflict (agreement, period) do update set last_at = clock_timestamp()",
        [agreement for agreement, _ in ordered],
        [period for _, period in ordered],
        cause,
    )


async def dequeue_recount(
    connection: Connection, place: AgreementPeriod, counted_at: datetime
) -> None:
    """Forget that a period was touched before a moment: what touched it then has been counted."""
    await connection.execute(
        "delete from touched where agreement = $1 and period = $2 and last_at < $3",
        *place,
        counted_at,
    )


async def moment(connection: Connection) -> datetime:
    """The database's clock."""
    found: datetime = await connection.fetchval("select clock_timestamp()")
    return found


async def touched(connection: Connection, agreement: str) -> set[str]:
    """The closed periods of an agreement that may have changed and are not counted again yet."""
    rows = await connection.fetch("select period from touched where agreement = $1", agreement)
    return {row["period"] for row in rows}


async def quiet(connection: Connection, seconds: float) -> list[AgreementPeriod]:
    """Closed periods that were touched, and that nothing has touched for so long, or that wait ten
    times as long; so many of each agreement, what is parked last."""
    rows = await connection.fetch(
        "select agreement, period from ("
        "  select t.agreement, t.period, row_number() over (partition by t.agreement"
        "      order by w.number is not null, t.period) as place"
        "    from touched t left join parked_work w on w.resolved_at is null"
        "     and w.service = 'evaluator' and w.what = 'close'"
        "     and w.agreement = t.agreement and w.period = t.period"
        "   where (t.last_at <= clock_timestamp() - make_interval(secs => $1)"
        "      or t.first_at <= clock_timestamp() - make_interval(secs => $1 * 10))"
        "     and exists (select from evaluation e where e.agreement = t.agreement"
        "       and e.period = t.period and e.revision = 1)) waiting"
        " where place <= $2 order by agreement, place",
        seconds,
        OF_ONE_AGREEMENT,
    )
    return [(row["agreement"], row["period"]) for row in rows]


async def scan_to(connection: Connection, numbers: Mapping[int, int]) -> None:
    """Remember how far was looked."""
    partitions = sorted(numbers)
    await connection.execute(
        "insert into touch_scan (partition, number) select * from unnest($1::int[], $2::int[])"
        " on conflict (partition) do update set number = excluded.number",
        partitions,
        [numbers[partition] for partition in partitions],
    )
