"""The settlement API, put together: routes, what they need, and when it is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from services.catalogue.cached import CatalogueCopy
from services.catalogue.person import PERSON_PARAMETER
from services.settlement.access import recognise_sender
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.finance_events import DECLARED, SettlementTopics
from services.settlement.ingest_client import IngestClient
from services.settlement.routes import (
    agreements,
    audit,
    corrections,
    disputes,
    ledger,
    operations,
    pending,
    previews,
    proposals,
    requests,
    restatements,
    statements,
)
from services.settlement.routes.common import SettlementApiState
from services.shell.http.limits import Limits
from services.shell.http.seal import Seal
from services.shell.http.server import Probe, make_api
from services.shell.postgres import open_pool
from services.shell.prefix import role_beginning, under
from services.shell.settings import Settings

TITLE = "earnback settlement"
VERSION = "1.0.0"
CONNECTIONS = 8
"""Of each of the two pools: the service's own, and what reads for a party."""
PARTY = "earnback_party"
"""The role as which rows are read for a party, after the prefix."""
MAX_BODY = 4 * 1024 * 1024
"""Of a request, in bytes: an agreement of thousands of levels has fewer."""
ROUTERS = tuple(
    noun.routes
    for noun in (
        agreements,
        statements,
        previews,
        ledger,
        restatements,
        corrections,
        disputes,
        proposals,
        pending,
        operations,
        audit,
        requests,
    )
)


def settlement_api(
    settings: Settings,
    *,
    evaluator: str | None,
    ingest: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    ingest_transport: httpx.AsyncBaseTransport | None = None,
    probes: Mapping[str, Probe] | None = None,
    topics: SettlementTopics | None = None,
) -> FastAPI:
    """The API over its own connections.

    ``evaluator``, ``ingest``: addresses of these services' HTTP APIs.
    """

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        name = f"{settings.app}-api"
        pool = await open_pool(settings.postgres, name=name, size=CONNECTIONS)
        role = role_beginning(settings.prefix) + PARTY
        reads = await open_pool(settings.postgres, name=name, size=CONNECTIONS, role=role)
        parts = SettlementApiState(
            pool,
            CatalogueCopy(pool),
            EvaluatorClient(evaluator, transport),
            topics or under(settings.prefix, DECLARED),
            Seal(await pool.fetchval("select key from seal_key")),
            reads,
            IngestClient(ingest, ingest_transport),
            settings.refusals,
        )
        try:
            await parts.catalogue.start()
            api.state.parts = parts
            yield
        finally:
            await parts.catalogue.stop()
            await parts.evaluator.close()
            await parts.ingest.close()
            await reads.close()
            await pool.close()

    async def postgres() -> None:
        await api.state.parts.pool.fetchval("select 1")

    async def catalogue() -> None:
        if api.state.parts.catalogue.failure:
            raise RuntimeError(api.state.parts.catalogue.failure)

    api = make_api(
        settings,
        title=TITLE,
        version=VERSION,
        lifespan=lifespan,
        probes={"postgres": postgres, "catalogue": catalogue, **(probes or {})},
        limits=Limits(body=MAX_BODY),
        authenticate=recognise_sender,
    )
    for router in ROUTERS:
        api.include_router(router)
    _document_keys_as_needed(api)
    return api


def _document_keys_as_needed(api: FastAPI) -> None:
    """Have the OpenAPI document say that a POST needs its Idempotency-Key. A request without one is
    refused by `once`, with a code of its own, so that the route itself takes it as optional."""
    made = api.openapi

    def document() -> dict[str, Any]:
        whole = made()
        for path in whole["paths"].values():
            given = path.get("post", {}).get("parameters", [])
            if given and PERSON_PARAMETER not in given:  # the document is made once, and kept
                given.append(PERSON_PARAMETER)
            for each in path.get("post", {}).get("parameters", ()):
                if each["name"] == "Idempotency-Key":
                    each["required"] = True
                    each["schema"] = {"type": "string", "minLength": 1, "maxLength": 255}
        return whole

    api.openapi = document  # type: ignore[method-assign]
