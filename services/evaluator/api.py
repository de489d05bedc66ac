"""The evaluator's own small API: what is stored now, and orders to close. For the other services.

It knows nobody's keys: it listens where only the other services reach it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request, Response
from pydantic import ValidationError

from schemas.audit import AuditAction
from schemas.base import Name, Noun, Text
from schemas.period import PeriodLabel
from services.catalogue.audit import INSTALLATION, AuditedChange, Author, record, written_author
from services.catalogue.cached import CatalogueCopy
from services.catalogue.parked import WorkFailure
from services.core.counting.evaluation import window_at
from services.core.counting.measures.question import Need
from services.evaluator import evaluation_store, preview, told_corrections
from services.evaluator.closing import Ends
from services.evaluator.frame_lookup import FrameLookup, NobodyAnswers
from services.evaluator.recount import NoSuchPeriod, RecountTarget, target_of
from services.shell import clock
from services.shell.frames import partition_of
from services.shell.http.bodies import JsonRoute
from services.shell.http.cursors import decode_cursor, encode_cursor
from services.shell.http.documented import PROBLEMS
from services.shell.http.idempotency import Answer, once
from services.shell.http.limits import Limits
from services.shell.http.problems import Fault, Problem, fault_of
from services.shell.http.server import make_api
from services.shell.http.tags import tagged
from services.shell.logs import log, stack_of
from services.shell.metrics import Health
from services.shell.postgres import Connection, Pool, is_of_the_work
from services.shell.settings import Settings

routes = APIRouter(prefix="/v1", route_class=JsonRoute, responses=PROBLEMS)
MAX_BODY = 64 * 1024
"""Of a request, in bytes: an order to close is the only one with a body."""


class CloseCommand(Noun):
    """Which period to close, or to count again when it is closed."""

    agreement: Name
    period: PeriodLabel
    reason: Text | None = None


_CLOSES_EXTRA: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "A new random id per intended change, the same one on every retry.",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CloseCommand.model_json_schema()}},
    },
}
"""For the document: the route reads both by hand, within its transaction."""


class EvaluatorApiState:
    """What the routes work with."""

    def __init__(
        self,
        pool: Pool,
        catalogue: CatalogueCopy,
        ends: Ends,
        health: Health,
        lookup: FrameLookup,
    ) -> None:
        """``lookup``: tells the frames of an event, whichever process owns its partition."""
        self.pool, self.catalogue, self.ends, self.health = pool, catalogue, ends, health
        self.lookup = lookup


def evaluator_api(settings: Settings, parts: EvaluatorApiState) -> FastAPI:
    """The API over a running worker's parts, which are opened and closed elsewhere."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    async def database() -> None:
        async with parts.pool.acquire() as connection:
            await connection.fetchval("select 1")

    async def worker() -> None:
        missing = parts.health.missing()
        if missing:
            raise RuntimeError("; ".join(f"{part} {why}" for part, why in missing.items()))

    api = make_api(
        settings,
        title="Evaluator",
        version="1",
        lifespan=lifespan,
        probes={"postgres": database, "worker": worker},
        limits=Limits(body=MAX_BODY),
    )
    api.state.parts = parts
    api.include_router(routes)
    return api


def _parts(request: Request) -> EvaluatorApiState:
    parts = request.app.state.parts
    assert isinstance(parts, EvaluatorApiState)
    return parts


def _cannot_count(error: Exception) -> Exception:
    """What to answer where counting a period fails: its own trouble is told, no other."""
    if not is_of_the_work(error):
        return error
    if not isinstance(error, ValueError):
        log(__name__).error("counting_failed", traceback=stack_of(error))
    said = WorkFailure.of(error).reason
    return Problem(409, "cannot-count", "The period cannot be counted.", said)


