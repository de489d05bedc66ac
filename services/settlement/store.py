"""The SQL that settlement writes with. All of it inside the caller's transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from uuid import UUID, uuid5

from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import LedgerEntry, SettlementRun
from schemas.programme import Programme
from schemas.statement import RULES, SettlementStatement, canonical
from services.catalogue.stored import agreement_of, programme_of
from services.core.adjusting.shared_caps import sharing
from services.core.books import ledger
from services.core.books.ledger import Position
from services.core.visibility.parties import Parties, parties_of
from services.settlement import balance_store, withholding_store
from services.settlement.finance_events import (
    Posting,
    SettlementTopics,
    entry_events,
    statement_event,
)
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection

RESTATED = "restated"
"""The reason of a run that a person ordered."""

_REFUSED = UUID("0b1d7f5e-3a3e-5b7a-8d55-5c1f4f4a9a10")


class Unprocessable(Exception):
    """A record that can never be applied, with the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class LatestRevision:
    """The latest revision of a period's statement. ``rules``: the version that made it."""

    revision: int
    content_digest: bytes
    rules: int = RULES


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """What settling an agreement takes, besides evaluations. Versions oldest first.

    ``agreements``: the versions of the agreement, and of all that share a cap with it.
    ``programmes``: the versions of their programme; none where no cap is shared. ``unread``: the
    agreements of the programme that may share a cap with it and cannot be read, with their vendors.
    """

    agreements: Mapping[str, tuple[Agreement, ...]]
    programmes: tuple[Programme, ...]
    parties: Parties
    time_zone: str
    unread: Mapping[str, str] = field(default_factory=dict)


async def refuse(
    connection: Connection, *, topic: str, partition: int, offset: int, body: bytes, reason: str
) -> None:
    """Set a record aside. The same record again is set aside once."""
    await connection.execute(
        "insert into settlement_refused (refused_id, topic, partition, kafka_offset, reason, body)"
        " values ($1, $2, $3, $4, $5, $6) on conflict (refused_id) do nothing",
        uuid5(_REFUSED, f"{topic}\0{partition}\0{offset}"),
        topic,
        partition,
        offset,
        reason,
        body,
    )


async def receive(connection: Connection, evaluation: PeriodEvaluation) -> bool:
    """Keep an evaluation. False where the very same one is kept already.

    Raises Unprocessable where this revision is kept with other content.
    """
    body = canonical(evaluation)
    digest = sha256(body).digest()
    identity = (evaluation.agreement, evaluation.period, evaluation.revision)
    tag = await connection.execute(
        "insert into evaluation_received"
        " (agreement, period, revision, programme, reason, body, sha256)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        *identity,
        evaluation.programme,
        evaluation.reason,
        body.decode(),
        digest,
    )
    if tag == "INSERT 0 1":
        return True
    kept = await connection.fetchrow(
        "select sha256, body from evaluation_received"
        " where agreement = $1 and period = $2 and revision = $3",
        *identity,
    )
    # An earlier release wrote fewer fields; read by today's schema it says the same.
    if kept["sha256"] != digest and not _says(kept["sha256"], kept["body"], evaluation):
        raise Unprocessable(
            f"evaluation of {evaluation.agreement} {evaluation.period} revision "
            f"{evaluation.revision} is kept with other content; a revision never changes, so its "
            "sender must give the new content the next revision"
        )
    return False


def _says(digest: bytes, body: str, evaluation: PeriodEvaluation) -> bool:
    try:
        return _parsed(digest, body) == evaluation
    except ValidationError:  # an earlier release kept what this one cannot read
        return False


async def is_applied(connection: Connection, agreement: str) -> bool:
    """Whether any version of an agreement is applied, readable or not."""
    found: bool = await connection.fetchval(
        "select exists (select from agreement_version where agreement = $1)", agreement
    )
    return found


async def check_now(connection: Connection) -> None:
    """Have the constraints that are checked at the commit checked here, where what breaks them is
    still known."""
    await connection.execute("set constraints all immediate")
    await connection.execute("set constraints all deferred")


async def evaluation_at(
    connection: Connection, agreement: str, period: str, revision: int | None = None
) -> PeriodEvaluation | None:
    """A revision of a period's evaluation; None: the latest."""
    row = await connection.fetchrow(
        "select body, sha256 from evaluation_received where agreement = $1 and period = $2"
        " and revision = coalesce($3, revision) order by revision desc limit 1",
        agreement,
        period,
        revision,
    )
    return None if row is None else _parsed(row["sha256"], row["body"])


