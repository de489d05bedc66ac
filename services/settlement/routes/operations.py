"""What was set aside, closing a period, and what became of an event."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid5

import msgspec
from fastapi import Request
from fastapi.responses import Response

from schemas.four_eyes import FourEyesRequest
from services.catalogue.audit import Author
from services.settlement import queries
from services.settlement.access import (
    Buyer,
    OperatorPrincipal,
    Principal,
    ReaderPrincipal,
    not_found,
)
from services.settlement.audit_store import CLOSE
from services.settlement.four_eyes import check_one_is_enough, or_asked_for
from services.settlement.queries import AsideScope, DatabaseRow
from services.settlement.responses import (
    CloseOrder,
    CloseState,
    EventVerdict,
    Page,
    QuarantineItem,
    QuarantineSummary,
    RefusedEvaluation,
    UsageDay,
)
from services.settlement.routes.common import (
    Cursor,
    IdempotencyKey,
    PageSize,
    SettlementApiState,
    done,
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.shell.http.idempotency import Answer, once
from services.shell.http.seal import Seal
from services.shell.postgres import Connection

routes = router("operations")

_ASIDE = "quarantine"
"""Kinds of what is numbered for all together, as their ids are sealed."""
_ORDERS = UUID("7b5f7a44-98c1-5b0e-a0a4-0c9d4a0f2d37")


@routes.get("/quarantine", response_model=Page[QuarantineSummary])
async def list_quarantine(
    request: Request, asker: ReaderPrincipal, cursor: Cursor = None, limit: PageSize = 100
) -> Response:
    """List what was set aside and never counted, by ingest or the evaluator, oldest first."""
    scope = listed("quarantine", *asker.scope)
    (after,) = parts_of(request).seal.keys(scope, cursor, [int]) if cursor else (0,)
    seal = parts_of(request).seal
    async with parts_of(request).reading(asker) as connection:
        rows = await queries.quarantine(connection, _aside_of(asker), after=after, limit=limit + 1)
    return page(
        request,
        rows,
        lambda row: QuarantineSummary(**_numbered(seal, row)),
        limit=limit,
        scope=scope,
        keys=lambda row: (row["number"],),
        named=lambda row: f"quarantined item {seal.hide(_ASIDE, row['number'])}",
    )


def _numbered(seal: Seal, row: DatabaseRow | Mapping[str, Any]) -> dict[str, Any]:
    """The row with an id for its number, which counts what is others' too."""
    fields = dict(row)
    return {"item_id": seal.hide(_ASIDE, fields.pop("number")), **fields}


@routes.get("/quarantine/{item_id}", response_model=QuarantineItem)
async def get_quarantine_item(request: Request, asker: ReaderPrincipal, item_id: UUID) -> Response:
    """Show one item with what came and, in a conflict, what is held under its identity.

    What ingest could not accept is shown as the bytes that came, with the problem.
    """
    seal = parts_of(request).seal
    number, row = seal.find(_ASIDE, item_id), None
    if number is not None:
        async with parts_of(request).reading(asker) as connection:
            row = await queries.quarantined(connection, _aside_of(asker), number)
    if row is None:
        raise not_found(f"quarantined item {item_id}")
    item = _numbered(seal, row)
    for name in ("told", "held", "document", "headers"):
        item[name] = json.loads(item[name]) if item[name] is not None else None
    raw = item.pop("raw")
    item["raw_base64"] = None if raw is None else base64.b64encode(raw).decode()
    return shown(request, QuarantineItem(**item))


@routes.get("/usage", response_model=Page[UsageDay])
async def list_usage(
    request: Request, asker: ReaderPrincipal, cursor: Cursor = None, limit: PageSize = 100
) -> Response:
    """List how much was refused of your events, day by day, and what of it is kept.

    Of each party and day (UTC) there is a quota. What is refused beyond it is counted, with a
    digest over all of it and a sample for each code. The row of today tells how many subjects you
    have reported, of each metric that has a quota of them.
    """
    scope = listed("usage", *asker.scope)
    party, number = parts_of(request).seal.keys(scope, cursor, [str, int]) if cursor else ("", 1)
    day = date.fromordinal(min(max(number, 1), date.max.toordinal()))
    parts = parts_of(request)
    async with parts.reading(asker) as connection:
        rows = await queries.usage(connection, asker.parties(), after=(party, day), limit=limit + 1)

    names = asker.catalogue.metrics

    def show(row: DatabaseRow) -> UsageDay:
        return UsageDay(
            **{
                **dict(row),
                "codes": json.loads(row["codes"]),
                "subjects": {
                    "/".join(names[int(number)]): count
                    for number, count in json.loads(row["subjects"]).items()
                },
            },
            quota_subjects=parts.refusals.subjects,
            quota_events=parts.refusals.events,
            quota_bytes=parts.refusals.size,
            kept_until=row["day"] + timedelta(days=parts.refusals.days),
        )

    return page(
        request,
        rows,
        show,
        limit=limit,
        scope=scope,
        keys=lambda row: (row["party"], row["day"].toordinal()),
        named=lambda row: f"usage of {row['party']} on {row['day']}",
    )


def _aside_of(asker: Principal) -> AsideScope:
    return AsideScope(asker.sources(), asker.parties(), asker.partners())


