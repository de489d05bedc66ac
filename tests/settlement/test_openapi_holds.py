"""The OpenAPI document is true: generated requests, fitting and odd, are answered as it says.

What schemathesis would do, with our own generator: that needs no server of its own, no second
environment, and asks each operation in milliseconds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from jsonschema import Draft202012Validator

from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk, a_desk

TIMES = 5
ODD: list[Any] = [
    None, "", " ", "\x00", "é\u202e", "x" * 3000, "../..", "%00", "20250401", "2025-W14-2", "NaN",
    0, -1, 2**31, 2**63, 2**70, 1.5, True, [], {}, [[]], {"a": {"b": []}}, "'; drop table x; --",
]  # fmt: skip
FITTING = {
    "agreement": "hosting",
    "period": "2025-01",
    "vendor": "nimbus",
    "line": "uptime",
    "as_of": "2025-04-01T00:00:00Z",
    "source": "urn:nimbus:probe/1",
    "event_id": "m-1",
}


class Generator:
    """Values of schemas, now and then odd."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._parts = document["components"]["schemas"]
        self._chance = random.Random(17)

    def odd(self) -> bool:
        return self._chance.random() < 0.15

    def choice(self, among: list[Any]) -> Any:
        return self._chance.choice(among)

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        if self.odd() or depth > 6:
            return self.choice(ODD)
        if "$ref" in schema:
            return self.value(self._parts[schema["$ref"].rpartition("/")[2]], depth + 1)
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self.value(self.choice(schema[several]), depth + 1)
        if "const" in schema or "enum" in schema:
            return schema.get("const") or self.choice(schema["enum"])
        kind = schema.get("type", "string")
        kind = self.choice(kind) if isinstance(kind, list) else kind
        return getattr(self, f"_{kind}")(schema, depth)

    def _object(self, schema: Mapping[str, Any], depth: int) -> Any:
        wanted = schema.get("properties", {})
        return {
            name: FITTING[name] if name in FITTING and not self.odd() else self.value(of, depth + 1)
            for name, of in wanted.items()
            if name in schema.get("required", ()) or self._chance.random() < 0.3
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> Any:
        items = schema.get("items", {})
        return [self.value(items, depth + 1) for _ in range(self._chance.randrange(3))]

    def _string(self, schema: Mapping[str, Any], _: int) -> Any:
        if schema.get("format") == "uuid":
            return "00000000-0000-4000-8000-000000000001"
        if schema.get("format") in ("date", "date-time"):
            return "2025-01-31T12:00:00Z"[: 10 if schema["format"] == "date" else None]
        return self.choice(["hosting", "uptime", "x", "2025-01"])

    def _integer(self, schema: Mapping[str, Any], _: int) -> Any:
        return self._chance.randint(int(schema.get("minimum", 0)), 3)

    def _number(self, schema: Mapping[str, Any], _: int) -> Any:
        return self._chance.random()

    def _boolean(self, *_: Any) -> Any:
        return self.choice([True, False])

    def _null(self, *_: Any) -> Any:
        return None


def requests(document: Mapping[str, Any], made: Generator) -> Iterator[tuple[str, httpx.Request]]:
    """Each operation some times, with its name."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for _ in range(TIMES):
                yield f"{method} {path}", _request(path, method, operation, made)


def _request(
    path: str, method: str, operation: Mapping[str, Any], made: Generator
) -> httpx.Request:
    query: dict[str, str] = {}
    headers = {"content-type": "application/json"}
    for each in operation.get("parameters", ()):
        name = each["name"]
        fitting = name in FITTING and not made.odd()
        value = FITTING[name] if fitting else made.value(each["schema"])
        said = value if isinstance(value, str) else json.dumps(value)
        if each["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(said or "x", safe=""))
        elif each["in"] == "query" and (fitting or made.odd()):
            query[name] = said
        elif each["in"] == "header" and name == "Idempotency-Key":
            headers[name] = "k" if made.odd() else str(made.choice(range(10**9)))
    content = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        content = json.dumps(made.value(schema)).encode()
    return httpx.Request(
        method, f"http://settlement{path}", params=query, headers=headers, content=content
    )


async def _answered(desk: Desk, request: httpx.Request, who: str) -> httpx.Response:
    request.headers.update(desk.as_(who))
    return await desk.client.send(request)


async def test_every_answer_is_as_the_document_says(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        document = desk.api.openapi()
        made = Generator(document)
        counted = {"fine": 0, "refused": 0}
        for name, request in requests(document, made):
            answer = await _answered(desk, request, made.choice(["nimbus", "town", "operator"]))
            told = (name, str(request.url), request.content, answer.text[:500])
            assert answer.status_code < 500, told
            method, path = name.split()
            said = document["paths"][path][method]["responses"]
            fine = answer.status_code < 400
            counted["fine" if fine else "refused"] += 1
            if answer.status_code == 304:
                continue
            described = said[str(answer.status_code) if fine else "4XX"]["content"]
            media = answer.headers["content-type"].partition(";")[0]
            assert media in described, told
            schema = {**described[media].get("schema", {}), "components": document["components"]}
            if media.endswith("json"):
                problems = list(Draft202012Validator(schema).iter_errors(answer.json()))
                assert problems == [], told
        assert min(counted.values()) > 20, counted


async def test_a_method_that_an_address_does_not_take_is_told_those_that_it_takes(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        document = desk.api.openapi()
        for path, operations in document["paths"].items():
            address = path.replace("{", "").replace("}", "")
            answer = await desk.client.patch(address, headers=desk.as_("operator"))
            assert answer.status_code == 405, path
            allowed = {each.strip().lower() for each in answer.headers["allow"].split(",")}
            assert allowed >= set(operations), path
