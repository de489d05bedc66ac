"""The OpenAPI documents are true: generated requests, fitting and odd, are answered as they say."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import httpx

from tests.generated_requests import cases, check, request_of
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk
from tests.settlement.test_with_evaluator import a_desk_beside_the_evaluator, the_evaluators_door

EXAMPLES = 3
"""Fitting requests of each operation, and as many odd ones."""
KNOWN = {
    "agreement": "hosting",
    "period": "2025-01",
    "vendor": "nimbus",
    "line": "uptime",
    "source": "urn:nimbus:probe/1",
    "event_id": "m-1",
    "metric": "availability",
}


async def test_every_answer_is_as_the_document_of_its_api_says(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk, the_evaluators_door(desk) as beside:
        await desk.house.settle(an_evaluation(9700))
        await _holds(desk, desk.client, desk.api.openapi(), enough=20)
        await _holds(desk, beside, await _document(beside), enough=2)


async def _document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


async def _holds(
    desk: Desk, client: httpx.AsyncClient, document: Mapping[str, Any], enough: int
) -> None:
    """Each answer is as documented; at least so many requests are carried out, and refused."""
    made = cases(document, EXAMPLES, KNOWN)
    people, fine = cycle(("nimbus", "town", "operator")), 0
    for case in made:
        request = request_of(case, str(client.base_url), desk.as_(next(people)))
        fine += check(case, await client.send(request))
    assert enough <= fine <= len(made) - enough, f"{fine} of {len(made)}"


async def test_a_method_that_an_address_does_not_take_is_told_those_that_it_takes(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk, the_evaluators_door(desk) as beside:
        for client in (desk.client, beside):
            paths = (await _document(client))["paths"]
            assert len(paths) > 3
            for path, operations in paths.items():
                address = path.replace("{", "").replace("}", "")
                answer = await client.patch(address, headers=desk.as_("operator"))
                assert answer.status_code == 405, path
                assert answer.headers["content-type"] == "application/problem+json"
                allowed = {each.strip().lower() for each in answer.headers["allow"].split(",")}
                assert allowed >= set(operations), path