async def contract(connection: Connection, agreement: str) -> SettlementTerms | None:
    """An agreement as applied by now; None where it is not applied.

    Read in the transaction that settles, not from a copy: a copy could be a moment behind.
    Raises what reading it raises; another agreement of its programme that cannot be read is named.
    """
    rows = await connection.fetch(
        "select p.body, p.sha256 from programme_version p where p.programme = ("
        "   select a.programme from agreement_version a where a.agreement = $1 limit 1)"
        " order by p.version",
        agreement,
    )
    if not rows:
        return None
    programmes = tuple(_programme(row["sha256"], row["body"]) for row in rows)
    newest = programmes[-1]  # the zone is the same in all versions of a programme
    shared = any(one.shared_caps for one in programmes)
    agreements, unread = await _agreements(connection, newest.programme, agreement, shared)
    together = sharing(programmes, agreements, agreement)
    return SettlementTerms(
        {name: agreements[name] for name in together or (agreement,)},
        programmes if together else (),
        parties_of(programmes),
        time_zone=newest.time_zone,
        unread=unread if together else {},
    )


async def _agreements(
    connection: Connection, programme: str, asked: str, others: bool
) -> tuple[dict[str, tuple[Agreement, ...]], dict[str, str]]:
    """The agreement asked for and, if wanted, the others; and of these the unreadable ones."""
    rows = await connection.fetch(
        "select agreement, vendor, body, sha256 from agreement_version"
        " where programme = $1 and ($2::text is null or agreement = $2)"
        " order by agreement, version",
        programme,
        None if others else asked,
    )
    found, unread = {}, {}
    for name, versions in groupby(rows, key=itemgetter("agreement")):
        stored = list(versions)
        try:
            found[name] = tuple(_version(row["sha256"], row["body"]) for row in stored)
        except Exception:
            if name == asked:
                raise
            unread[name] = stored[-1]["vendor"]
    return found, unread


async def with_evaluations(
    connection: Connection, terms: SettlementTerms, agreement: str
) -> tuple[SettlementTerms, dict[str, tuple[PeriodEvaluation, ...]]]:
    """The evaluations of an agreement and of all that share a cap with it, by name.

    Another one whose evaluations cannot be read is among the unread ones of the terms.
    """
    found, unread = {}, dict(terms.unread)
    for name, versions in terms.agreements.items():
        try:
            found[name] = await evaluations(connection, name)
        except ValidationError:
            if name == agreement:
                raise
            unread[name] = versions[-1].vendor
    read = {name: terms.agreements[name] for name in found}
    return replace(terms, agreements=read, unread=unread), found


async def take_turn(connection: Connection, agreements: Collection[str]) -> None:
    """Let nobody else settle these agreements, or any that may share a cap with them, until the
    transaction ends.

    Call it first in the transaction and once: what is read afterwards is then what the last one
    in turn left. All take the locks in one order, which prevents deadlock.
    """
    rows = await connection.fetch(
        "select distinct a.programme from agreement_version a join programme_version p"
        " using (programme) where a.agreement = any($1::text[])"
        # Not read as JSON: a body that nobody can read must not fail the whole batch. A text that
        # merely reads like it takes a lock too many.
        """ and p.body ~ '"shared_caps"\\s*:\\s*\\[\\s*\\{'"""
        " order by a.programme",
        list(agreements),
    )
    locks = [f"earnback-shared-caps:{row['programme']}" for row in rows]
    locks += [f"earnback-agreement:{name}" for name in sorted(agreements)]
    for name in locks:
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", name)


@lru_cache(maxsize=1024)
def _version(digest: bytes, body: str) -> Agreement:
    return agreement_of(body)


@lru_cache(maxsize=64)
def _programme(digest: bytes, body: str) -> Programme:
    return programme_of(body)


@lru_cache(maxsize=2048)
def _parsed(digest: bytes, body: str) -> PeriodEvaluation:
    # Bodies are immutable, so what they parse to is remembered by digest and never goes stale.
    return PeriodEvaluation.model_validate_json(body)


