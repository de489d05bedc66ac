"""The tables of what the closer has to do next: every statement sent to them, none that decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.fact_reader import EVER, Span
from services.evaluator.link_store import AgreementPlace
from services.shell.postgres import Connection


class ContractVersions(NamedTuple):
    """How many versions of an agreement and of its programme there are; they never change."""

    agreement: int
    programme: int


NOTHING_TOLD = ContractVersions(0, 0)
"""Of an agreement that is to be worked out again."""


class NextClose(NamedTuple):
    """The next period of an agreement, and the event time at which it closes."""

    period: str
    due_us: int


@dataclass(frozen=True, slots=True)
class DueAgreement:
    """An agreement whose next period may be due. ``closed``: it is closed already."""

    agreement: str
    next: NextClose
    closed: bool


@dataclass(frozen=True, slots=True)
class PeriodNeeds:
    """What a count needs. ``spans`` None: it cannot be told, any fact may change it.

    ``days``: of what charges and circumstances may be stated for, the last one excluded.
    """

    period: str
    spans: Mapping[int, Span] | None
    days: tuple[date, date]


async def followed(connection: Connection) -> dict[str, ContractVersions]:
    """The versions that each agreement was worked out from."""
    rows = await connection.fetch("select agreement, versions, programme_versions from next_close")
    return {row[0]: ContractVersions(row[1], row[2]) for row in rows}


async def lock(connection: Connection, agreement: str) -> ContractVersions | None:
    """Hold an agreement's row until the transaction ends; None where there is none."""
    row = await connection.fetchrow(
        "select versions, programme_versions from next_close where agreement = $1 for update",
        agreement,
    )
    return None if row is None else ContractVersions(*row)


async def put_next(
    connection: Connection, agreement: str, versions: ContractVersions, found: NextClose | None
) -> None:
    """Write an agreement's next period, None for none, and how many are closed."""
    await connection.execute(
        "insert into next_close as n (agreement, versions, programme_versions, period, due_us,"
        " closed) select $1, $2, $3, $4, $5, count(*) from evaluation"
        "  where agreement = $1 and revision = 1"
        " on conflict (agreement) do update set versions = excluded.versions,"
        " programme_versions = excluded.programme_versions, period = excluded.period,"
        " due_us = excluded.due_us, closed = excluded.closed",
        agreement,
        *versions,
        *(found or (None, None)),
    )


async def go_on(connection: Connection, agreement: str, found: NextClose | None) -> None:
    """Write an agreement's next period, None for none, after one was closed."""
    await connection.execute(
        "update next_close set period = $2, due_us = $3, closed = closed + 1 where agreement = $1",
        agreement,
        *(found or (None, None)),
    )


async def due(connection: Connection) -> list[DueAgreement]:
    """Agreements whose next period some source has passed, the longest overdue first."""
    rows = await connection.fetch(
        "select agreement, period, due_us, exists (select from evaluation e"
        "   where e.agreement = n.agreement and e.period = n.period and revision = 1) as closed"
        "  from next_close n where due_us <= (select max(latest_us) from source_latest)"
        " order by due_us, agreement"
    )
    return [
        DueAgreement(row["agreement"], NextClose(row["period"], row["due_us"]), row["closed"])
        for row in rows
    ]


async def next_of(connection: Connection, agreement: str) -> NextClose | None:
    """The next period of an agreement; None where it is closed while its contracts changed."""
    row = await connection.fetchrow(
        "select period, due_us from next_close n where agreement = $1 and period is not null"
        " and not exists (select from evaluation e"
        "   where e.agreement = n.agreement and e.period = n.period and revision = 1)",
        agreement,
    )
    return None if row is None else NextClose(*row)


async def period_of(connection: Connection, agreement: str) -> NextClose | None:
    """The next period of an agreement, as it is written."""
    row = await connection.fetchrow(
        "select period, due_us from next_close where agreement = $1 and period is not null",
        agreement,
    )
    return None if row is None else NextClose(*row)


async def closed_counts(connection: Connection) -> dict[str, int]:
    """How many periods of each agreement are closed."""
    rows = await connection.fetch("select agreement, closed from next_close")
    return {row["agreement"]: row["closed"] for row in rows}


async def periods_of(connection: Connection, agreement: str) -> list[str]:
    """The periods of an agreement that are closed or are being closed."""
    rows = await connection.fetch(
        "select period from evaluation where agreement = $1 and revision = 1"
        " union select period from counted_period where agreement = $1",
        agreement,
    )
    return [row["period"] for row in rows]