@routes.get("/previews/{agreement}/{period}", response_model=dict[str, Any])
async def get_preview(
    request: Request,
    agreement: str,
    period: PeriodLabel,
    accepting_source: str | None = None,
    accepting_id: str | None = None,
) -> Response:
    """Count a period from the facts stored at this moment, as a close would.

    With the source and id of a proposal: as if it were accepted.
    """
    parts = _parts(request)
    await parts.catalogue.refresh()
    named = accepting_source is not None and accepting_id is not None
    accepting = {(accepting_source or "", accepting_id or "")} if named else frozenset()
    try:
        body = await preview.preview(
            parts.pool, parts.catalogue.current, agreement, period, accepting
        )
    except NoSuchPeriod as error:
        raise Problem(404, "no-such-period", "There is no such period.", str(error)) from error
    except Exception as error:
        raise _cannot_count(error) from error
    return tagged(request, body)


@routes.get("/events/{identity:path}", response_model=dict[str, Any])
async def get_verdict(request: Request, identity: str) -> Response:
    """Tell what became of an event: `/events/SOURCE/ID`, both percent-encoded, slashes too."""
    source, event_id = _identity(request, identity)
    parts = _parts(request)
    ends = await parts.ends()
    if not ends:
        raise Problem(
            503,
            "broker-away",
            "The number of partitions is not known.",
            "The broker does not answer; try again in a moment.",
            headers={"Retry-After": "5"},
        )
    partition = partition_of(source, len(ends))
    try:
        where = await parts.lookup(partition, preview.halves_of(source, event_id)[0])
    except NobodyAnswers as error:
        raise Problem(
            503,
            "partition-away",
            "Where the event would be stored cannot be told.",
            "The process that keeps its part of the log does not answer; try again in a moment.",
            headers={"Retry-After": "5"},
        ) from error
    async with parts.pool.acquire() as connection:
        found = await preview.verdict(
            connection, parts.catalogue.current, source, event_id, partition, where
        )
    return tagged(request, json.dumps(found).encode())


def _identity(request: Request, decoded: str) -> tuple[str, str]:
    """Source and id as they were encoded: decoded, their own slashes could not be told apart."""
    raw = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    parts = raw.split("/events/", 1)[-1].split("/") if raw else decoded.split("/")
    if len(parts) != 2:
        raise Problem(
            400,
            "bad-identity",
            "The address does not name one event.",
            faults=[
                Fault(
                    "identity",
                    "it is not a source and an id, each percent-encoded as a whole",
                    "write /v1/events/SOURCE/ID with %2F for every slash inside",
                    "path",
                )
            ],
        )
    return unquote(parts[0]), unquote(parts[1])


