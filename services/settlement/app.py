"""The settlement worker, put together: the topic it reads, the relay, and the API beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn

from services.settlement.announcements import DECLARED, Topics
from services.settlement.api import settlement_api
from services.settlement.consumer import Settler
from services.shell.kafka import Dense, Wires, consume, make_app, wires_of
from services.shell.outbox import Relay
from services.shell.settings import Settings

RECORDS = 16
"""Evaluations per transaction: each settles a whole agreement anew, so a few fill a step."""


def settlement_app(settings: Settings, *, evaluator: str | None, topics: Topics = DECLARED) -> Any:
    """The Faust app. The API runs where the settings give it a port; without one it is left out."""
    app = make_app(settings)
    wires = wires_of(app)
    consume(app, topics.evaluations, Settler(topics), dense=Dense.BY_SEQUENCE, max_records=RECORDS)
    wires.beside("relay", lambda: _relay(settings, wires, topics))
    if settings.http_port:
        wires.beside("api", lambda: _serve(settings, wires, evaluator))
    return app


async def _relay(settings: Settings, wires: Wires, topics: Topics) -> None:
    await Relay(settings, wires.pool, [topics.settlements, topics.ledger_entries]).run()


class _Server(uvicorn.Server):
    """A server that leaves signals to the worker around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _serve(settings: Settings, wires: Wires, evaluator: str | None) -> None:
    """Serve the API until the worker stops; requests under way are finished first."""

    async def worker() -> None:
        missing = wires.health.missing()
        if missing:
            raise RuntimeError("; ".join(f"{part} {why}" for part, why in missing.items()))

    api = settlement_api(settings, evaluator=evaluator, probes={"worker": worker})
    server = _Server(
        uvicorn.Config(
            api,
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop,
        )
    )
    serving = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