async def evaluations(
    connection: Connection, agreement: str, *, without: PeriodEvaluation | None = None
) -> tuple[PeriodEvaluation, ...]:
    """The latest revision of every period that was evaluated; ``without``: one of them."""
    rows = await connection.fetch(
        "select distinct on (period) body, sha256 from evaluation_received where agreement = $1"
        " and not coalesce(period = $2 and revision = $3, false)"
        " order by period, revision desc",
        agreement,
        None if without is None else without.period,
        None if without is None else without.revision,
    )
    return tuple(_parsed(row["sha256"], row["body"]) for row in rows)


async def evaluations_of(
    connection: Connection, agreement: str, revisions: Mapping[str, int]
) -> dict[str, PeriodEvaluation]:
    """The evaluations of an agreement at these revisions, by period."""
    rows = await connection.fetch(
        "select period, body, sha256 from evaluation_received"
        " join unnest($2::text[], $3::int[]) as asked(period, revision) using (period, revision)"
        " where agreement = $1",
        agreement,
        list(revisions),
        list(revisions.values()),
    )
    return {row["period"]: _parsed(row["sha256"], row["body"]) for row in rows}


async def newest_revision(connection: Connection, agreement: str, period: str) -> int:
    """The latest revision of a period's evaluation that is kept; 0 where none is."""
    found: int = await connection.fetchval(
        "select coalesce(max(revision), 0) from evaluation_received"
        " where agreement = $1 and period = $2",
        agreement,
        period,
    )
    return found


async def evaluated(
    connection: Connection, agreements: Collection[str], period: str
) -> frozenset[str]:
    """Of which of these agreements an evaluation of a period is kept."""
    rows = await connection.fetch(
        "select distinct agreement from evaluation_received"
        " where agreement = any($1::text[]) and period = $2",
        list(agreements),
        period,
    )
    return frozenset(row["agreement"] for row in rows)


async def is_received(connection: Connection, evaluation: PeriodEvaluation) -> bool:
    """Whether this revision of a period's evaluation is kept, with whatever content."""
    found: bool = await connection.fetchval(
        "select exists (select from evaluation_received"
        " where agreement = $1 and period = $2 and revision = $3)",
        evaluation.agreement,
        evaluation.period,
        evaluation.revision,
    )
    return found


async def begin_run(
    connection: Connection, agreement: str, evaluation: PeriodEvaluation, *, at: datetime
) -> SettlementRun:
    """Write down the run that an evaluation causes and give it the agreement's next number."""
    caused_by = None if evaluation.agreement == agreement else evaluation.agreement
    run_id = ledger.run_id(
        agreement=agreement,
        because_of=evaluation.period,
        revision=evaluation.revision,
        caused_by=caused_by,
    )
    number = await connection.fetchval(
        "insert into settlement_run"
        " (run_id, agreement, number, because_of, revision, reason, recorded_at, caused_by)"
        " select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7"
        "   from settlement_run where agreement = $2 returning number",
        run_id,
        agreement,
        evaluation.period,
        evaluation.revision,
        evaluation.reason,
        at,
        caused_by,
    )
    return SettlementRun(
        run_id=run_id,
        agreement=agreement,
        number=number,
        reason=evaluation.reason,
        because_of=evaluation.period,
        revision=evaluation.revision,
        caused_by=caused_by,
    )


async def begin_restatement(
    connection: Connection,
    agreement: str,
    because_of: str,
    *,
    reason: str,
    ordered_by: str,
    at: datetime,
) -> SettlementRun:
    """Write down a run that a person orders. ``because_of``: the first period that it restates."""
    number = await connection.fetchval(
        "select coalesce(max(number), 0) + 1 from settlement_run where agreement = $1", agreement
    )
    revision = await connection.fetchval(
        "select max(revision) from evaluation_received where agreement = $1 and period = $2",
        agreement,
        because_of,
    )
    run = SettlementRun(
        run_id=ledger.restatement_run_id(agreement=agreement, number=number),
        agreement=agreement,
        number=number,
        reason=RESTATED,
        because_of=because_of,
        revision=revision,
        ordered_by=ordered_by,
        order_reason=reason,
    )
    await connection.execute(
        "insert into settlement_run (run_id, agreement, number, because_of, revision, reason,"
        " recorded_at, ordered_by, order_reason) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        run.run_id,
        agreement,
        number,
        because_of,
        revision,
        RESTATED,
        at,
        ordered_by,
        reason,
    )
    return run


