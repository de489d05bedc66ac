"""Disputes: a vendor contests a line of its own statement, and what becomes of it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from fastapi import Request
from fastapi.responses import Response

from schemas.audit import AuditAction
from schemas.dispute import Dispute, DisputeAct, DisputeState
from services.catalogue.audit import AuditedChange, record
from services.core.books.disputes import ACT_OF_VENDOR, NEXT_STATE, ActNotAllowed, after
from services.settlement import dispute_store
from services.settlement.access import Principal, ReaderPrincipal, VendorPrincipal, not_found
from services.settlement.responses import (
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
from services.settlement.routes.statements import statement_row
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Problem
from services.shell.postgres import Connection

routes = router("disputes")


@routes.post("/disputes", response_model=Dispute, status_code=201)
async def raise_dispute(
    request: Request, asker: VendorPrincipal, order: DisputeOrder, key: IdempotencyKey = None
) -> Response:
    """Contest a line of one's own statement, with the reason."""

    async def effect(connection: Connection) -> Answer:
        row = await statement_row(connection, asker, order.agreement, order.period, order.revision)
        if not await dispute_store.has_line(connection, row, order.line):
            raise not_found(f"line {order.line} in that statement")
        other = await dispute_store.open_dispute(connection, row, order.line)
        if other is not None:
            raise Problem(
                409,
                "already-disputed",
                "The line is being disputed.",
                f"Dispute {other} of this line is still open. Withdraw it to raise another one, or"
                " wait until the buyer has upheld or dismissed it.",
            )
        dispute_id = uuid4()
        await dispute_store.insert(connection, dispute_id, row, order.line)
        await dispute_store.add_event(
            connection,
            dispute_id,
            act=None,
            state=DisputeState.RAISED,
            actor=asker.party,
            comment=order.comment,
        )
        dispute = await _read(connection, asker, dispute_id)
        await _write_down(connection, asker, AuditAction.DISPUTE_RAISED, dispute, order.comment)
        return done(
            dispute,
            status=201,
            location=f"/v1/disputes/{dispute_id}",
        )

    return await once(parts_of(request).pool, request, asker.name, effect)


@routes.post("/disputes/{dispute_id}/acts", response_model=Dispute)
async def act_on_dispute(
    request: Request,
    asker: ReaderPrincipal,
    dispute_id: UUID,
    order: DisputeActOrder,
    key: IdempotencyKey = None,
) -> Response:
    """Take a dispute one step further. Vendors withdraw; the buyer reviews, upholds, dismisses."""

    async def effect(connection: Connection) -> Answer:
        await dispute_store.hold(connection, dispute_id)
        dispute = await _read(connection, asker, dispute_id)
        if (asker.role == "vendor") != (order.act in ACT_OF_VENDOR):
            raise Problem(403, "not-allowed", f"It is not for a {asker.role} to {order.act}.")
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


def _party(act: DisputeAct) -> Literal["vendor", "buyer"]:
    return "vendor" if act in ACT_OF_VENDOR else "buyer"
