"""What waits, failed, is disputed or is proposed, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from schemas.dispute import Dispute
from schemas.evaluation import WithheldThing
from services.settlement import proposal_store, queries, store
from services.settlement.access import Principal, ReaderPrincipal
from services.settlement.dispute_store import in_words, several
from services.settlement.explain import names_references, references_in
from services.settlement.queries import DatabaseRow
from services.settlement.responses import Page, ParkedWork, PendingPeriod
from services.settlement.routes.common import (
    Cursor,
    PageSize,
    listed,
    page,
    parts_of,
    router,
)
from services.shell.postgres import Connection

routes = router("operations")

_PARKED = tuple(ParkedWork.model_fields)
_FIRST = -(2**62)
"""Before every number of what is pending: disputes are counted downwards from -1."""


class _RowContext(NamedTuple):
    """What goes with the rows of a page, by their ids."""

    disputed: Mapping[UUID, Dispute]
    references: Mapping[tuple[str, str], tuple[WithheldThing, ...]]


@routes.get("/pending", response_model=Page[PendingPeriod])
async def list_pending(
    request: Request, asker: ReaderPrincipal, cursor: Cursor = None, limit: PageSize = 100
) -> Response:
    """List closed periods that cannot be settled yet, work that failed, open disputes and
    proposals.

    Work is parked where it failed for one agreement, and is tried again when its inputs change.
    """
    scope = listed("pending", *asker.scope)
    first, period, number = (
        parts_of(request).seal.keys(scope, cursor, [str, str, int]) if cursor else ("", "", _FIRST)
    )
    async with parts_of(request).reading(asker) as connection:
        rows = await queries.pending(
            connection,
            asker.agreements(),
            asker.scope,
            after=(first, period, number),
            limit=limit + 1,
        )
        ids = [row["dispute_id"] for row in rows if row["dispute_id"] is not None]
        told = _RowContext(
            await several(connection, ids), await _references(connection, asker, rows[:limit])
        )

    return page(
        request,
        rows,
        lambda row: _pending(row, asker, told),
        limit=limit,
        scope=scope,
        keys=lambda row: (row["agreement"], row["period"], row["number"]),
        named=lambda row: f"what is pending of {row['agreement']} {row['period']}",
    )


async def _references(
    connection: Connection, asker: Principal, rows: Sequence[DatabaseRow]
) -> dict[tuple[str, str], tuple[WithheldThing, ...]]:
    """What the references in the reasons of periods that wait stand for, where the asker sees it.

    By agreement and period.
    """
    found = {}
    for row in rows:
        if not _waits(row) or not names_references(row["reasons"]):
            continue
        place = row["agreement"], row["period"]
        view = asker.view(asker.agreement(row["agreement"])[-1])
        with suppress(ValidationError):  # this release cannot read it; the reasons stand
            evaluation = await store.evaluation_at(connection, *place, row["evaluated"])
            found[place] = references_in(view, row["reasons"], evaluation)
    return found


def _waits(row: DatabaseRow) -> bool:
    return bool(row["number"] == 0)


def _pending(row: DatabaseRow, asker: Principal, told: _RowContext) -> PendingPeriod:
    if row["dispute_id"] is not None:
        return _disputed(row, told.disputed.get(row["dispute_id"]))
    if row["proposal_id"] is not None:
        return PendingPeriod(
            agreement=row["agreement"],
            vendor=row["vendor"],
            period=row["period"],
            state="proposed",
            reasons=proposal_store.in_words(row),
            since=row["since"],
            run_id=None,
            proposal_id=row["proposal_id"],
        )
    return _waiting(row, asker, told) if _waits(row) else _parked(row, asker)


def _waiting(row: DatabaseRow, asker: Principal, told: _RowContext) -> PendingPeriod:
    return PendingPeriod(
        agreement=row["agreement"],
        vendor=asker.agreement(row["agreement"])[-1].vendor,
        period=row["period"],
        state="waits",
        reasons=tuple(json.loads(row["reasons"])),
        references=told.references.get((row["agreement"], row["period"]), ()),
        since=row["since"],
        run_id=row["run_id"],
    )


def _parked(row: DatabaseRow, asker: Principal) -> PendingPeriod:
    return PendingPeriod(
        agreement=row["agreement"] or None,
        vendor=row["vendor"],
        period=row["period"] or None,
        state="parked",
        reasons=tuple(map(asker.told, json.loads(row["reasons"]))),
        since=row["since"],
        run_id=None,
        parked=ParkedWork(**{name: row[name] for name in _PARKED}),
    )


def _disputed(row: DatabaseRow, dispute: Dispute | None) -> PendingPeriod:
    """``dispute``: None where this release cannot read it."""
    reasons: tuple[str, ...] = (f"a dispute of {row['period']} cannot be read by this release",)
    if dispute is not None:
        other = "buyer" if dispute.raised_by == "vendor" else "vendor"
        comment = dispute.history[0].comment
        said = f"{in_words(dispute)}, disputed by the {dispute.raised_by}: {comment}"
        reasons = said, f"{dispute.state}; the {other} decides"
    return PendingPeriod(
        agreement=row["agreement"],
        vendor=row["vendor"],
        period=row["period"],
        state="disputed",
        reasons=reasons,
        since=row["since"],
        run_id=None,
        dispute_id=row["dispute_id"],
    )