async def standings(
    connection: Connection, agreements: Collection[str], periods: Collection[str] | None = None
) -> dict[str, dict[str, LatestRevision]]:
    """The latest statement of these periods that are settled, by agreement; None: of all."""
    rows = await connection.fetch(
        "select agreement, period, revision, substance, rules from latest_statement"
        " where agreement = any($1::text[]) and ($2::text[] is null or period = any($2::text[]))",
        list(agreements),
        None if periods is None else list(periods),
    )
    found: dict[str, dict[str, LatestRevision]] = {name: {} for name in agreements}
    for row in rows:
        latest = LatestRevision(row["revision"], row["substance"], row["rules"])
        found[row["agreement"]][row["period"]] = latest
    return found


async def statements_of_older_rules(
    connection: Connection, agreement: str
) -> tuple[SettlementStatement, ...]:
    """The latest statement of each settled period that an older version of the rules made."""
    rows = await connection.fetch(
        "select body from latest_statement where agreement = $1 and rules < $2 order by period",
        agreement,
        RULES,
    )
    return tuple(SettlementStatement.model_validate_json(row["body"]) for row in rows)


async def latest_statements(
    connection: Connection, agreement: str
) -> dict[str, SettlementStatement]:
    """The latest statement of every settled period, by period."""
    rows = await connection.fetch(
        "select period, body from latest_statement where agreement = $1", agreement
    )
    return {row["period"]: SettlementStatement.model_validate_json(row["body"]) for row in rows}


async def agreements_of_older_rules(connection: Connection) -> list[str]:
    """The agreements with a settled period whose latest statement older rules made, sorted."""
    rows = await connection.fetch(
        "select distinct agreement from latest_statement where rules < $1 order by agreement", RULES
    )
    return [row["agreement"] for row in rows]


async def posted(
    connection: Connection, agreement: str, periods: Collection[str]
) -> dict[str, dict[Position, int]]:
    """What is booked in periods, by period and position. Positions at zero are left out."""
    rows = await connection.fetch(
        "select period, line, kind, level, vendor, buyer_account, currency, minor_units"
        " from posted_line where agreement = $1 and period = any($2::text[]) and minor_units <> 0",
        agreement,
        list(periods),
    )
    booked: defaultdict[str, dict[Position, int]] = defaultdict(dict)
    for row in rows:
        position = Position(*(row[name] for name in Position._fields))
        booked[row["period"]][position] = row["minor_units"]
    return booked


async def activate(
    connection: Connection, agreement: str, versions: Iterable[int], *, applies_from: date | None
) -> Mapping[int, date | None]:
    """From when on each version rules. Versions met for the first time rule from the day given."""
    await connection.execute(
        "insert into version_taken_up (agreement, version, applies_from)"
        " select $1, version, $3 from unnest($2::int[]) as version"
        " on conflict (agreement, version) do nothing",
        agreement,
        list(versions),
        applies_from,
    )
    rows = await connection.fetch(
        "select version, applies_from from version_taken_up where agreement = $1", agreement
    )
    return {row["version"]: row["applies_from"] for row in rows}


async def activate_programmes(
    connection: Connection, programmes: Sequence[Programme], *, applies_from: date | None
) -> Mapping[int, date | None]:
    """From when on the shared caps of each version rule; as `activate` does it for agreements."""
    if not programmes:
        return {}
    name = programmes[0].programme
    await connection.execute(
        "insert into programme_taken_up (programme, version, applies_from)"
        " select $1, version, $3 from unnest($2::int[]) as version"
        " on conflict (programme, version) do nothing",
        name,
        [one.version for one in programmes],
        applies_from,
    )
    rows = await connection.fetch(
        "select version, applies_from from programme_taken_up where programme = $1", name
    )
    return {row["version"]: row["applies_from"] for row in rows}


async def waiting(connection: Connection, agreement: str) -> dict[str, tuple[str, ...]]:
    """The agreement's periods that wait, each with its reasons."""
    rows = await connection.fetch(
        "select period, reasons from settlement_pending where agreement = $1", agreement
    )
    return {row["period"]: tuple(json.loads(row["reasons"])) for row in rows}


