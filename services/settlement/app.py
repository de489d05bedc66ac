"""The settlement worker, put together: the topic it reads, the relay, and the API beside them."""

from __future__ import annotations

from typing import Any

from services.settlement import parking
from services.settlement.api import settlement_api
from services.settlement.consumer import SETTLE_SECONDS, Settler
from services.settlement.finance_events import DECLARED, SettlementTopics
from services.settlement.restatement import watch
from services.shell.http.server import serve_beside
from services.shell.kafka import Dense, Wires, consume, make_app, wires_of
from services.shell.prefix import under
from services.shell.relay import Relay
from services.shell.settings import Settings

RECORDS = 16
"""Evaluations per transaction, at most: those of one agreement, or under one cap, follow singly."""


def settlement_app(
    settings: Settings,
    *,
    evaluator: str | None,
    ingest: str | None = None,
    topics: SettlementTopics | None = None,
    seconds: float = SETTLE_SECONDS,
) -> Any:
    """The Faust app. ``topics``: None for the declared ones with the prefix of the settings.
    ``seconds``: what one evaluation may take.

    The API runs where the settings give it a port; without one it is left out.
    """
    topics = topics or under(settings.prefix, DECLARED)
    app = make_app(settings)
    wires = wires_of(app)
    wires.publishes = (topics.settlements, topics.ledger_entries)
    settler = Settler(topics, seconds=seconds)
    consume(
        app,
        topics.evaluations,
        settler,
        dense=Dense.BY_SEQUENCE,
        max_records=RECORDS,
        prepare=settler.prepare,
    )
    wires.beside("restatements", lambda: watch(wires.pool))
    wires.beside("parked", lambda: parking.watch(wires.pool, settler.try_again))
    wires.beside("relay", lambda: _relay(settings, wires))
    if settings.http_port:
        wires.beside("api", lambda: _serve(settings, wires, (evaluator, ingest), topics))
    return app


async def _relay(settings: Settings, wires: Wires) -> None:
    await Relay(settings, wires.pool, wires.publishes).run()


async def _serve(
    settings: Settings,
    wires: Wires,
    addresses: tuple[str | None, str | None],
    topics: SettlementTopics,
) -> None:
    """Serve the API until the worker stops; requests under way are finished first.

    ``addresses``: of the evaluator and of ingest.
    """

    async def worker() -> None:
        missing = wires.health.missing()
        if missing:
            raise RuntimeError("; ".join(f"{part} {why}" for part, why in missing.items()))

    evaluator, ingest = addresses
    api = settlement_api(
        settings, evaluator=evaluator, ingest=ingest, probes={"worker": worker}, topics=topics
    )
    await serve_beside(api, settings)
