"""The proposals that the newest evaluations list: kept as evaluations are received, and found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from uuid import UUID, uuid5

from pydantic import ValidationError

from schemas.audit import AuditAction
from schemas.evaluation import EventRef, PeriodEvaluation, Proposal
from schemas.money import MoneyAmount, minor_units
from services.catalogue.audit import AuditedChange, Author
from services.settlement.queries import DatabaseRow
from services.shell.postgres import Connection

SPACE = UUID("0d3bb4f6-2b7c-5f0e-9a51-0f5a7c1e8d44")
BY_EVENT = "event"
"""The role of an author who stated something by an event, where no key is known."""
NAMED_BY = {
    "charge": "base",
    "circumstance": "circumstance",
    "figure": "metric",
    "correction": "name",
}
"""Each kind of proposal, to the field that names it."""


def kind_of(proposal: Proposal) -> str:
    """What is proposed: charge, circumstance, figure or correction."""
    return next(kind for kind in NAMED_BY if getattr(proposal, kind) is not None)


def name_of(proposal: Proposal) -> str:
    """The base, circumstance or metric that a proposal is about."""
    kind = kind_of(proposal)
    return str(getattr(getattr(proposal, kind), NAMED_BY[kind]))


def period_of(proposal: Proposal) -> str:
    """The period that a proposal is for."""
    return str(getattr(proposal, kind_of(proposal)).period)


def proposal_id(agreement: str, proposal: Proposal) -> UUID:
    """The same for the same event, whatever it says."""
    event = proposal.event
    return uuid5(SPACE, f"{agreement}\0{event.source}\0{event.id}")


ToldChange = tuple[Author, AuditedChange]


async def keep(connection: Connection, evaluation: PeriodEvaluation) -> list[ToldChange]:
    """Keep the proposals of an evaluation, where it is the newest of its period.

    What it no longer lists is taken out. Gives what the audit is to say: what is new, with its
    answers.
    """
    place = evaluation.agreement, evaluation.period
    newest = await connection.fetchval(
        "select max(revision) from evaluation_received where agreement = $1 and period = $2", *place
    )
    if newest != evaluation.revision:
        return []
    known = await _known(connection, evaluation)
    listed = [(each.event.source, each.event.id) for each in evaluation.proposals]
    if known or listed:
        await connection.execute(
            "delete from proposal where agreement = $1 and evaluated = $2"
            " and (source, event_id) not in (select * from unnest($3::text[], $4::text[]))",
            *place,
            [source for source, _ in listed],
            [event_id for _, event_id in listed],
        )
    told: list[ToldChange] = []
    for each in evaluation.proposals:
        before = known.get((each.event.source, each.event.id))
        if before != each:
            sides = await _put(connection, evaluation, each)
            told += _changes(evaluation, each, before, sides, await _senders(connection, each))
    return told


async def _senders(connection: Connection, proposal: Proposal) -> dict[EventRef, Author]:
    """Who sent the answers to a proposal, where ingest has written that down."""
    rows = await connection.fetch(
        "select source, event_id, key_prefix, party, role, person from answer_sender"
        "  join unnest($1::text[], $2::text[]) as a(source, event_id) using (source, event_id)",
        [each.event.source for each in proposal.answers],
        [each.event.id for each in proposal.answers],
    )
    return {
        EventRef(source=row["source"], id=row["event_id"]): Author(
            row["key_prefix"], row["party"], row["role"], row["person"]
        )
        for row in rows
    }


async def _known(
    connection: Connection, evaluation: PeriodEvaluation
) -> dict[tuple[str, str], Proposal | None]:
    """What is kept of what an evaluation lists or listed. None: it cannot be read, and is written
    and told anew."""
    rows = await connection.fetch(
        "select source, event_id, content from proposal where agreement = $1 and (evaluated = $2"
        " or (source, event_id) in (select * from unnest($3::text[], $4::text[])))",
        evaluation.agreement,
        evaluation.period,
        [each.event.source for each in evaluation.proposals],
        [each.event.id for each in evaluation.proposals],
    )
    found: dict[tuple[str, str], Proposal | None] = {}
    for row in rows:
        key = row["source"], row["event_id"]
        found[key] = None
        with suppress(ValidationError):
            found[key] = said(row)
    return found


async def _put(
    connection: Connection, evaluation: PeriodEvaluation, proposal: Proposal
) -> DatabaseRow:
    """Store a proposal; the vendor and the buyer that see it."""
    return await connection.fetchrow(
        "insert into proposal (agreement, proposal_id, source, event_id, evaluated, programme,"
        " vendor, buyer, party, period, state, content)"
        " select $1, $2, $3, $4, $5, $6, case when $7 <> vendor and exists ("
        "   select from agreement_party o where o.vendor = $7) then null else vendor end,"
        "  buyer, $7, $8, $9, $10 from agreement_party where agreement = $1"
        " on conflict (agreement, source, event_id) do update set evaluated = excluded.evaluated,"
        "  period = excluded.period, state = excluded.state, content = excluded.content,"
        "  changed_at = clock_timestamp() returning vendor, buyer",
        evaluation.agreement,
        proposal_id(evaluation.agreement, proposal),
        proposal.event.source,
        proposal.event.id,
        evaluation.period,
        evaluation.programme,
        proposal.party,
        period_of(proposal),
        proposal.state,
        proposal.model_dump_json(),
    )


def _changes(
    evaluation: PeriodEvaluation,
    proposal: Proposal,
    before: Proposal | None,
    sides: DatabaseRow,
    senders: Mapping[EventRef, Author],
) -> Iterator[ToldChange]:
    """What was proposed, and each answer that is new. ``before``: what was known of it.

    ``senders``: of its answers, as far as they are known.
    """
    seen = sides["vendor"] is not None

    def told(action: AuditAction, by: Author, reason: str | None) -> ToldChange:
        return by, AuditedChange(
            action,
            str(proposal_id(evaluation.agreement, proposal)),
            programme=evaluation.programme,
            agreement=evaluation.agreement if seen else None,
            period=evaluation.period if seen else None,
            vendor=sides["vendor"] if seen else proposal.party,
            buyer=sides["buyer"],
            reason=reason,
        )

    if before is None or before.payload != proposal.payload:
        reason = proposal.correction.reason if proposal.correction is not None else None
        yield told(AuditAction.PROPOSED, Author(None, proposal.party, BY_EVENT), reason)
    answered = {each.event for each in before.answers} if before is not None else set()
    for each in proposal.answers:
        if each.event not in answered:
            by = senders.get(each.event, Author(None, each.party, BY_EVENT))
            yield told(AuditAction.ANSWER_COUNTED, by, f"{each.answer}: {each.reason}")


_COLUMNS = (
    "number, proposal_id, agreement, source, event_id, vendor, buyer, programme, evaluated, period,"
    " state, content, first_at, changed_at"
)


async def listed(
    connection: Connection,
    agreements: Sequence[str],
    *,
    period: str | None,
    state: str | None,
    after: tuple[str, int],
    limit: int,
) -> list[DatabaseRow]:
    """Proposals of some agreements, by agreement and in the order in which they came."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_COLUMNS} from proposal where agreement = any($1::text[])"  # noqa: S608 - ours
        "   and ($2::text is null or period = $2) and ($3::text is null or state = $3)"
        "   and (agreement, number) > ($4, $5::bigint) order by agreement, number limit $6",
        list(agreements),
        period,
        state,
        *after,
        limit,
    )
    return rows