async def wait(
    connection: Connection,
    run: SettlementRun,
    waiting: Mapping[str, Sequence[str]],
    evaluated: Mapping[str, int],
) -> None:
    """Replace the list of the agreement's periods that wait, each with its reasons.

    ``evaluated``: the revision of a period's evaluation, by which the references in its reasons are
    numbered; none where the reasons stand as they were found before.
    """
    await connection.execute(
        "delete from settlement_pending where agreement = $1 and period <> all($2::text[])",
        run.agreement,
        list(waiting),
    )
    await connection.executemany(
        "insert into settlement_pending (agreement, period, run_id, reasons, evaluated)"
        " values ($1, $2, $3, $4::jsonb, $5) on conflict (agreement, period) do update"
        " set run_id = excluded.run_id, reasons = excluded.reasons,"
        " evaluated = coalesce(excluded.evaluated, settlement_pending.evaluated)",
        [
            (run.agreement, period, run.run_id, json.dumps(list(reasons)), evaluated.get(period))
            for period, reasons in waiting.items()
        ],
    )


async def post(
    connection: Connection,
    postings: Sequence[Posting],
    *,
    topics: SettlementTopics,
    at: datetime,
    taken: Callable[[], None] = lambda: None,
) -> None:
    """Write statements and entries, and enqueue the events for finance.

    Locks the head of the book until the transaction ends: whoever posts meanwhile waits.
    ``taken``: called when it is locked.
    """
    if not postings:
        return
    wanted = sum(1 + len(posting.entries) for posting in postings)
    # Everything that publishes takes this lock first, so two runs cannot wait for each other.
    position = await connection.fetchval(
        "update book_head set next_position = next_position + $1 returning next_position - $1",
        wanted,
    )
    taken()
    told: list[Outgoing] = []
    booked: list[Outgoing] = []
    for posting in postings:
        await _write_statement(connection, posting, position, at)
        told.append(statement_event(posting, position=position, at=at))
        await _write_entries(connection, posting, position + 1, at)
        booked += entry_events(posting, first_position=position + 1, at=at)
        position += 1 + len(posting.entries)
    entries = ((one.statement.buyer, entry) for one in postings for entry in one.entries)
    await balance_store.note(connection, entries, position=position - 1, at=at)
    periods = [(one.statement.agreement, one.statement.period) for one in postings]
    told += await withholding_store.after_posting(connection, periods, at=at)
    await enqueue_many(connection, topics.settlements, told)
    await enqueue_many(connection, topics.ledger_entries, booked)


async def _write_statement(
    connection: Connection, posting: Posting, position: int, at: datetime
) -> None:
    statement = posting.statement
    identity = (statement.agreement, statement.period, posting.revision)
    await connection.execute(
        "insert into statement (position, agreement, period, revision, run_id, programme, version,"
        " vendor, buyer, currency, total_minor, body, sha256, substance, supersedes,"
        " recorded_at, rules)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        position,
        *identity,
        posting.run_id,
        statement.programme,
        statement.version,
        statement.vendor,
        statement.buyer,
        statement.currency,
        statement.total_minor,
        posting.body.decode(),
        posting.digest,
        posting.content_digest,
        posting.supersedes,
        at,
        statement.rules,
    )
    await connection.executemany(
        "insert into statement_line (agreement, period, revision, line, ordinal, kind, level,"
        " for_period, minor_units, version) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            (
                *identity,
                line.line,
                ordinal,
                line.kind,
                line.level,
                line.for_period,
                line.minor_units,
                line.version,
            )
            for ordinal, line in enumerate(statement.lines)
        ],
    )


_ENTRY_FIELDS = tuple(LedgerEntry.model_fields)


async def _write_entries(
    connection: Connection, posting: Posting, first_position: int, at: datetime
) -> None:
    columns = (*_ENTRY_FIELDS, "buyer", "position", "recorded_at")
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    await connection.executemany(
        f"insert into ledger_entry ({', '.join(columns)}) values ({places})",  # noqa: S608
        [
            (
                *(getattr(entry, name) for name in _ENTRY_FIELDS),
                posting.statement.buyer,
                first_position + place,
                at,
            )
            for place, entry in enumerate(posting.entries)
        ],
    )


async def revisions(
    connection: Connection, agreement: str, periods: Sequence[str]
) -> tuple[tuple[PeriodEvaluation, ...], tuple[str, ...]]:
    """Every revision of the evaluations of these periods, newest first; and those that this
    release cannot read, as ``2025-01#2``."""
    rows = await connection.fetch(
        "select period, revision, body, sha256 from evaluation_received"
        " where agreement = $1 and period = any($2::text[]) order by revision desc, period",
        agreement,
        list(periods),
    )
    found, unread = [], []
    for row in rows:
        try:
            found.append(_parsed(row["sha256"], row["body"]))
        except ValidationError:
            unread.append(f"{row['period']}#{row['revision']}")
    return tuple(found), tuple(unread)
