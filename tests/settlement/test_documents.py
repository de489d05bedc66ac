"""What others build against: the API document, the schemas of finance events, their examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from fastapi.routing import APIRoute

from services.settlement.api import ROUTERS
from services.settlement.documents import DATA, FOLDER, data_schema, documents

EXAMPLES = sorted(
    path
    for topic in ("settlements", "ledger-entries")
    for path in (FOLDER / "examples" / topic).glob("v1/*.json")
)


def test_every_published_document_is_what_the_code_says() -> None:
    said = documents()
    differing = [path for path in said if (FOLDER / path).read_text(encoding="utf-8") != said[path]]
    assert differing == [], "run python -m services.settlement.documents"


def test_every_route_is_in_the_openapi_file() -> None:
    document = json.loads((FOLDER / "openapi/settlement.json").read_text(encoding="utf-8"))
    assert document["openapi"].startswith("3.1")
    written = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    routes = {
        (method, route.path_format)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert written == routes
    assert len(routes) > 25


def test_every_operation_says_what_it_does_and_documents_its_problems() -> None:
    document = json.loads((FOLDER / "openapi/settlement.json").read_text(encoding="utf-8"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["description"], (method, path)
            assert operation["security"], (method, path)
            assert {"4XX", "5XX"} <= set(operation["responses"]), (method, path)
            if method == "post":
                needed = {each["name"] for each in operation["parameters"] if each["required"]}
                assert "Idempotency-Key" in needed, path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_its_schema_and_is_read_and_written_back_unchanged(path: Path) -> None:
    event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(event["data"], data_schema(event["type"]))
    model = DATA[event["type"]]
    assert model.model_validate(event["data"]).model_dump(mode="json") == event["data"]
    assert event["dataschema"] == data_schema(event["type"])["$id"]


def test_every_kind_of_finance_event_has_an_example() -> None:
    kinds = {json.loads(path.read_text(encoding="utf-8"))["type"] for path in EXAMPLES}
    assert kinds == set(DATA)
