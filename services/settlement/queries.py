"""The SQL behind each read, one function a question. Every list is cut off where it began.

A *cut* is the book's position when the first page was asked for: later pages show the book as it
stood then, so that a walk loses nothing and repeats nothing while others write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.shell.postgres import Connection

DatabaseRow = Any
"""An asyncpg record."""

PROPOSALS_FROM = 2**61
"""Numbers of what is pending: those of open proposals begin so far below 0."""
_WITHIN = "($1::text is null or vendor = $1) and ($2::text is null or buyer = $2)"
_STATEMENT = (
    "agreement, period, revision, supersedes, programme, version, vendor, buyer, currency,"
    " total_minor, run_id, sha256, recorded_at, position,"
    " case when not exists (select from statement n where n.agreement = s.agreement"
    "   and n.period = s.period and n.revision > s.revision) then"
    "  (select coalesce(sum(w.difference_minor), 0)::bigint from withholding w"
    "    where w.agreement = s.agreement and w.period = s.period and w.currency = s.currency)"
    " end as withheld_minor"
)


async def book_position(connection: Connection) -> int:
    """The last position that was given out; all up to it are committed."""
    return int(await connection.fetchval("select next_position - 1 from book_head"))


async def rules_from(connection: Connection, agreements: Sequence[str]) -> list[DatabaseRow]:
    """Since when settlement lets versions rule: agreement, version, applies_from."""
    rows: list[DatabaseRow] = await connection.fetch(
        "select agreement, version, applies_from from version_taken_up"
        " where agreement = any($1::text[])",
        list(agreements),
    )
    return rows


async def programme_rules_from(connection: Connection, programme: str) -> list[DatabaseRow]:
    """Since when settlement lets the shared caps of versions rule: version, applies_from."""
    rows: list[DatabaseRow] = await connection.fetch(
        "select version, applies_from from programme_taken_up where programme = $1", programme
    )
    return rows


async def settled_periods(connection: Connection, agreement: str) -> list[str]:
    """All periods of an agreement that have a statement."""
    rows = await connection.fetch(
        "select distinct period from statement where agreement = $1", agreement
    )
    return [row["period"] for row in rows]


async def evaluations(
    connection: Connection, agreement: str, *, after: tuple[str, int], limit: int
) -> list[DatabaseRow]:
    """Evaluations of one agreement by period and revision. One partition writes them in order."""
    rows: list[DatabaseRow] = await connection.fetch(
        "select agreement, period, revision, reason, sha256, received_at from evaluation_received"
        " where agreement = $1 and (period, revision) > ($2, $3::bigint)"
        " order by period, revision limit $4",
        agreement,
        *after,
        limit,
    )
    return rows


async def evaluation(
    connection: Connection, agreement: str, period: str, revision: int | None
) -> DatabaseRow | None:
    """One evaluation, the latest where no revision is named."""
    return await connection.fetchrow(
        "select agreement, period, revision, reason, sha256, received_at, body"
        "  from evaluation_received"
        " where agreement = $1 and period = $2 and ($3::int is null or revision = $3)"
        " order by revision desc limit 1",
        agreement,
        period,
        revision,
    )


async def statements(
    connection: Connection,
    scope: tuple[str | None, str | None],
    *,
    agreement: str | None,
    period: str | None,
    vendor: str | None,
    all_revisions: bool,
    after: int,
    cut: int,
    limit: int,
) -> list[DatabaseRow]:
    """Statements by position; only those that were the latest at the cut, unless all are asked."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_STATEMENT} from statement s"  # noqa: S608
        f" where {_WITHIN} and position > $3 and position <= $4"
        "   and ($5::text is null or agreement = $5) and ($6::text is null or period = $6)"
        "   and ($7::text is null or vendor = $7)"
        "   and ($8 or not exists (select from statement n where n.agreement = s.agreement"
        "        and n.period = s.period and n.revision > s.revision and n.position <= $4))"
        " order by position limit $9",
        *scope,
        after,
        cut,
        agreement,
        period,
        vendor,
        all_revisions,
        limit,
    )
    return rows


