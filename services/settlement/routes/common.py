"""What the routes share: the parts of the running process, pages, and documented problems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from schemas.base import Noun
from schemas.period import PeriodLabel
from services.catalogue.cached import CatalogueCopy
from services.settlement.access import Principal
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.finance_events import SettlementTopics
from services.settlement.ingest_client import IngestClient
from services.settlement.not_found import readable
from services.settlement.queries import DatabaseRow
from services.settlement.responses import UnreadItem
from services.shell.http.bodies import JsonRoute
from services.shell.http.documented import PROBLEMS
from services.shell.http.idempotency import Answer
from services.shell.http.seal import Seal
from services.shell.http.tags import tagged
from services.shell.postgres import Connection, Pool
from services.shell.refusals import USUAL, RefusalQuota

UNREAD = (
    "this release cannot read it; it is stored as it was made: report it as a defect of earnback,"
    " with the release that made it"
)
MOST = 500
"""Rows on a page, at most."""

PageSize = Annotated[int, Query(ge=1, le=MOST, description="Rows on a page.")]
Cursor = Annotated[str | None, Query(description="The `next` of the page before, unchanged.")]
PERIOD = "A period as it is written in statements: 2025-01, 2025-Q1, 2025-H1, 2025, 2025-01-31."
_PERIOD: dict[str, Any] = {"pattern": "^[0-9]{4}(-(Q[1-4]|H[12]|(0[1-9]|1[0-2])(-[0-9]{2})?))?$"}
"""For the document: what is checked is the calendar."""
InPeriod = Annotated[PeriodLabel | None, Query(description=PERIOD, json_schema_extra=_PERIOD)]
Period = Annotated[PeriodLabel, Path(description=PERIOD, json_schema_extra=_PERIOD)]
RevisionQuery = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Absent: the latest revision.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Needed: a new random id per intended change, the same one on every retry.",
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="The ETag you have; 304 if it still is.")
]


@dataclass(frozen=True, slots=True)
class SettlementApiState:
    """What a running API holds."""

    pool: Pool
    catalogue: CatalogueCopy
    evaluator: EvaluatorClient
    topics: SettlementTopics
    seal: Seal
    reads: Pool
    """Connections in the role of a party, which see no row until it is said whose they are."""
    ingest: IngestClient
    refusals: RefusalQuota = USUAL
    """What is kept of each party's refused events."""

    @asynccontextmanager
    async def reading(self, asker: Principal) -> AsyncIterator[Connection]:
        """One snapshot of the database, of which no row is seen that is another party's."""
        async with (
            self.reads.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(
                "select set_config('earnback.party', $1, true),"
                " set_config('earnback.role', $2, true)",
                asker.party,
                asker.role,
            )
            yield connection


def parts_of(request: Request) -> SettlementApiState:
    """The parts of the process that answers."""
    parts: SettlementApiState = request.app.state.parts
    return parts


# For the document only: who asks is found out by services.settlement.access.
_KEY = Depends(HTTPBearer(auto_error=False, description="An API key: eb_..."))


def router(tag: str) -> APIRouter:
    """A router whose routes all document their problems."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        responses=PROBLEMS,
        dependencies=[_KEY],
        route_class=JsonRoute,
    )


def page(
    request: Request,
    rows: Sequence[DatabaseRow],
    show: Callable[[DatabaseRow], Noun],
    *,
    limit: int,
    scope: str,
    keys: Callable[[DatabaseRow], tuple[str | int, ...]],
    named: Callable[[DatabaseRow], str],
) -> Response:
    """Answer with one page. ``rows`` holds one more than ``limit`` where there is more.

    ``named``: what a row is called where it cannot be read; the others are shown all the same.
    """
    shown = rows[:limit]
    following = (
        parts_of(request).seal.cursor(scope, *keys(shown[-1])) if len(rows) > limit else None
    )
    items, names = readable(
        shown, lambda row: show(row).model_dump(mode="json", by_alias=True), named
    )
    return paged(request, items, following, [UnreadItem(what=one, reason=UNREAD) for one in names])


def paged(
    request: Request, items: Sequence[Any], following: str | None, unread: Sequence[UnreadItem]
) -> Response:
    """Answer with one page of what is written as JSON already."""
    told = [one.model_dump() for one in unread]
    body = {"items": items, "next": following, "unread": told}
    return tagged(request, msgspec.json.encode(body))


def shown(request: Request, noun: BaseModel) -> Response:
    """Answer with one noun and its tag."""
    return tagged(request, msgspec.json.encode(noun.model_dump(mode="json"), order="sorted"))


def done(noun: BaseModel, status: int = 200, **headers: str) -> Answer:
    """The answer to a POST, as bytes to be given again."""
    body = msgspec.json.encode(noun.model_dump(mode="json"), order="sorted")
    return Answer(status, body, {"content-type": "application/json", **headers})


def listed(*parts: object) -> str:
    """The name of a list with its filters: a cursor of one is refused by another."""
    return "|".join("" if part is None else str(part) for part in parts)
