"""Both sides of the wire between settlement and evaluator, without a stand-in for either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import httpx

from schemas.statement import canonical
from services.catalogue.cached import CatalogueCopy
from services.evaluator.api import EvaluatorApiState, evaluator_api
from services.evaluator.apply import Partition
from services.evaluator.frame_lookup import FrameLookup
from services.evaluator.period_close import announcement
from services.settlement.consumer import read
from services.settlement.evaluator_client import EvaluatorClient
from services.shell.metrics import Health
from services.shell.postgres import connect
from services.shell.settings import Settings
from services.shell.steps import Record
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk, a_desk


def _owner(dsn: str) -> FrameLookup:
    """Of all partitions, in which nothing is stored."""
    return FrameLookup(partial(connect, dsn, name="lookup"), {0: Partition(), 1: Partition()})


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
            EvaluatorApiState(desk.house.pool, copy, ends, Health(), _owner(dsn)),
        )
        beside = EvaluatorClient("http://evaluator", httpx.ASGITransport(door))
        parts = desk.api.state.parts
        desk.api.state.parts = replace(parts, evaluator=beside)
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
            "changed_since": [],
        }


async def _set_aside_at_a_door(desk: Desk, party: str, name: str) -> None:
    await desk.house.pool.execute(
        "insert into intake_refusal (name, party, source, event_id, code, detail, problem,"
        " headers, raw) values ($1, $2, 'urn:nimbus:probe/1', 'm-1', 'conflict', 'Told twice.',"
        " '{\"code\": \"conflict\"}', '{}', '{}')",
        name,
        party,
    )


async def test_what_a_door_set_aside_stands_beside_what_was_set_aside_behind_it(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        address = "/v1/events/urn%3Animbus%3Aprobe%2F1/m-1"
        await _set_aside_at_a_door(desk, "nimbus", "a")
        told = (await desk.get("nimbus", address)).json()
        assert told["standing"] == "quarantined"
        (aside,) = told["quarantined"]
        assert (aside["set_aside_by"], aside["reason"], aside["times"]) == ("ingest", "conflict", 1)
        whole = await desk.get("nimbus", f"/v1/quarantine/{aside['item_id']}")
        assert whole.json()["document"] == {"code": "conflict"}
        await desk.house.pool.execute(
            "insert into quarantine_item (reason, id128, payload, source, event_id, partition,"
            " first_offset, told, held, problem) values ('conflict', '\\x01', '\\x02',"
            " 'urn:nimbus:probe/1', 'm-1', 0, 0, '{\"good\": 1}', '{\"good\": 2}', 'Told twice.')"
        )
        both = (await desk.get("nimbus", address)).json()["quarantined"]
        assert [each["set_aside_by"] for each in both] == ["ingest", "evaluator"]
        assert [each["told"] for each in both] == [None, {"good": 1}]


async def test_a_verdict_shows_nobody_what_others_sent_under_the_events_name(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        address = "/v1/events/urn%3Animbus%3Aprobe%2F1/m-1"
        await _set_aside_at_a_door(desk, "cirrus", "b")
        vendor, buyer = [(await desk.get(who, address)).json() for who in ("nimbus", "town")]
        assert (vendor["standing"], vendor["quarantined"]) == ("not_seen", [])
        assert len(buyer["quarantined"]) == 1