async def statement(
    connection: Connection, agreement: str, period: str, revision: int | None
) -> DatabaseRow | None:
    """One statement with its body, the latest where no revision is named."""
    return await connection.fetchrow(
        f"select {_STATEMENT}, body from statement s"  # noqa: S608
        " where agreement = $1 and period = $2 and ($3::int is null or revision = $3)"
        " order by revision desc limit 1",
        agreement,
        period,
        revision,
    )


async def latest_statement(connection: Connection, agreement: str, period: str) -> int | None:
    """The latest revision of a period's statement; None: there is none."""
    found: int | None = await connection.fetchval(
        "select max(revision) from statement where agreement = $1 and period = $2",
        agreement,
        period,
    )
    return found


async def latest_evaluation(connection: Connection, agreement: str, period: str) -> int | None:
    """The latest revision of a period's figures; None: there are none."""
    found: int | None = await connection.fetchval(
        "select max(revision) from evaluation_received where agreement = $1 and period = $2",
        agreement,
        period,
    )
    return found


async def pending_of(connection: Connection, agreement: str, period: str) -> DatabaseRow | None:
    """Why a closed period waits, or is ``parked``, if it does or is: ``reasons``."""
    return await connection.fetchrow(
        "select reasons, false as parked from settlement_pending"
        " where agreement = $1 and period = $2"
        " union all select jsonb_build_array(reason), true from parked_work"
        " where resolved_at is null and agreement = $1 and period = $2 limit 1",
        agreement,
        period,
    )


_ENTRY = (
    "entry_id, run_id, programme, agreement, version, vendor, period, line, kind, level,"
    " debit_account, credit_account, minor_units, currency, facts_digest, buyer, position,"
    " recorded_at"
)


