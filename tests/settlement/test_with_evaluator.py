"""Both sides of the wire between settlement and evaluator, without a stand-in for either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from schemas.statement import canonical
from services.catalogue.cached import CatalogueCopy
from services.evaluator.api import Parts, evaluator_api
from services.evaluator.closing import announcement
from services.settlement.consumer import read
from services.settlement.evaluator import Evaluator
from services.shell.settings import Settings
from services.shell.steps import Record
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk, a_desk


@asynccontextmanager
async def a_desk_beside_the_evaluator(dsn: str) -> AsyncIterator[Desk]:
    """A desk whose API asks the evaluator's own API over the same database."""
    async with a_desk(dsn) as desk:
        copy = CatalogueCopy(desk.house.pool)
        await copy.refresh()

        async def ends() -> dict[int, int]:
            return {0: 0, 1: 0}

        door = evaluator_api(
            Settings(service="evaluator", kafka="127.0.0.1:1", postgres=dsn),
            Parts(desk.house.pool, copy, ends),
        )
        beside = Evaluator("http://evaluator", httpx.ASGITransport(door))
        parts = desk.api.state.parts
        desk.api.state.parts = type(parts)(parts.pool, parts.catalogue, beside)
        desk.api.state.door = httpx.AsyncClient(
            transport=httpx.ASGITransport(door), base_url="http://evaluator"
        )
        yield desk
        await beside.close()


def the_evaluators_door(desk: Desk) -> httpx.AsyncClient:
    """A client of the evaluator's own API, which knows no keys."""
    client: httpx.AsyncClient = desk.api.state.door
    return client


def test_what_the_evaluator_announces_is_what_settlement_reads() -> None:
    evaluation = an_evaluation(9700)
    record = Record(
        offset=0,
        timestamp_ms=0,
        key=b"hosting",
        value=announcement(evaluation, canonical(evaluation)),
        headers=(("content-type", b"application/cloudevents+json"),),
    )
    assert read(record) == evaluation


async def test_an_order_to_close_reaches_the_evaluator_once_and_can_be_followed(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        body = {"agreement": "hosting", "period": "2025-01"}
        first = await desk.post("town", "/v1/closes", body, key="k")
        again = await desk.post("town", "/v1/closes", body, key="k")
        assert (first.status_code, again.content) == (202, first.content), first.text
        orders = await desk.house.rows("select agreement, requested_by from close_request")
        assert orders == [{"agreement": "hosting", "requested_by": "procurement:town"}]
        state = (await desk.get("nimbus", first.headers["location"])).json()
        assert (state["agreement"], state["outcome"]) == ("hosting", None)
        assert (await desk.get("cirrus", first.headers["location"])).status_code == 404


async def test_a_period_without_facts_is_previewed_as_one_without_result(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        told = (await desk.get("nimbus", "/v1/previews/hosting/2025-01")).json()
        assert told["statement"]["results"][0]["standing"] == "no_result"
        assert told["total"]["minor_units"] == 0


async def test_an_event_never_seen_has_a_verdict_that_says_so(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        told = await desk.get("nimbus", "/v1/events/urn%3Animbus%3Aprobe%2F1/m%2F1")
        assert told.status_code == 200
        assert (told.json()["id"], told.json()["standing"]) == ("m/1", "not_seen")


async def test_the_facts_of_an_amount_are_asked_for_in_words_the_evaluator_takes(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        told = await desk.get("nimbus", "/v1/statements/hosting/2025-01/lines/uptime/explanation")
        assert told.json()["facts"] == {
            "items": [],
            "withheld": 0,
            "next": None,
            "unavailable": None,
        }