async def closed_among(
    connection: Connection, agreement: str, periods: Sequence[str]
) -> frozenset[str]:
    """Those of some periods that are closed."""
    rows = await connection.fetch(
        "select period from evaluation"
        " where agreement = $1 and period = any($2::text[]) and revision = 1",
        agreement,
        list(periods),
    )
    return frozenset(row["period"] for row in rows)


async def is_counted(connection: Connection, place: AgreementPeriod) -> bool:
    """Whether it is written down what a period needs."""
    row = await connection.fetchrow(
        "select from counted_period where agreement = $1 and period = $2", *place
    )
    return row is not None


async def put_counted(
    connection: Connection, agreement: str, periods: Collection[PeriodNeeds]
) -> None:
    """Write down what periods need; what was written of their metrics before is forgotten."""
    names = [each.period for each in periods]
    await connection.execute(
        "insert into counted_period (agreement, period, since, until)"
        " select $1, * from unnest($2::text[], $3::date[], $4::date[])"
        " on conflict (agreement, period) do update set since = excluded.since,"
        " until = excluded.until",
        agreement,
        names,
        [each.days[0] for each in periods],
        [each.days[1] for each in periods],
    )
    await _forget_spans(connection, agreement, names)
    rows = [
        (each.period, metric, *span)
        for each in periods
        for metric, span in ({None: EVER} if each.spans is None else each.spans).items()
    ]
    await connection.execute(
        "insert into counted_span (agreement, period, metric, first_us, past_us)"
        " select $1, * from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])",
        agreement,
        *([row[place] for row in rows] for place in range(4)),
    )


async def _forget_spans(connection: Connection, agreement: str, periods: Sequence[str]) -> None:
    await connection.execute(
        "delete from counted_span where agreement = $1 and period = any($2::text[])",
        agreement,
        list(periods),
    )


class FactsOfFrame(NamedTuple):
    """Times of one metric that a frame says something of, both included."""

    partition: int
    number: int
    metric: int
    first_us: int
    last_us: int
    cause: str


# Which frames a period has counted, its newest evaluation says; one that is being closed: none.
_TOUCH = """
    with hit as (
        select s.agreement, s.period, l.partition, max(l.number) as number, min(l.cause) as cause
          from unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::text[])
               as l(partition, number, metric, first_us, last_us, cause)
          join counted_span s
            on s.metric = l.metric and s.past_us > l.first_us and s.first_us <= l.last_us
         group by s.agreement, s.period, l.partition
    ), news as (
        select agreement, period, cause from hit
          left join lateral (
            select cover from evaluation e
             where e.agreement = hit.agreement and e.period = hit.period
             order by revision desc limit 1) newest on true
         where hit.number > coalesce((newest.cover ->> hit.partition::text)::int, -1)
        union all
        select agreement, period, 'unknown' from counted_span where metric is null
    )
    insert into touched (agreement, period, cause)
    select agreement, period, min(cause) from news group by 1, 2 order by 1, 2
    on conflict (agreement, period) do update set last_at = clock_timestamp()
"""


async def touch(connection: Connection, facts: Sequence[FactsOfFrame]) -> None:
    """Remember the counted periods that facts of frames may change."""
    await connection.execute(
        _TOUCH, *([row[place] for row in facts] for place in range(len(FactsOfFrame._fields)))
    )


class StatedByFrame(NamedTuple):
    """What a frame says that is stated for days of an agreement."""

    partition: int
    number: int
    place: AgreementPlace


_STATED = """
    select l.row, c.period
      from unnest($1::int[], $2::int[], $3::text[], $4::date[], $5::date[]) with ordinality
           as l(partition, number, agreement, since, until, row)
      join counted_period c
        on c.agreement = l.agreement and c.since < l.until and c.until > l.since
      left join lateral (
        select cover from evaluation e
         where e.agreement = c.agreement and e.period = c.period
         order by revision desc limit 1) newest on true
     where l.number > coalesce((newest.cover ->> l.partition::text)::int, -1)
"""


async def stated_for(
    connection: Connection, stated: Sequence[StatedByFrame]
) -> list[tuple[StatedByFrame, str]]:
    """Counted periods to which what is stated may belong and that do not know the frame yet."""
    if not stated:
        return []
    rows = await connection.fetch(
        _STATED,
        [each.partition for each in stated],
        [each.number for each in stated],
        [each.place.agreement for each in stated],
        [each.place.since for each in stated],
        [each.place.until for each in stated],
    )
    return [(stated[row["row"] - 1], row["period"]) for row in rows]