@routes.get("/facts", response_model=dict[str, Any])
async def list_facts(
    request: Request,
    agreement: str,
    metric: str,
    period: PeriodLabel,
    subject: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List the events that moved a figure: what was counted, and its corrections, by time."""
    parts = _parts(request)
    scope = json.dumps(["facts", agreement, metric, period, subject])
    after = None
    if cursor:
        at_us, high, low = decode_cursor(scope, cursor, [int, int, int])
        after = at_us, high, low
    need = Need(metric, subject, period)
    try:
        found = await preview.events_behind(
            parts.pool, parts.catalogue.current, agreement, need, after, limit
        )
    except NoSuchPeriod as error:
        raise Problem(404, "not-found", "There is nothing to list.", str(error)) from error
    except Exception as error:
        raise _cannot_count(error) from error
    page = {
        "items": found.items,
        "next": encode_cursor(scope, *found.following) if found.following else None,
        "digest": found.digest,
    }
    return tagged(request, json.dumps(page).encode())


@routes.get("/corrections", response_model=dict[str, Any])
async def list_corrections(
    request: Request,
    agreement: str,
    period: PeriodLabel,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List the corrections of events that may count for a period, in the order they came in."""
    parts = _parts(request)
    scope = json.dumps(["corrections", agreement, period])
    after = decode_cursor(scope, cursor, [int, int, int]) if cursor else (-1, -1, -1)
    try:
        found = await told_corrections.corrections(
            parts.pool, parts.catalogue.current, agreement, period, tuple(after), limit
        )
    except NoSuchPeriod as error:
        raise Problem(404, "not-found", "There is nothing to list.", str(error)) from error
    page = {
        "agreement": agreement,
        "period": period,
        "items": found.items,
        "next": encode_cursor(scope, *found.following) if found.following else None,
    }
    return tagged(request, json.dumps(page).encode())


@routes.post("/closes", status_code=202, response_model=dict[str, Any], openapi_extra=_CLOSES_EXTRA)
async def order_close(
    request: Request,
    x_requested_by: Annotated[str, Header(max_length=200)] = "unnamed",
    x_author: Annotated[str | None, Header(max_length=4000)] = None,
) -> Response:
    """Order a close. The closer does it; `/v1/closes/NUMBER` tells what became of it."""
    parts = _parts(request)
    await parts.catalogue.refresh()
    by = _author(x_author)

    async def effect(connection: Connection) -> Answer:
        order = _order(await request.body())
        try:
            subject = target_of(parts.catalogue.current, order.agreement, order.period)
        except (NoSuchPeriod, ValueError) as error:
            raise Problem(
                422, "no-such-period", "The period cannot be closed.", str(error)
            ) from error
        _refuse_early(subject)
        number = await evaluation_store.request(
            connection, order.agreement, order.period, x_requested_by
        )
        await record(connection, by, _ordered(subject, order, number))
        named = {"agreement": order.agreement, "period": order.period}
        body = {"number": number, **named, "outcome": None}
        location = {"location": f"/v1/closes/{number}"}
        return Answer(202, json.dumps(body).encode(), {"content-type": _JSON, **location})

    return await once(parts.pool, request, x_requested_by, effect)


_JSON = "application/json"


def _author(text: str | None) -> Author:
    """Who orders, as settlement's API says it. Raises Problem 400."""
    try:
        return INSTALLATION if text is None else written_author(text)
    except ValueError as error:
        reason, remedy = f"it says no author ({error})", "send what settlement's API sends"
        fault = Fault("X-Author", reason, remedy, "header")
        raise Problem(400, "bad-header", "A header is not usable.", faults=[fault]) from error


def _ordered(target: RecountTarget, order: CloseCommand, number: int) -> AuditedChange:
    agreement, programme = target.agreements[-1], target.programmes[-1]
    return AuditedChange(
        AuditAction.CLOSE_ORDERED,
        str(number),
        programme=programme.programme,
        agreement=order.agreement,
        period=order.period,
        vendor=agreement.vendor,
        buyer=programme.buyer,
        reason=order.reason,
    )


def _refuse_early(subject: RecountTarget) -> None:
    """Refuse to close what is not over: it would be billed unfinished, and no newer version of the
    agreement could rule before its end."""
    end = window_at(subject.programmes, subject.period).end
    if clock.now() < end:
        raise Problem(
            409,
            "period-not-over",
            "The period is not over.",
            f"{subject.period} of {subject.place[0]} ends at {end.isoformat()}: order the close"
            " after that. What is known of it so far is at"
            f" /v1/previews/{subject.place[0]}/{subject.period}.",
        )


def _order(body: bytes) -> CloseCommand:
    try:
        return CloseCommand.model_validate_json(body)
    except ValidationError as error:
        faults = [
            fault_of({**each, "loc": ("body", *each["loc"])})
            for each in error.errors(include_url=False)
        ]
        raise Problem(422, "invalid-request", "The order is not usable.", faults=faults) from error


@routes.get("/closes/{number}", response_model=dict[str, Any])
async def get_close(request: Request, number: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Tell what became of an order to close."""
    async with _parts(request).pool.acquire() as connection:
        row = await connection.fetchrow(
            "select number, agreement, period, requested_by, requested_at, outcome, detail,"
            " revision, done_at from close_request where number = $1",
            number,
        )
    if row is None:
        raise Problem(404, "not-found", "There is no such order.")
    return tagged(request, json.dumps(dict(row), default=lambda at: at.isoformat()).encode())