async def entries(
    connection: Connection,
    scope: tuple[str | None, str | None],
    *,
    agreement: str | None,
    period: str | None,
    vendor: str | None,
    line: str | None,
    run_id: UUID | None,
    after: int,
    cut: int,
    limit: int,
) -> list[DatabaseRow]:
    """Ledger entries by position."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_ENTRY} from ledger_entry"  # noqa: S608
        f" where {_WITHIN} and position > $3 and position <= $4"
        "   and ($5::text is null or agreement = $5) and ($6::text is null or period = $6)"
        "   and ($7::text is null or vendor = $7) and ($8::text is null or line = $8)"
        "   and ($9::uuid is null or run_id = $9)"
        " order by position limit $10",
        *scope,
        after,
        cut,
        agreement,
        period,
        vendor,
        line,
        run_id,
        limit,
    )
    return rows


async def entry(
    connection: Connection, scope: tuple[str | None, str | None], entry_id: UUID
) -> DatabaseRow | None:
    """One ledger entry."""
    return await connection.fetchrow(
        f"select {_ENTRY} from ledger_entry where {_WITHIN} and entry_id = $3",  # noqa: S608
        *scope,
        entry_id,
    )


async def withheld(
    connection: Connection,
    scope: tuple[str | None, str | None],
    *,
    vendor: str | None,
    as_of: datetime | None,
) -> dict[tuple[str, str, str], int]:
    """What is withheld, in minor units, by vendor, buyer and currency; as balances are."""
    rows = await connection.fetch(
        "select vendor, buyer, currency, sum(difference_minor)::bigint as minor_units"  # noqa: S608
        f"  from withholding where {_WITHIN} and ($3::text is null or vendor = $3)"
        "   and ($4::timestamptz is null or recorded_at < $4) group by 1, 2, 3",
        *scope,
        vendor,
        as_of,
    )
    return {(row["vendor"], row["buyer"], row["currency"]): row["minor_units"] for row in rows}


async def pending(
    connection: Connection,
    agreements: Sequence[str],
    scope: tuple[str | None, str | None],
    *,
    after: tuple[str, str, int],
    limit: int,
) -> list[DatabaseRow]:
    """What waits, is parked, disputed or proposed, by agreement, period and number.

    ``number`` 0: a period that waits; below: a dispute, and far below a proposal.

    ``agreements``: those whose periods are looked at. ``scope``: vendor and buyer whose parked
    work is, None for everyone's.
    """
    rows: list[DatabaseRow] = await connection.fetch(
        "select * from ("  # noqa: S608 - a constant of ours
        " select agreement, period, 0::bigint as number, null as vendor, run_id, reasons, since,"
        "  null as what, null as programme, null as error, null as place, null as input,"
        "  null as trace_id, null::int as attempts, null::timestamptz as last_at,"
        "  null::uuid as dispute_id, null::uuid as proposal_id, null as content,"
        "  evaluated from settlement_pending where agreement = any($3::text[])"
        " union all"
        " select agreement, period, number, vendor, null, jsonb_build_array(reason), first_at,"
        "  what, programme, error, place, input, trace_id, attempts, last_at,"
        "  null, null, null, null"
        f"  from parked_work where resolved_at is null and {_WITHIN}"
        " union all"
        " select o.agreement, o.period, -position, vendor, null, null, recorded_at,"
        "  null, null, null, null, null, null, null, null, o.dispute_id, null, null, null"
        "  from open_dispute o join dispute using (dispute_id)"
        "  where o.agreement = any($3::text[])"
        " union all"
        f" select agreement, period, number - {PROPOSALS_FROM}, vendor, null, null, first_at,"
        "  null, null, null, null, null, null, null, null, null, proposal_id, content, null"
        "  from proposal where state = 'open' and agreement = any($3::text[])) listed"
        " where (agreement, period, number) > ($4, $5, $6)"
        " order by agreement, period, number limit $7",
        *scope,
        list(agreements),
        *after,
        limit,
    )
    return rows


_RUN = (
    "select run_id, agreement, number, because_of, caused_by, revision, reason, recorded_at,"
    " ordered_by, order_reason,"
    " (select count(*) from statement s where s.run_id = r.run_id) as statements,"
    " (select count(*) from ledger_entry e where e.run_id = r.run_id) as entries"
    " from settlement_run r"
)


async def runs(
    connection: Connection, agreements: Sequence[str], *, after: tuple[str, int], limit: int
) -> list[DatabaseRow]:
    """Runs by agreement and number."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"{_RUN} where agreement = any($1::text[]) and (agreement, number) > ($2, $3::bigint)"
        " order by agreement, number limit $4",
        list(agreements),
        *after,
        limit,
    )
    return rows


async def run(connection: Connection, run_id: UUID) -> DatabaseRow | None:
    """One run."""
    return await connection.fetchrow(f"{_RUN} where run_id = $1", run_id)


async def statements_of_run(connection: Connection, run_id: UUID) -> list[DatabaseRow]:
    """What a run posted."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_STATEMENT} from statement s where run_id = $1 order by position",  # noqa: S608
        run_id,
    )
    return rows


_SUMMARY = (
    "number, set_aside_by, reason, party, source, event_id, problem, times, first_at, last_at,"
    " resolved_at"
)
_ASIDE = """
    (
        select number, 'evaluator' as set_aside_by, reason, source, event_id, null as party,
               problem, times, first_at, last_at, a.seen_at as resolved_at, told::text,
               held::text, null as document, null as place, null as headers, raw
          from quarantine_item left join applied_correction a on a.item = number
         where $1::text[] is null or source = any($1)
        union all
        select number, 'ingest', code, source, event_id, party,
               detail, 1, refused_at, refused_at, null, null, null,
               problem::text, topic || '/' || partition || '/' || kafka_offset, headers::text, raw
          from intake_refusal
         where $2::text[] is null or party = any($2)
            or (party = any($3::text[]) and source = any($1))
    ) aside
