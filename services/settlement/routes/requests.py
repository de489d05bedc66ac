"""Requests: acts that wait until another agrees, where a programme asks for four-eyes."""

from __future__ import annotations

from typing import Any, Literal, TypeVar
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from schemas.agreement import Agreement
from schemas.base import Noun, Text
from schemas.four_eyes import FourEyesRequest, RequestState
from services.catalogue import four_eyes
from services.catalogue.four_eyes import NotToBeAnswered
from services.settlement.access import Principal, ReaderPrincipal, not_found
from services.settlement.four_eyes import author_of, noun_of
from services.settlement.not_found import read_back
from services.settlement.queries import DatabaseRow
from services.settlement.responses import CloseOrder, Page, RestatementRequest
from services.settlement.routes import agreements, operations, restatements
from services.settlement.routes.common import (
    Cursor,
    IdempotencyKey,
    IfNoneMatch,
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
from services.shell.http.problems import Problem
from services.shell.postgres import Connection

routes = router("requests")

Ordered = TypeVar("Ordered", bound=Noun)


class RequestAnswer(Noun):
    """Agrees to a request, or declines it."""

    answer: Literal["agree", "decline"]
    reason: Text


@routes.get("/requests", response_model=Page[FourEyesRequest])
async def list_requests(
    request: Request,
    asker: ReaderPrincipal,
    state: RequestState | None = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List one's own requests in the order in which they were made."""
    scope = listed("requests", _party(asker), state)
    (after,) = parts_of(request).seal.keys(scope, cursor, [int]) if cursor else (0,)
    async with parts_of(request).reading(asker) as connection:
        rows: list[DatabaseRow] = await connection.fetch(
            f"select * from ({four_eyes.REQUEST}) r"  # noqa: S608 - a constant of ours
            " where ($1::text is null or party = $1) and position > $2"
            " and ($3::text is null or state = $3) order by position limit $4",
            _party(asker),
            after,
            state,
            limit + 1,
        )
    return page(
        request,
        rows,
        noun_of,
        limit=limit,
        scope=scope,
        keys=lambda row: (row["position"],),
        named=lambda row: f"request {row['request_id']}",
    )


@routes.get("/requests/{request_id}", response_model=FourEyesRequest)
async def get_request(
    request: Request, asker: ReaderPrincipal, request_id: UUID, if_none_match: IfNoneMatch = None
) -> Response:
    """Show what is asked for, by whom, and what became of it."""
    async with parts_of(request).reading(asker) as connection:
        return shown(request, _noun(await _read(connection, asker, request_id)))


@routes.post("/requests/{request_id}/answers", response_model=FourEyesRequest)
async def answer_request(
    request: Request,
    asker: ReaderPrincipal,
    request_id: UUID,
    order: RequestAnswer,
    key: IdempotencyKey = None,
) -> Response:
    """Agree to a request or decline it. Who asked does not agree: neither the key nor the person.

    What is agreed to is carried out at once, a decision by ingest a moment later; versions of a
    programme and ends of keys once they come again.
    """

    async def effect(connection: Connection) -> Answer:
        await _read(connection, asker, request_id)
        try:
            row = await four_eyes.answer(
                connection,
                request_id,
                agreed=order.answer == "agree",
                reason=order.reason,
                by=asker.author,
            )
        except NotToBeAnswered as reason:
            raise Problem(
                409, "not-to-be-answered", "The request cannot be answered so.", str(reason)
            ) from reason
        if order.answer == "agree":
            await _carry_out(connection, parts_of(request), asker, row)
        return done(_noun(await four_eyes.write_down(connection, row, asker.author)))

    return await once(parts_of(request).pool, request, asker.name, effect)


def _noun(row: DatabaseRow) -> FourEyesRequest:
    """The request of a row. Raises Problem where this release cannot read it."""
    with read_back(f"request {row['request_id']}"):
        return noun_of(row)


async def _carry_out(
    connection: Connection, parts: SettlementApiState, asker: Principal, row: Any
) -> None:
    """Do what was agreed to, as whoever asked, where settlement can."""
    by, request_id = author_of(row), row["request_id"]
    name = f"{by.role}:{by.party}"
    if row["kind"] == "close":
        close = _ordered(CloseOrder, row)
        state = await operations.close(parts, close, name, by, f"request\0{request_id}")
        await four_eyes.carried_out(connection, request_id, f"/v1/closes/{state.order_id}")
    elif row["kind"] == "restatement":
        order = _ordered(RestatementRequest, row)
        made = await restatements.carry_out(connection, parts, asker, order, name, by)
        await four_eyes.carried_out(connection, request_id, f"/v1/runs/{made.run_id}")
    elif row["kind"] == "agreement":
        agreement, reason = _ordered(Agreement, row), row["reason"]
        await agreements.carry_out(connection, agreement, by, reason)


def _ordered(what: type[Ordered], row: DatabaseRow) -> Ordered:
    """What a request asks for. Raises Problem where this release cannot read it."""
    with read_back(f"request {row['request_id']}"):
        return what.model_validate_json(row["content"])


def _party(asker: Principal) -> str | None:
    """Whose requests they see; None: everyone's."""
    return None if asker.role == "admin" else asker.party


async def _read(connection: Connection, asker: Principal, request_id: UUID) -> DatabaseRow:
    row = await four_eyes.request(connection, request_id)
    if row is None or _party(asker) not in (None, row["party"]):
        raise not_found(f"request {request_id}")
    found: DatabaseRow = row
    return found
