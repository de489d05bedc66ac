"""Every route of the evaluator, asked for what is one buyer's: no byte of it is another's.

Over real facts of two buyers. Which of its own vendors' events a party sees is for settlement to
say, which alone reaches these routes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute

from services.evaluator.api import EvaluatorApiState, evaluator_api, routes
from services.shell.settings import Settings
from tests.evaluator.bench import House
from tests.evaluator.builders import Event, a_programme, an_agreement, down, up
from tests.settlement.canaries import BUYER_OF, CANARIES, EAST, NORTH, SOUTH, TOWN, VILLAGE, opened

VENDORS = {TOWN: (NORTH, SOUTH), VILLAGE: (EAST,)}
NOBODY = "zqnobod"
"""A party that there is not, as long as the others' names."""
FACTS = "/v1/facts?agreement={owner}-service&metric=availability&period=2025-01"
ROUTES: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/v1/previews/{agreement}/{period}"): (
        "/v1/previews/{owner}-service/2025-01",
        "/v1/previews/{owner}-service/2025-01?accepting_source={source}&accepting_id={owner}-down",
    ),
    ("GET", "/v1/events/{identity:path}"): ("/v1/events/{source}/{owner}-down",),
    ("GET", "/v1/facts"): (
        FACTS,
        FACTS + "&limit=1",
        FACTS + "&subject={owner}-site",
    ),
    ("POST", "/v1/closes"): ("/v1/closes",),
    ("GET", "/v1/closes/{number}"): ("/v1/closes/{number}",),
}
NUMBERS = {NORTH: 1, SOUTH: 2, EAST: 3, NOBODY: 4}
"""Of the orders to close, in the order in which they are given."""
TRACE = {"X-Correlation-Id": "one-trace"}
"""It stands in each problem."""


@asynccontextmanager
async def two_buyers(dsn: str) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    """Both with their programme, agreements and events; and a client of the evaluator's API."""
    documents: list[Any] = []
    for buyer, vendors in VENDORS.items():
        named = {"programme": f"{buyer}-programme"}
        documents.append(
            a_programme(
                **named,
                buyer=buyer,
                name=f"{buyer} programme",
                vendors=[{"vendor": each, "name": f"{each} vendor"} for each in vendors],
                sources=[
                    {"source": _source(each), "reports_for": each} for each in (*vendors, buyer)
                ],
            )
        )
        documents += [an_agreement(f"{each}-service", vendor=each, **named) for each in vendors]
    house = await House.open(dsn, *documents)
    try:
        for vendor in BUYER_OF:
            await house.send(_events(vendor))
        settings = Settings(service="evaluator", kafka="127.0.0.1:1", postgres=dsn)

        async def ends() -> dict[int, int] | None:
            return house.ends

        api = evaluator_api(settings, EvaluatorApiState(house.pool, house.copy, ends, house.health))
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://evaluator") as client:
            yield house, client
    finally:
        await house.close()


def _source(party: str) -> str:
    return f"urn:{party}:probe"


def _events(vendor: str) -> list[Event]:
    """A probe that was answered and one that was not, and the same said of one of its sites."""
    at, source = datetime(2025, 1, 10, tzinfo=UTC), _source(vendor)
    good, bad = up(f"{vendor}-up", at, source), down(f"{vendor}-down", at, source)
    site = f"{vendor}-site"
    return [good, bad, *(each.but(id=f"{each.id}-there", subject=site) for each in (good, bad))]


async def _asked(client: httpx.AsyncClient, method: str, address: str, owner: str) -> Any:
    """The answer, and all that was said with it: headers, body and log lines."""
    source = _source(owner).replace(":", "%3A")
    body = {"agreement": f"{owner}-service", "period": "2025-01", "reason": f"{owner} asks"}
    with structlog.testing.capture_logs() as lines:
        answer = await client.request(
            method,
            address.format(owner=owner, source=source, number=NUMBERS[owner]),
            headers={"Idempotency-Key": f"{owner}-key", **TRACE},
            json=body if method == "POST" else None,
        )
    return answer, "\n".join((str(answer.headers), answer.text, *map(str, lines)))


async def test_what_is_one_buyers_names_nothing_of_another(database: str) -> None:
    assert set(ROUTES) == {
        (method, each.path)
        for each in routes.routes
        if isinstance(each, APIRoute)
        for method in each.methods
    }
    async with two_buyers(database) as (_, client):
        for (method, path), addresses in ROUTES.items():
            for address in addresses:
                for owner, buyer in BUYER_OF.items():
                    others = {*CANARIES} - {buyer, *VENDORS[buyer]}
                    answer, said = await _asked(client, method, address, owner)
                    assert answer.status_code < 300, (path, owner, said)
                    assert owner in answer.text, (path, owner)
                    shown = "".join(opened(said))
                    assert not [each for each in others if each in shown], (path, owner, said)
        metrics = (await client.get("/metrics")).text
        assert not [each for each in CANARIES if each in metrics]


async def test_what_is_not_there_names_nobody(database: str) -> None:
    async with two_buyers(database) as (_, client):
        for (method, path), addresses in ROUTES.items():
            for address in addresses:
                answer, said = await _asked(client, method, address, NOBODY)
                assert answer.status_code in (200, 404, 422), (path, said)
                shown = "".join(opened(said))
                assert not [each for each in CANARIES if each in shown], (path, said)


@pytest.mark.parametrize("address", [
    "/v1/events/urn%3Azqnorth%3Aprobe/{}-down",
    "/v1/previews/zqnorth-service/2025-01?accepting_source=urn%3A{}%3Aprobe&accepting_id={}-down",
    "/v1/facts?agreement=zqnorth-service&metric=availability&period=2025-01&subject={}-site",
])  # fmt: skip
async def test_another_buyers_name_in_ones_own_question_is_as_one_that_is_not_there(
    database: str, address: str
) -> None:
    async with two_buyers(database) as (_, client):
        told = []
        for name in (EAST, NOBODY):
            answer = await client.get(address.replace("{}", name), headers=TRACE)
            headers = {key: value for key, value in answer.headers.items() if key != "etag"}
            told.append((answer.status_code, headers, answer.text.replace(name, NOBODY)))
        assert told[0] == told[1]