"""


@dataclass(frozen=True, slots=True)
class AsideScope:
    """Whose set-aside things to show; None: everyone's.

    ``sources``: facts of these. ``parties``: whatever these sent to ingest. ``partners``: of
    these, what names one of the sources.
    """

    sources: Sequence[str] | None
    parties: Sequence[str] | None
    partners: Sequence[str]


async def quarantine(
    connection: Connection, scope: AsideScope, *, after: int, limit: int
) -> list[DatabaseRow]:
    """What the evaluator and ingest set aside, by number."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_SUMMARY} from {_ASIDE} where number > $4 and resolved_at is null"  # noqa: S608
        " order by number limit $5",
        scope.sources,
        scope.parties,
        scope.partners,
        after,
        limit,
    )
    return rows


async def set_aside_at_doors(
    connection: Connection, scope: AsideScope, source: str, event_id: str
) -> list[DatabaseRow]:
    """What ingest set aside under the name of one event, by number."""
    rows: list[DatabaseRow] = await connection.fetch(
        "select number, set_aside_by, reason, problem, null as told, times, first_at, last_at,"  # noqa: S608
        " null as resolved_at"
        f" from {_ASIDE} where set_aside_by = 'ingest' and source = $4 and event_id = $5"
        " order by number",
        scope.sources,
        scope.parties,
        scope.partners,
        source,
        event_id,
    )
    return rows


async def quarantined(connection: Connection, scope: AsideScope, number: int) -> DatabaseRow | None:
    """One item with all that is known of it."""
    return await connection.fetchrow(
        f"select * from {_ASIDE} where number = $4",  # noqa: S608
        scope.sources,
        scope.parties,
        scope.partners,
        number,
    )


async def usage(
    connection: Connection,
    parties: Sequence[str] | None,
    *,
    after: tuple[str, date],
    limit: int,
) -> list[DatabaseRow]:
    """What is kept and counted of the refused events of these parties (None: of all), by party
    and day; of today also how many subjects they have, by the number of the metric."""
    rows: list[DatabaseRow] = await connection.fetch(
        "with refused as (select party, day, sum(kept)::bigint as kept,"
        "       sum(kept_bytes)::bigint as kept_bytes,"
        "       sum(beyond)::bigint as beyond, sum(beyond_bytes)::bigint as beyond_bytes,"
        "       jsonb_object_agg(code, total)::text as codes, max(last_at) as last_at"
        "  from (select *, sum(kept + beyond) over (partition by party, day, code) as total"
        "          from refusal_count"
        "         where ($1::text[] is null or party = any($1))"
        "           and (party, day) > ($2, $3::date)) counted"
        " group by party, day), subjects as (select party,"
        "       (clock_timestamp() at time zone 'UTC')::date as day,"
        "       jsonb_object_agg(metric, subjects)::text as subjects"
        "  from subject_count where $1::text[] is null or party = any($1) group by party)"
        " select party, day, coalesce(kept, 0) as kept, coalesce(kept_bytes, 0) as kept_bytes,"
        "       coalesce(beyond, 0) as beyond, coalesce(beyond_bytes, 0) as beyond_bytes,"
        "       coalesce(codes, '{}') as codes, coalesce(last_at, clock_timestamp()) as last_at,"
        "       coalesce(subjects, '{}') as subjects"
        "  from refused full join subjects using (party, day)"
        " where (party, day) > ($2, $3::date) order by party, day limit $4",
        None if parties is None else list(parties),
        *after,
        limit,
    )
    return rows


async def refused(
    connection: Connection, *, after: tuple[int, int], limit: int
) -> list[DatabaseRow]:
    """Records that can never be settled, by partition and offset."""
    rows: list[DatabaseRow] = await connection.fetch(
        "select refused_id, topic, partition, kafka_offset, reason, refused_at"
        "  from settlement_refused where (partition, kafka_offset) > ($1::bigint, $2)"
        " order by partition, kafka_offset limit $3",
        *after,
        limit,
    )
    return rows
