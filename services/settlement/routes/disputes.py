"""Disputes: a party contests something of a period, and what becomes of it."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from schemas.audit import AuditAction
from schemas.base import written
from schemas.dispute import (
    CONTESTED,
    Contested,
    Dispute,
    DisputeAct,
    DisputeSide,
    DisputeState,
)
from services.catalogue.audit import AuditedChange, record
from services.core.books import ledger
from services.core.books.disputes import (
    ACTS_OF_RAISER,
    NEXT_STATE,
    ActNotAllowed,
    after,
    may_act,
)
from services.settlement import dispute_store
from services.settlement.access import Principal, ReaderPrincipal, not_found
from services.settlement.dispute_store import NewDispute, in_words
from services.settlement.dispute_terms import check_admitted, withholds
from services.settlement.disputed import Found, look_up
from services.settlement.not_found import read_back
from services.settlement.responses import (
    DisputeActor,
    DisputeActOrder,
    DisputeOrder,
    DisputeTable,
    DisputeTransition,
    Page,
)
from services.settlement.routes.common import (
    Cursor,
    IdempotencyKey,
    IfNoneMatch,
    PageSize,
    done,
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.settlement.withholding_store import change_withheld
from services.shell.clock import now
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Problem
from services.shell.postgres import Connection

routes = router("disputes")


@routes.post("/disputes", response_model=Dispute, status_code=201)
async def raise_dispute(
    request: Request, asker: ReaderPrincipal, order: DisputeOrder, key: IdempotencyKey = None
) -> Response:
    """Contest a line, a figure, a measurement or that there is none, with the reason.

    The contract's `disputes` says until when, from which effect, and whether the disputed amount of
    a line is due meanwhile.
    """
    topics = parts_of(request).topics

    async def effect(connection: Connection) -> Answer:
        found = await look_up(connection, parts_of(request).evaluator, asker, order)
        check_admitted(asker, found, order)
        contested = Contested(**{name: getattr(order, name) for name in CONTESTED})
        other = await dispute_store.open_dispute(
            connection, order.agreement, order.period, contested
        )
        if other is not None:
            raise _disputed_already(contested, other)
        number = 1 + await dispute_store.how_many(
            connection, order.agreement, order.period, contested
        )
        new = _new(asker, found, order, contested, number)
        await dispute_store.insert(connection, new)
        await dispute_store.add_event(
            connection,
            new.dispute_id,
            act=None,
            state=DisputeState.RAISED,
            actor=asker.party,
            comment=order.comment,
        )
        if new.withholds is not None:
            await change_withheld(connection, new.dispute_id, "raised", topics=topics, at=now())
        dispute = await _read(connection, asker, new.dispute_id)
        await _write_down(connection, asker, AuditAction.DISPUTE_RAISED, dispute, order.comment)
        return done(
            dispute,
            status=201,
            location=f"/v1/disputes/{new.dispute_id}",
        )

    return await once(parts_of(request).pool, request, asker.name, effect)


def _disputed_already(contested: Contested, other: UUID) -> Problem:
    return Problem(
        409,
        "already-disputed",
        f"The {in_words(contested)} is being disputed.",
        f"Dispute {other} of it is still open. Another one can be raised once it is withdrawn by"
        " whoever raised it, or upheld or dismissed by the other party.",
    )


def _new(
    asker: Principal, found: Found, order: DisputeOrder, contested: Contested, number: int
) -> NewDispute:
    return NewDispute(
        dispute_id=ledger.dispute_id(
            agreement=order.agreement,
            period=order.period,
            thing=dispute_store.thing(contested),
            number=number,
        ),
        agreement=order.agreement,
        vendor=found.version.vendor,
        buyer=asker.buyer_of(found.version.programme),
        period=order.period,
        revision=found.statement["revision"] if found.statement is not None else None,
        contested=contested,
        metric=found.metric,
        effect=written(order.effect) if order.effect is not None else None,
        error=order.error,
        raised_by=_side(asker),
        withholds=withholds(found, order),
    )


def _side(asker: Principal) -> DisputeSide:
    """On whose side of an agreement they act; the operator acts for the buyer."""
    return "vendor" if asker.role == "vendor" else "buyer"


@routes.post("/disputes/{dispute_id}/acts", response_model=Dispute)
async def act_on_dispute(
    request: Request,
    asker: ReaderPrincipal,
    dispute_id: UUID,
    order: DisputeActOrder,
    key: IdempotencyKey = None,
) -> Response:
    """Take a dispute one step further. Who raised it withdraws it; the other party decides.

    Where it ends, what it withheld is due again.
    """
    topics = parts_of(request).topics

    async def effect(connection: Connection) -> Answer:
        await dispute_store.hold(connection, dispute_id)
        dispute = await _read(connection, asker, dispute_id)
        if not may_act(_side(asker), dispute.raised_by, order.act):
            raise Problem(
                403,
                "not-allowed",
                f"It is not for the {_side(asker)} to {order.act} this dispute.",
                f"The {dispute.raised_by} raised it and may withdraw it; the other party decides.",
            )
        try:
            state = after(dispute.state, order.act)
        except ActNotAllowed as reason:
            raise Problem(
                409,
                "act-not-allowed",
                "That step is not possible in the dispute's present state.",
                str(reason),
            ) from reason
        await dispute_store.add_event(
            connection,
            dispute_id,
            act=order.act,
            state=state,
            actor=asker.party,
            comment=order.comment,
        )
        if dispute.withheld is not None and state not in dispute_store.OPEN:
            await change_withheld(connection, dispute_id, "ended", topics=topics, at=now())
        told = f"{order.act}: {order.comment}"
        await _write_down(connection, asker, AuditAction.DISPUTE_ACTED, dispute, told)
        return done(await _read(connection, asker, dispute_id))

    return await once(parts_of(request).pool, request, asker.name, effect)


@routes.get("/disputes", response_model=Page[Dispute])
async def list_disputes(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str | None = None,
    state: DisputeState | None = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List disputes in the order in which they were raised, with their history."""
    asker.check_filters(agreement)
    scope = listed("disputes", *asker.scope, agreement, state)
    (seen,) = parts_of(request).seal.keys(scope, cursor, [int]) if cursor else (0,)
    async with parts_of(request).reading(asker) as connection:
        rows = await dispute_store.disputes(
            connection, asker.scope, agreement=agreement, state=state, after=seen, limit=limit + 1
        )
    return page(
        request,
        rows,
        dispute_store.from_row,
        limit=limit,
        scope=scope,
        keys=lambda row: (row["position"],),
        named=dispute_store.name_of,
    )


