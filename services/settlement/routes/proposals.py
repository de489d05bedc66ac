"""Proposals: what a party stated whose word does not count, and the answers to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

from fastapi import Query, Request
from fastapi.responses import Response

from schemas.audit import AuditAction
from schemas.evaluation import EventRef, Proposal
from schemas.money import MoneyAmount
from schemas.statement import SettlementStatement
from services.catalogue.audit import AuditedChange, record
from services.catalogue.person import PERSON
from services.core.settling.one_period import Unsettled
from services.core.visibility.shown import AgreementView
from services.settlement import proposal_store
from services.settlement.access import Principal, ReaderPrincipal, not_found
from services.settlement.explain import references_in
from services.settlement.not_found import read_back
from services.settlement.queries import DatabaseRow
from services.settlement.responses import (
    ListedProposal,
    Page,
    ProposalAnswered,
    ProposalDecision,
    ProposalDetail,
    ProposalEffect,
)
from services.settlement.routes.common import (
    Cursor,
    IdempotencyKey,
    InPeriod,
    PageSize,
    done,
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.settlement.routes.previews import SettledNow, settled_now
from services.shell.clock import now
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Fault, Problem
from services.shell.postgres import Connection

routes = router("proposals")

InProposalState = Annotated[Literal["open", "accepted", "rejected"] | None, Query()]


@routes.get("/proposals", response_model=Page[ListedProposal])
async def list_proposals(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str | None = None,
    period: InPeriod = None,
    state: InProposalState = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List what was proposed, by agreement and in the order in which it came.

    What its party has taken back is not listed. ``period``: that a proposal is for.
    """
    asker.check_filters(agreement)
    scope = listed("proposals", *asker.scope, agreement, period, state)
    after, number = parts_of(request).seal.keys(scope, cursor, [str, int]) if cursor else ("", 0)
    async with parts_of(request).reading(asker) as connection:
        rows = await proposal_store.listed(
            connection,
            [agreement] if agreement is not None else asker.agreements(),
            period=period,
            state=state,
            after=(after, number),
            limit=limit + 1,
        )
    return page(
        request,
        rows,
        lambda row: ListedProposal.model_validate(proposal_store.fields(row)),
        limit=limit,
        scope=scope,
        keys=lambda row: (row["agreement"], row["number"]),
        named=proposal_store.id_in_words,
    )


@routes.get("/proposals/{proposal_id}", response_model=ProposalDetail)
async def get_proposal(request: Request, asker: ReaderPrincipal, proposal_id: UUID) -> Response:
    """Show a proposal with its amount: what the statement would change by if it were accepted.

    The amount is worked out from what is stored now, with and without it.
    """
    row = await _row(request, asker, proposal_id)
    _said(row)
    parts, event = parts_of(request), (row["source"], row["event_id"])
    agreement, evaluated = row["agreement"], row["evaluated"]
    without = await settled_now(parts, asker, agreement, evaluated)
    accepted = await settled_now(parts, asker, agreement, evaluated, event)
    view = asker.view(asker.agreement(agreement)[-1])
    effect = _effect(view, evaluated, without, accepted)
    fields = proposal_store.fields(row)
    return shown(request, ProposalDetail.model_validate({**fields, "effect": effect}))


def _said(row: DatabaseRow) -> Proposal:
    """What is proposed. Raises Problem where this release cannot read it."""
    with read_back(proposal_store.id_in_words(row)):
        return proposal_store.said(row)


def _effect(
    view: AgreementView, period: str, without: SettledNow, accepted: SettledNow
) -> ProposalEffect:
    before, after = (_total(each, period) for each in (without, accepted))
    change = None
    if before is not None and after is not None:
        change = MoneyAmount.of(after.minor_units - before.minor_units, after.currency)
    waits, would_wait = (_waits_for(each, period) for each in (without, accepted))
    return ProposalEffect(
        period=period,
        without=before,
        accepted=after,
        change=change,
        waits_for=waits,
        references=references_in(view, " ".join(waits), without.counted),
        accepted_waits_for=would_wait,
        accepted_references=references_in(view, " ".join(would_wait), accepted.counted),
    )


def _total(found: SettledNow, period: str) -> MoneyAmount | None:
    """What a period comes to; None where it cannot be settled yet."""
    for each in found.outcome:
        if each.period == period and isinstance(each, SettlementStatement):
            return MoneyAmount.of(each.total_minor, each.currency)
    return None


def _waits_for(found: SettledNow, period: str) -> tuple[str, ...]:
    """Why a period cannot be settled yet."""
    return tuple(
        reason
        for each in found.outcome
        if each.period == period and isinstance(each, Unsettled)
        for reason in each.reasons
    )


@routes.post("/proposals/{proposal_id}/accept", response_model=ProposalAnswered, status_code=202)
async def accept_proposal(
    request: Request,
    asker: ReaderPrincipal,
    proposal_id: UUID,
    decision: ProposalDecision,
    key: IdempotencyKey = None,
) -> Response:
    """Take a proposal over: it counts from then on, in a later revision of the period."""
    return await _answer(request, asker, proposal_id, decision, "accept")


