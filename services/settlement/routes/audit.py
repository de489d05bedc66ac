"""The audit: who changed what, when and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from schemas.audit import AuditAction, AuditEntry
from services.settlement import audit_store
from services.settlement.access import BookReaderPrincipal, Principal
from services.settlement.audit_store import AuditScope
from services.settlement.queries import DatabaseRow
from services.settlement.responses import Page
from services.settlement.routes.common import Cursor, PageSize, listed, page, parts_of, router

routes = router("audit")

OfChangedAgreement = Annotated[str | None, Query(description="Only changes of this agreement.")]
OfAction = Annotated[AuditAction | None, Query(description="Only changes of this kind.")]


@routes.get("/audit", response_model=Page[AuditEntry])
async def list_audit(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: OfChangedAgreement = None,
    action: OfAction = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List the changes that concern one, in the order of their commits: who, when and why."""
    asker.check_filters(agreement)
    scope = listed("audit", *asker.scope, agreement, action)
    seal = parts_of(request).seal
    (after,) = seal.keys(scope, cursor, [int]) if cursor else (0,)
    async with parts_of(request).reading(asker) as connection:
        rows = await audit_store.entries(
            connection,
            AuditScope(asker.vendor, asker.buyer, _programmes_of(asker)),
            agreement=agreement,
            action=action,
            after=after,
            limit=limit + 1,
        )

    def show(row: DatabaseRow) -> AuditEntry:
        reader = None if asker.role == "admin" else asker.party
        return audit_store.from_row(row, seal, reader=reader)

    return page(
        request,
        rows,
        show,
        limit=limit,
        scope=scope,
        keys=lambda row: (row["number"],),
        named=lambda row: f"entry {audit_store.id_of(row, seal)} of the audit",
    )


def _programmes_of(asker: Principal) -> list[str]:
    """The programmes that they have an agreement in: its versions concern all vendors there."""
    return sorted({asker.agreement(name)[-1].programme for name in asker.agreements()})
