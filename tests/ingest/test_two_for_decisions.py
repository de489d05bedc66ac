"""Where a programme asks for two over decisions, one has no effect before another has agreed."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg

from schemas.four_eyes import FourEyes
from services.catalogue import four_eyes, keys
from services.catalogue.audit import Author
from services.catalogue.store import apply
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.core.events.two_for_decisions import AgreedDecisions
from services.ingest.event_validator import EventValidator
from services.ingest.rejection import EventRejection
from tests.catalogue.builders import a_programme, an_agreement
from tests.ingest.builders import NOW_US, a_catalogue, an_event, text
from tests.ingest.conftest import Ingest

RULE = FourEyes(acts=("decisions",), expires_after_days=14)
CLAIM = {"within_days": 30}
CLAIMED = {"agreement": "campus-network", "circumstance": "claim", "period": "2025-01"}
OF_NORTH = Sender("north", "vendor")


def _door(agreed: frozenset[bytes] | None = frozenset(), **changes: Any) -> EventValidator:
    catalogue = a_catalogue(a_programme(four_eyes=RULE, **changes))
    claimed = MappingProxyType({"campus-network": (an_agreement(claim=CLAIM),)})
    return EventValidator(
        replace(catalogue, agreements=claimed),
        lambda _: NOW_US,
        agreed=None if agreed is None else AgreedDecisions(agreed),
    )


def _said(event: Any, agreed: frozenset[bytes] | None = frozenset()) -> Row | EventRejection:
    return _door(agreed).admit(text(event), OF_NORTH, NOW_US)


def test_a_decision_is_asked_for_and_the_same_event_is_taken_once_it_is_agreed_to() -> None:
    event = an_event("circumstance", CLAIMED)
    refused = _said(event)
    assert isinstance(refused, EventRejection)
    assert (refused.reason.code, refused.for_review) == ("four-eyes", True)
    act = refused.asks
    assert act is not None
    assert (act.kind, act.party, act.days) == ("decision", "north", 14)
    assert (act.agreement, act.period) == ("campus-network", "2025-01")
    agreed = frozenset({act.digest})
    assert isinstance(_said(event, agreed), Row)
    assert _said(json.loads(act.content), agreed) == _said(event, agreed), "it counts as the same"
    changed = {**event, "data": {**CLAIMED, "values": {"on": "2025-02-01"}}}
    assert isinstance(_said(changed, agreed), EventRejection), "another decision than was agreed"


def _run(ingest: Ingest, work: Any) -> Any:
    async def connected() -> Any:
        connection = await asyncpg.connect(ingest.postgres)
        try:
            return await work(connection)
        finally:
            await connection.close()

    done: Coroutine[Any, Any, Any] = connected()
    return asyncio.run(done)


async def _asks_for_two(connection: Any) -> str:
    """Have the programme ask for two and the agreement for claims; a second key of north."""
    body = await connection.fetchval("select body from programme_version")
    programme = json.loads(body) | {"version": 2, "four_eyes": RULE.model_dump()}
    await apply(connection, a_programme(**programme))
    vendor = await connection.fetchval("select vendor from agreement_version")
    await apply(
        connection,
        an_agreement(2, vendor=vendor, claim=CLAIM, effective_from="2025-02-01"),
    )
    return str(await keys.create(connection, party=vendor, role="vendor", label="second"))


def _agree(ingest: Ingest, request_id: UUID, second: str) -> None:
    by = Author(second.split("_")[1], ingest.vendor("north"), "vendor", "Ben")

    async def work(connection: Any) -> None:
        async with connection.transaction():
            row = await four_eyes.answer(
                connection, request_id, agreed=True, reason="As decided.", by=by
            )
            await four_eyes.write_down(connection, row, by)

    _run(ingest, work)


def _open(ingest: Ingest, about: str) -> list[Any]:
    query = f"{four_eyes.REQUEST} where about like $1 and a.request_id is null"
    return ingest.query(query, f"%{about}%")


def _revision(ingest: Ingest) -> list[Any]:
    return ingest.query("select revision from catalogue_revision where revision >= $1", 0)


def _is_done(ingest: Ingest, request_id: UUID) -> bool:
    query = "select outcome from four_eyes_done where request_id = $1"
    return bool(ingest.query(query, request_id))


def test_over_http_and_kafka_a_claim_counts_once_another_key_agrees(ingest: Ingest) -> None:
    """Nobody sends it again: that it is agreed to is enough."""
    second = _run(ingest, _asks_for_two)
    ingest.start("http,intake")
    (before,) = _revision(ingest)
    claim = ingest.event("claim-1", "circumstance", {**CLAIMED, "period": "2025-03"})
    sent = json.dumps(claim).encode()
    for _ in range(2):
        refused = ingest.post(sent, "north", on_behalf_of="Ann")
        assert (refused.status_code, refused.json()["code"]) == (403, "four-eyes"), refused.text
    (asked,) = _open(ingest, "claim-1")
    assert (asked["key_prefix"], asked["person"]) == (ingest.keys["north"].split("_")[1], "Ann")
    _agree(ingest, asked["request_id"], second)
    assert [row.id for row in ingest.rows(1)] == ["claim-1"]
    ingest.wait_for(lambda: _is_done(ingest, asked["request_id"]), "it is not told that it is sent")
    repeated = ingest.post(sent, "north")
    assert (repeated.status_code, repeated.json()["status"]) == (202, "duplicate")
    other = {**claim, "id": "claim-2"}
    ingest.produce(f"intake.{ingest.vendor('north')}", [(json.dumps(other).encode(), [])])
    ingest.wait_for(lambda: bool(_open(ingest, "claim-2")), "nothing is asked for")
    (asked,) = _open(ingest, "claim-2")
    assert (asked["key_prefix"], asked["role"]) == (None, "vendor")
    ingest.stop(signal.SIGKILL)  # what is agreed to meanwhile is taken by the next one
    _agree(ingest, asked["request_id"], second)
    ingest.start("http")
    assert [row.id for row in ingest.rows(2)] == ["claim-1", "claim-2"]
    assert _revision(ingest) == [before], "nobody reads the catalogue again for a decision"
    actions = ingest.query("select action from audit_entry where about <> $1 order by number", "")
    assert [row["action"] for row in actions][-4:] == ["request-made", "request-agreed"] * 2