@routes.post("/proposals/{proposal_id}/reject", response_model=ProposalAnswered, status_code=202)
async def reject_proposal(
    request: Request,
    asker: ReaderPrincipal,
    proposal_id: UUID,
    decision: ProposalDecision,
    key: IdempotencyKey = None,
) -> Response:
    """Reject a proposal: it stays without effect."""
    return await _answer(request, asker, proposal_id, decision, "reject")


async def _row(request: Request, asker: Principal, proposal_id: UUID) -> DatabaseRow:
    """A proposal that the asker may see. Raises a 404."""
    async with parts_of(request).reading(asker) as connection:
        return await _read(connection, asker, proposal_id)


async def _read(connection: Connection, asker: Principal, proposal_id: UUID) -> DatabaseRow:
    row = await proposal_store.one(connection, proposal_id)
    if row is None or row["agreement"] not in asker.agreements():
        raise not_found(f"proposal {proposal_id}")
    return row


async def _answer(
    request: Request,
    asker: Principal,
    proposal_id: UUID,
    decision: ProposalDecision,
    answer: Literal["accept", "reject"],
) -> Response:
    """Send the event that answers, with the asker's own key, and write down who asked for it."""

    async def effect(connection: Connection) -> Answer:
        row = await _read(connection, asker, proposal_id)
        _check_may_answer(asker, _said(row))
        source = _source(asker, row["programme"], decision.source)
        # The same id on every retry: where ingest has taken it and we died, it is known there.
        name = uuid5(proposal_store.SPACE, f"{asker.name}\0{request.headers['idempotency-key']}")
        event = _event(row, f"answer-{name}", source, answer, decision.reason)
        await parts_of(request).ingest.submit(event, _sender(request))
        change = AuditedChange(
            AuditAction.PROPOSAL_ANSWERED,
            str(proposal_id),
            programme=row["programme"],
            agreement=row["agreement"],
            period=row["period"],
            vendor=row["vendor"],
            buyer=row["buyer"],
            reason=f"{answer}: {decision.reason}",
        )
        if row["vendor"] is None:  # of another vendor: what is proposed is not this one's
            change = replace(change, agreement=None, period=None, vendor=_said(row).party)
        await record(connection, asker.author, change)
        sent = EventRef(source=source, id=str(event["id"]))
        return done(
            ProposalAnswered(proposal_id=proposal_id, answer=answer, event=sent), status=202
        )

    return await once(parts_of(request).pool, request, asker.name, effect)


def _check_may_answer(asker: Principal, proposal: Proposal) -> None:
    """Raise Problem 403 where another answers it. Who has answered may answer otherwise."""
    answered = {each.party for each in proposal.answers}
    if asker.party in {*proposal.awaits, *answered}:
        return
    if proposal.by_silence:
        raise Problem(
            409,
            "answered-by-silence",
            "The time to answer is over.",
            f"Nobody answered it in the time that the programme states, so it is {proposal.state}.",
        )
    who = " and ".join(sorted({*proposal.awaits, *answered}))
    raise Problem(
        403,
        "answer-of-another-party",
        "It is not for you to answer this proposal.",
        f"{proposal.party} proposes it, and {who} answers it. Use a key of that party.",
    )


def _source(asker: Principal, programme: str, named: str | None) -> str:
    """The source that the answer comes from. Raises Problem 422."""
    own = sorted(
        source
        for source, owner in asker.catalogue.sources.items()
        if (owner.programme, owner.party) == (programme, asker.party)
    )
    if named in own or (named is None and len(own) == 1):
        return named or own[0]
    reason = "several sources report for you" if named is None else "it does not report for you"
    remedy = f"name one of {', '.join(own)}" if own else f"declare one that is of {asker.party}"
    fault = Fault("/source", reason, remedy)
    raise Problem(422, "invalid-request", "The answer is not usable.", faults=[fault])


def _event(row: DatabaseRow, name: str, source: str, answer: str, reason: str) -> dict[str, Any]:
    fields = proposal_store.fields(row)
    return {
        "specversion": "1.0",
        "id": name,
        "source": source,
        "type": "earnback.answer.v1",
        "time": now().isoformat(timespec="milliseconds"),
        "data": {
            "agreement": row["agreement"],
            "states": fields["states"],
            "name": fields["name"],
            "period": row["period"],
            "of_source": row["source"],
            "of_id": row["event_id"],
            "of_payload": _said(row).payload,
            "answer": answer,
            "reason": reason,
        },
    }


def _sender(request: Request) -> dict[str, str]:
    """The headers that say who sends: ingest judges the key as if the event came to it."""
    given = {name: request.headers.get(name) for name in ("authorization", PERSON.lower())}
    return {name: value for name, value in given.items() if value is not None}
