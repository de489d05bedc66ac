"""Ingest's OpenAPI document is true: generated requests, and good ones, are answered as it says."""

from __future__ import annotations

import json
from itertools import cycle
from typing import Any

import httpx

from services.ingest.body import JSON
from services.shell.http.problems import PROBLEM
from tests.generated_requests import cases, check, request_of
from tests.ingest.conftest import Ingest

EXAMPLES = 20
"""Fitting requests, and as many odd ones."""


def test_the_document_is_true(ingest: Ingest) -> None:
    """One process for all of it."""
    ingest.start()
    document = httpx.get(f"{ingest.url}/openapi.json", timeout=60).json()
    _generated_and_good_requests_are_answered_as_it_says(ingest, document)
    _other_methods_are_told_those_that_there_are(ingest, document)


def _generated_and_good_requests_are_answered_as_it_says(
    ingest: Ingest, document: dict[str, Any]
) -> None:
    made = cases(document, EXAMPLES, {})
    people = cycle(("north", "town", "operator"))
    for case in made:
        headers = {"Authorization": f"Bearer {ingest.keys[next(people)]}"}
        answer = ingest.client.send(request_of(case, ingest.url, headers))
        assert not check(case, answer) or answer.json()["accepted"] == 0
    first, second, third = (ingest.event(f"e-{number}") for number in range(3))
    for body, status in ((first, 202), ([second], 202), ([third, {}], 207)):
        answer = ingest.post(json.dumps(body).encode(), content_type=JSON)
        assert answer.status_code == status, answer.text
        check(made[0], answer)


def _other_methods_are_told_those_that_there_are(ingest: Ingest, document: dict[str, Any]) -> None:
    who = {"Authorization": f"Bearer {ingest.keys['north']}"}
    for path, operations in document["paths"].items():
        for method in {"get", "put", "patch", "delete"} - set(operations):
            answer = ingest.client.request(method, f"{ingest.url}{path}", headers=who)
            assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)
            allowed = {each.strip().lower() for each in answer.headers["allow"].split(",")}
            assert allowed == set(operations)
