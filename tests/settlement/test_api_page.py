"""docs/settlement-api.md: its routes, roles and codes are those of the code, its examples run."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute

from services.settlement.api import ROUTERS
from tests.docs.pages import ROOT, blocks, names, page, rows, section
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import Desk
from tests.settlement.older import settled_by_an_older_release
from tests.settlement.test_with_evaluator import a_desk_beside_the_evaluator

PAGE = page("settlement-api.md")
WHO = {"V": "nimbus", "P": "town", "F": "books", "A": "operator"}
KEYS = {"KEY": "nimbus", "BUYER_KEY": "town", "FINANCE_KEY": "books"}
FINE = {
    "agreement": "hosting",
    "period": "2025-01",
    "version": "1",
    "line": "uptime",
    "source": "urn%3Animbus%3Aprobe%2F1",
    "event_id": "m-1",
}
NOBODY = "00000000-0000-4000-8000-000000000000"
SOURCES = (
    *(ROOT / "services/settlement").rglob("*.py"),
    ROOT / "services/evaluator/api.py",
)


def _on_the_page() -> dict[str, set[str]]:
    """Route to the letters of who may use it."""
    return {names(row[0])[0]: set(row[1].split()) for row in rows(section(PAGE, "## Routes"))}


def _in_the_code() -> set[str]:
    return {
        f"{method} {route.path.replace(':path', '')}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def test_every_route_is_on_the_page_and_no_other() -> None:
    assert set(_on_the_page()) == _in_the_code()


async def test_each_role_may_use_the_routes_that_the_page_gives_it_and_no_other(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        for route, allowed in _on_the_page().items():
            method, path = route.split()
            address = re.sub(r"{(\w+)}", lambda found: FINE.get(found[1], NOBODY), path)
            for letter, who in WHO.items():
                answer = await desk.client.request(
                    method, address, headers=desk.as_(who), json={} if method == "POST" else None
                )
                refused = answer.status_code == 403
                assert refused == (letter not in allowed), (route, who, answer.text)
                assert answer.status_code < 500, (route, who)
                assert answer.status_code != 200 or answer.headers["etag"], (route, who)


def _codes(path: Path) -> Iterator[str]:
    """The codes of the problems that a file makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = (
            node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        )
        if name in ("Problem", "_none_yet"):
            assert isinstance(node, ast.Call)
            given = node.args[1 if name == "Problem" else 0]
            if isinstance(given, ast.Constant):
                yield str(given.value)


def test_every_code_is_on_the_page_and_no_other() -> None:
    said = {code for row in rows(section(PAGE, "## Problems")) for code in names(row[0])}
    made = {code for path in SOURCES for code in _codes(path)}
    modules = (ROOT / "services/shell/http").glob("*.py")
    shared = {code for path in modules for code in _codes(path)} | {"method-not-allowed"}
    assert made - said == set()
    assert said - made - shared == set()
    assert len(said) > 20


def _commands() -> Iterator[list[str]]:
    for block in blocks(PAGE, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("ORDER=$("):
                line = line.removeprefix("ORDER=$(").partition(" | sed")[0]
            if line.startswith("curl"):
                yield shlex.split(line)


async def _run(desk: Desk, words: list[str], dispute: str, order: str) -> httpx.Response:
    """Send what a curl command would."""
    headers: dict[str, str] = {}
    body: str | None = None
    address = words[2].replace("$EARNBACK_SETTLEMENT", "").replace("$DISPUTE", dispute)
    address = address.replace("$ORDER", order)
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        if flag == "-d":
            body = value
        else:
            assert flag == "-H", words
            name, _, text = value.partition(": ")
            headers[name] = re.sub(r"\$(\w+)", lambda found: desk.keys[KEYS[found[1]]], text)
    return await desk.client.request(
        "GET" if body is None else "POST", address, headers=headers, content=body
    )


async def test_the_examples_of_the_page_run(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700), 15000)
        dispute, order, commands = "", "", list(_commands())
        last: dict[str, Any] = {}
        for words in commands:
            answer = await _run(desk, words, dispute, order)
            assert answer.status_code in (200, 201, 202), (words, answer.text)
            last = answer.json()
            dispute, order = last.get("dispute_id", dispute), last.get("order_id", order)
        assert len(commands) > 10
        assert last["state"] == "upheld"


async def test_the_problem_on_the_page_is_what_is_answered(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        (shown,) = [json.loads(block) for block in blocks(PAGE, "json")]
        answer = (await desk.get("town", "/v1/statements?vendr=nimbus")).json()
        assert answer.pop("trace_id")
        assert answer == shown


def test_every_link_on_the_page_leads_somewhere() -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(#[^)]+)?\)", PAGE):
        file = ROOT / "docs" / target if target else ROOT / "docs/settlement-api.md"
        text = file.resolve().read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = {
            "#" + re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings
        }
        assert not anchor or anchor in slugs, (target, anchor)