@routes.get("/disputes/{dispute_id}", response_model=Dispute)
async def get_dispute(
    request: Request, asker: ReaderPrincipal, dispute_id: UUID, if_none_match: IfNoneMatch = None
) -> Response:
    """Show a dispute with its history."""
    async with parts_of(request).reading(asker) as connection:
        return shown(request, await _read(connection, asker, dispute_id))


async def _write_down(
    connection: Connection, asker: Principal, action: AuditAction, dispute: Dispute, reason: str
) -> None:
    programme = asker.agreement(dispute.agreement)[-1].programme
    change = AuditedChange(
        action,
        str(dispute.dispute_id),
        programme=programme,
        agreement=dispute.agreement,
        period=dispute.period,
        vendor=dispute.vendor,
        buyer=asker.buyer_of(programme),
        reason=reason,
    )
    await record(connection, asker.author, change)


async def _read(connection: Connection, asker: Principal, dispute_id: UUID) -> Dispute:
    row = await dispute_store.dispute(connection, asker.scope, dispute_id)
    if row is None:
        raise not_found(f"dispute {dispute_id}")
    with read_back(dispute_store.name_of(row)):
        return dispute_store.from_row(row)


@routes.get("/dispute-states", response_model=DisputeTable)
async def get_dispute_table(request: Request, asker: ReaderPrincipal) -> Response:
    """Show which act leads where, and whose act it is."""
    return shown(
        request,
        DisputeTable(
            transitions=tuple(
                DisputeTransition(state=state, act=act, leads_to=leads_to, by=_party(act))
                for state, acts in NEXT_STATE.items()
                for act, leads_to in acts.items()
            )
        ),
    )


def _party(act: DisputeAct) -> DisputeActor:
    return "raiser" if act in ACTS_OF_RAISER else "other"
