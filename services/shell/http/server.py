"""The server of an HTTP API: what all of ours share, how it is run, and its pages for probes."""

import asyncio
import signal
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace

import uvicorn
from fastapi import Depends, FastAPI, Response

from services.shell import logs, metrics
from services.shell.broker import CHECK_BROKER
from services.shell.http.documented import document_problems
from services.shell.http.limits import Authenticate, Limits, RequestLimits, bounded
from services.shell.http.middleware import RequestMiddleware
from services.shell.http.parameters import refuse_unknown_parameters
from services.shell.http.problems import Problem, answer_with_problems
from services.shell.logs import leave
from services.shell.settings import Settings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Probe = Callable[[], Awaitable[None]]
PROBE_SECONDS = 3.0
"""So long `/readyz` waits for one answer."""


def make_api(
    settings: Settings,
    *,
    title: str,
    version: str,
    lifespan: Lifespan,
    probes: Mapping[str, Probe] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    authenticate: Authenticate | None = None,
) -> FastAPI:
    """Make an API with what all of ours share. Routes are the service's.

    `limits` bounds what a request may cost, also in the server that runs the API. `authenticate` is
    asked for every request below /v1 before its body is read; None where nobody has a key.

    `lifespan` opens and closes what the service holds. `probes` are asked by /readyz, by name: one
    that raises means that the service cannot do its work, and its message says why.
    """
    health = metrics.Health()

    @asynccontextmanager
    async def whole_life(api: FastAPI) -> AsyncIterator[None]:
        async with lifespan(api):
            health.ready("start")
            yield
            health.not_ready("stop", "is stopping")

    # The framework's own pages load their scripts from the net; the document itself is enough.
    api = FastAPI(
        title=title,
        version=version,
        lifespan=whole_life,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    api.state.health = health
    api.state.limits = limits
    # The last one added is the first one asked.
    api.add_middleware(
        RequestLimits, limits=limits, service=settings.service, authenticate=authenticate
    )
    api.add_middleware(RequestMiddleware, service=settings.service)
    answer_with_problems(api)
    document_problems(api)
    _add_own_pages(api, health, dict(probes or {}))
    return api


def run_api(api: FastAPI, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished within `settings.stop`
    seconds, and the process ends with exit 0."""
    logs.configure(settings.service, settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server stops in good order on these, then raises them again for whoever was there
        # before it; the default would report a death by signal.
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        uvicorn.run(
            api,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http=_protocol(api, settings),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=settings.stop,
            server_header=False,
        )
    except SystemExit as ended:
        if ended.code:
            leave("api_not_started", remedy=CHECK_BROKER)
        raise


async def serve_beside(api: FastAPI, settings: Settings) -> None:
    """Serve next to a worker until cancelled: requests under way are finished first, as in
    `run_api`, and what the API holds is closed. The process's signals stay with the worker."""
    server = _GuestServer(
        uvicorn.Config(
            api,
            host=settings.http_host,
            port=settings.http_port,
            http=_protocol(api, settings),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # The worker's own stop, which waits for this, is cut short after `stop` seconds.
            timeout_graceful_shutdown=max(1, settings.stop // 2),
        )
    )
    serving = asyncio.ensure_future(server.serve())
    try:
        # Cancelled itself, the server would cut the API off in the middle and tell a traceback.
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def _protocol(api: FastAPI, settings: Settings) -> type[asyncio.Protocol]:
    limits: Limits = api.state.limits
    return bounded(
        replace(
            limits,
            connections=settings.http_connections,
            per_client=settings.http_connections_per_client,
        ),
        settings.service,
    )


class _GuestServer(uvicorn.Server):
    """Leaves signals to the worker around it, which ends everything in its order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _add_own_pages(api: FastAPI, health: metrics.Health, probes: Mapping[str, Probe]) -> None:
    @api.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return Response("alive", media_type="text/plain")

    @api.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        missing = health.missing()
        for name, probe in probes.items():
            try:
                await asyncio.wait_for(probe(), PROBE_SECONDS)
            except Exception as error:
                missing[name] = str(error) or repr(error)
        if missing:
            raise Problem(503, "not-ready", "The service is not ready.", missing=missing)
        return Response("ready", media_type="text/plain")

    @api.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        media, body = metrics.render()
        return Response(body, media_type=media)