@routes.get("/refused-evaluations", response_model=Page[RefusedEvaluation])
async def list_refused(
    request: Request, asker: OperatorPrincipal, cursor: Cursor = None, limit: PageSize = 100
) -> Response:
    """List records of the evaluations topic that can never be settled. For the operator."""
    after = parts_of(request).seal.keys("refused", cursor, [int, int]) if cursor else (-1, -1)
    async with parts_of(request).reading(asker) as connection:
        rows = await queries.refused(connection, after=(after[0], after[1]), limit=limit + 1)
    return page(
        request,
        rows,
        lambda row: RefusedEvaluation(**dict(row)),
        limit=limit,
        scope="refused",
        keys=lambda row: (row["partition"], row["kafka_offset"]),
        named=lambda row: f"refused evaluation {row['refused_id']}",
    )


@routes.post("/closes", status_code=202, response_model=CloseState | FourEyesRequest)
async def order_close(
    request: Request, asker: Buyer, order: CloseOrder, key: IdempotencyKey = None
) -> Response:
    """Order a close. The evaluator does it and answers in its own words.

    Where the programme's `four_eyes` names closes: ask for it.
    """
    asker.agreement(order.agreement)

    async def effect(connection: Connection) -> Answer:
        named = {"agreement": order.agreement, "period": order.period}
        check_one_is_enough(asker, "close", order, **named)
        key = f"{asker.name}\0{request.headers['idempotency-key']}"
        state = await close(parts_of(request), order, asker.name, asker.author, key)
        return done(state, status=202, location=f"/v1/closes/{state.order_id}")

    wrapped = or_asked_for(effect, asker)
    return await once(parts_of(request).pool, request, asker.name, wrapped)


async def close(
    parts: SettlementApiState, order: CloseOrder, requested_by: str, by: Author, key: str
) -> CloseState:
    """Have the evaluator close a period.

    ``key``: the same on every retry: if this process dies after the evaluator has taken the order
    and before the answer is stored, the repeated order is known there.
    """
    ordered = await parts.evaluator.close_period(
        msgspec.json.encode(order.model_dump(exclude_none=True)),
        requested_by=requested_by,
        by=by,
        key=str(uuid5(_ORDERS, key)),
    )
    return _order(parts.seal, ordered)


@routes.get("/closes/{order_id}", response_model=CloseState)
async def get_close(request: Request, asker: ReaderPrincipal, order_id: UUID) -> Response:
    """Tell what became of an order to close. ``outcome`` null: not done yet."""
    parts = parts_of(request)
    number = parts.seal.find(CLOSE, order_id)
    found = await parts.evaluator.close_order(number) if number is not None else None
    if found is None or found["agreement"] not in asker.agreements():
        raise not_found(f"order {order_id}")
    if found.get("detail"):
        found["detail"] = asker.told(found["detail"])
    return shown(request, _order(parts.seal, found))


def _order(seal: Seal, found: Mapping[str, Any]) -> CloseState:
    return CloseState.model_validate({**found, "order_id": seal.hide(CLOSE, found["number"])})


@routes.get("/events/{source:path}/{event_id:path}", response_model=EventVerdict)
async def get_verdict(
    request: Request, asker: ReaderPrincipal, source: str, event_id: str
) -> Response:
    """Tell what became of an event: its ``standing`` is accepted, quarantined or not_seen.

    With it: the number of duplicates, and what was set aside under its name, by ingest and
    the evaluator. Both parts are percent-encoded, slashes too.
    """
    source, event_id = _identity(request, source, event_id)
    parts = parts_of(request)
    if not asker.sees_source(source):
        return shown(request, await _as_evidence(parts, asker, source, event_id))
    counted = await parts.evaluator.verdict(source, event_id)
    async with parts.reading(asker) as connection:
        rows = await queries.set_aside_at_doors(connection, _aside_of(asker), source, event_id)
    aside = [{**each, "set_aside_by": "evaluator"} for each in counted["quarantined"]]
    aside += [dict(row) for row in rows]
    aside.sort(key=lambda each: int(each["number"]))
    standing = counted["standing"]
    told = {
        **counted,
        "standing": "quarantined" if standing == "not_seen" and rows else standing,
        "accepted": _counted(asker, counted["accepted"]),
        "quarantined": [_numbered(parts.seal, each) for each in aside],
    }
    return shown(request, EventVerdict.model_validate(told))


def _counted(asker: Principal, accepted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What counts. Where it is stored is numbered for all together, and for the operator only."""
    if accepted is None or asker.role == "admin":
        return None if accepted is None else dict(accepted)
    return {name: accepted[name] for name in ("stored_at", "event") if name in accepted}


async def _as_evidence(
    parts: SettlementApiState, asker: Principal, source: str, event_id: str
) -> EventVerdict:
    """An event of another party that an agreement of the asking vendor is settled by, where the
    programme shows it, as it counts.

    Raises a 404 for every other event; what was set aside under its name is not shown.
    """
    unknown = not_found(f"event {event_id} of source {source}")
    if not asker.may_see_events_of(source):
        raise unknown
    counted = await parts.evaluator.verdict(source, event_id)
    accepted = counted["accepted"]
    if accepted is None or not asker.sees_event(source, accepted["event"]["data"]):
        raise unknown
    return EventVerdict.model_validate(
        {**counted, "accepted": _counted(asker, accepted), "duplicates": 0, "quarantined": ()}
    )


def _identity(request: Request, source: str, event_id: str) -> tuple[str, str]:
    """Source and id as they were encoded: decoded, a slash inside could not be told from ours."""
    raw = request.scope.get("raw_path", b"").decode("latin-1")
    parts = raw.partition("?")[0].split("/")
    # "", "v1", "events", source, id
    return (unquote(parts[3]), unquote(parts[4])) if len(parts) == 5 else (source, event_id)