async def one(connection: Connection, proposal_id: UUID) -> DatabaseRow | None:
    """One proposal, where it is seen."""
    return await connection.fetchrow(
        f"select {_COLUMNS} from proposal where proposal_id = $1",  # noqa: S608 - ours
        proposal_id,
    )


MOST_TOLD = 100
"""So many open proposals are told with one line."""


async def open_in(
    connection: Connection, agreement: str, periods: Sequence[str]
) -> list[DatabaseRow]:
    """The open proposals that evaluations of some periods list, oldest first, at most so many."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select {_COLUMNS} from proposal where agreement = $1 and state = 'open'"  # noqa: S608
        " and evaluated = any($2::text[]) order by number limit $3",
        agreement,
        list(periods),
        MOST_TOLD,
    )
    return rows


def id_in_words(row: DatabaseRow) -> str:
    """What a proposal is called where it cannot be read."""
    return f"proposal {row['proposal_id']}"


def said(row: DatabaseRow) -> Proposal:
    """What a row proposes. Raises ValidationError where this release cannot read it."""
    return Proposal.model_validate_json(row["content"])


def fields(row: DatabaseRow) -> Mapping[str, object]:
    """A row as lists show it. Raises as `said` does."""
    content = said(row)
    return {
        "proposal_id": row["proposal_id"],
        "agreement": row["agreement"],
        "evaluated": row["evaluated"],
        "period": row["period"],
        "states": kind_of(content),
        "name": name_of(content),
        "state": row["state"],
        "amount": None
        if content.charge is None
        else MoneyAmount.of(
            minor_units(content.charge.amount, content.charge.currency), content.charge.currency
        ),
        "proposal": content,
        "first_at": row["first_at"],
        "changed_at": row["changed_at"],
    }


def in_words(row: DatabaseRow) -> tuple[str, ...]:
    """What is proposed and by whom, and who can answer it, for people."""
    try:
        content = said(row)
    except ValidationError:
        return (f"what is proposed of {row['period']} cannot be read by this release",)
    about = f"{kind_of(content)} {name_of(content)} of {row['period']}"
    what = f"{about}, proposed by {content.party}: {content.event.id}"
    return what, f"it changes nothing until {' and '.join(content.awaits)} accepts it"


async def states_of(
    connection: Connection, agreement: str, events: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """By source and id, how those of these events stand that are proposals to an agreement."""
    rows = await connection.fetch(
        "select source, event_id, state from unnest($2::text[], $3::text[]) as e(source, event_id)"
        " join proposal p using (source, event_id) where p.agreement = $1",
        agreement,
        [source for source, _ in events],
        [event_id for _, event_id in events],
    )
    return {(row["source"], row["event_id"]): row["state"] for row in rows}
