"""Every route, asked by every role for its own, another vendor's and another buyer's things.

The routes come from the OpenAPI document: one that has no row here fails. No byte of what is
foreign may be in a body, a header, a cursor or a log line, and what is foreign is answered as what
is not there, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute

from services.catalogue.snapshot import EMPTY
from services.evaluator.api import routes as evaluator_routes
from services.settlement.access import Principal
from services.settlement.api import PARTY
from tests.docs import pages
from tests.settlement.canaries import (
    BUYER_OF,
    CANARIES,
    EAST,
    FOREIGN,
    NORTH,
    PARKED,
    SHARED,
    SOUTH,
    VIEWERS,
    World,
    a_world,
    agreement_of,
    fill,
    opened,
)

OWN = NORTH
OTHERS = {"other vendor": SOUTH, "other buyer": EAST}
MISSING = "zqnobod"
"""A party that there is not, as long as the others' names, so that answers have the same length."""

Asked = tuple[str, Any]
"""The address, and the body of a POST."""


def _id(name: str) -> Callable[[World, str], str]:
    def found(world: World, owner: str) -> str:
        ids = world.ids.get(owner, {})
        return ids.get(name, "00000000-0000-0000-0000-00000000beef")

    return found


def _line(world: World, owner: str) -> str:
    return quote(world.ids.get(owner, world.ids[OWN])["line"].replace(OWN, owner), safe="/")


def _get(address: str) -> Callable[[World, str], Asked]:
    """An address with ``{owner}`` and ids filled in."""

    def asked(world: World, owner: str) -> Asked:
        parts = {name: _id(name)(world, owner) for name in IDS}
        return address.format(owner=owner, line=_line(world, owner), **parts), None

    return asked


def _post(address: str, body: dict[str, Any]) -> Callable[[World, str], Asked]:
    def asked(world: World, owner: str) -> Asked:
        filled = {
            name: text.format(owner=owner, line=_line(world, owner))
            if isinstance(text, str)
            else text
            for name, text in body.items()
        }
        return _get(address)(world, owner)[0], filled

    return asked


def _application(world: World, owner: str) -> Asked:
    """A version for the programme of the owner's buyer."""
    buyer = BUYER_OF.get(owner, MISSING)
    body = agreement_of(OWN, "new").model_dump(mode="json")
    return "/v1/agreements", {**body, "programme": f"{buyer}-programme"}


IDS = ("item_id", "order_id", "entry_id", "run_id", "dispute_id", "request_id", "proposal_id")
A_PERIOD = {"agreement": "{owner}-service", "period": "2025-01"}

LISTS = {
    "/v1/agreements": "",
    "/v1/statements": "?all_revisions=true",
    "/v1/ledger-entries": "",
    "/v1/balances": "",
    "/v1/runs": "",
    "/v1/restatements": "",
    "/v1/disputes": "",
    "/v1/pending": "",
    "/v1/quarantine": "",
    "/v1/usage": "",
    "/v1/refused-evaluations": "",
    "/v1/dispute-states": "",
    "/v1/audit": "",
    "/v1/requests": "",
    "/v1/proposals": "",
}
"""Routes that name nothing: what they list is the asker's own."""

THINGS: dict[tuple[str, str], Callable[[World, str], Asked]] = {
    ("GET", "/v1/agreements/{agreement}"): _get("/v1/agreements/{owner}-service"),
    ("GET", "/v1/agreements/{agreement}/versions/{version}"): _get(
        "/v1/agreements/{owner}-service/versions/1"
    ),
    ("GET", "/v1/agreements/{agreement}/evaluations"): _get(
        "/v1/agreements/{owner}-service/evaluations"
    ),
    ("GET", "/v1/agreements/{agreement}/evaluations/{period}"): _get(
        "/v1/agreements/{owner}-service/evaluations/2025-01"
    ),
    ("GET", "/v1/statements/{agreement}/{period}"): _get("/v1/statements/{owner}-service/2025-01"),
    ("GET", "/v1/statements/{agreement}/{period}/document"): _get(
        "/v1/statements/{owner}-service/2025-01/document"
    ),
    ("GET", "/v1/statements/{agreement}/{period}/lines/{line}/explanation"): _get(
        "/v1/statements/{owner}-service/2025-01/lines/{line}/explanation"
    ),
    ("GET", "/v1/previews/{agreement}/{period}"): _get("/v1/previews/{owner}-service/2025-02"),
    ("GET", "/v1/corrections/{agreement}/{period}"): _get(
        "/v1/corrections/{owner}-service/2025-01"
    ),
    ("GET", "/v1/ledger-entries/{entry_id}"): _get("/v1/ledger-entries/{entry_id}"),
    ("GET", "/v1/runs/{run_id}"): _get("/v1/runs/{run_id}"),
    ("GET", "/v1/disputes/{dispute_id}"): _get("/v1/disputes/{dispute_id}"),
    ("GET", "/v1/quarantine/{item_id}"): _get("/v1/quarantine/{item_id}"),
    ("GET", "/v1/events/{source}/{event_id}"): _get(
        "/v1/events/urn%3A{owner}%3Aprobe/{owner}-fact"
    ),
    ("GET", "/v1/closes/{order_id}"): _get("/v1/closes/{order_id}"),
    ("POST", "/v1/agreements"): _application,
    ("POST", "/v1/disputes"): _post(
        "/v1/disputes", {**A_PERIOD, "line": "{line}", "comment": "No."}
    ),
    ("POST", "/v1/disputes/{dispute_id}/acts"): _post(
        "/v1/disputes/{dispute_id}/acts", {"act": "dismiss", "comment": "No."}
    ),
    ("GET", "/v1/requests/{request_id}"): _get("/v1/requests/{request_id}"),
    ("POST", "/v1/requests/{request_id}/answers"): _post(
        "/v1/requests/{request_id}/answers", {"answer": "decline", "reason": "No."}
    ),
    ("GET", "/v1/proposals/{proposal_id}"): _get("/v1/proposals/{proposal_id}"),
    ("POST", "/v1/proposals/{proposal_id}/accept"): _post(
        "/v1/proposals/{proposal_id}/accept", {"reason": "Yes."}
    ),
    ("POST", "/v1/proposals/{proposal_id}/reject"): _post(
        "/v1/proposals/{proposal_id}/reject", {"reason": "No."}
    ),
    ("POST", "/v1/closes"): _post("/v1/closes", A_PERIOD),
    ("POST", "/v1/restatements"): _post(
        "/v1/restatements", {"agreement": "{owner}-old", "reason": "By order."}
    ),
}
OF_ONE_SIDE = ("/v1/requests",)
"""What is a party's alone; here the vendor's, so that its buyer is answered as any other."""
WHOLE_BODIES = ("evaluation_received", "statement", "settlement_run", "parked_work")
"""Tables of which a party's own rows may say something of another."""
FILTERS = (
    "/v1/statements?agreement={owner}-service",
    "/v1/statements?vendor={owner}",
    "/v1/ledger-entries?agreement={owner}-service",
    "/v1/ledger-entries?vendor={owner}",
    "/v1/ledger-entries?run_id={run_id}",
    "/v1/balances?vendor={owner}",
    "/v1/runs?agreement={owner}-service",
    "/v1/restatements?agreement={owner}-service",
    "/v1/disputes?agreement={owner}-service",
    "/v1/audit?agreement={owner}-service",
    "/v1/proposals?agreement={owner}-service",
)
"""Filters that name something."""


@contextmanager
def _logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


class Said(str):
    """All that a request brought: status, headers, body, log lines; opened where it is encoded."""


async def _ask(world: World, viewer: str, method: str, asked: Asked) -> tuple[httpx.Response, str]:
    """The answer, and all that was said with it but for what the asker itself wrote."""
    address, body = asked
    with _logged() as lines:
        answer = await world.desk.client.request(
            method, address, headers=world.headers(viewer), json=body
        )
    said = "\n".join([str(answer.headers), answer.text, *map(str, lines)])
    return answer, said


def _leaks(viewer: str, said: str, asked: Asked) -> set[str]:
    """The foreign canaries in what was said, beside the words of the request itself."""
    own_words = {part for part in re.split(r"[/?&=]|%3A", asked[0]) if part}
    own_words |= {text for text in (asked[1] or {}).values() if isinstance(text, str)}
    for word in sorted(own_words, key=len, reverse=True):
        said = said.replace(word, "")
    return {each for each in FOREIGN[viewer] for text in opened(said) if each in text}


def _as_of(owner: str, answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """Status, headers and body, with the name of who was asked for taken out."""
    ids = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    text = answer.text.replace(owner, MISSING).replace(BUYER_OF.get(owner, MISSING), MISSING)
    body = re.sub(ids, "ID", text)
    return answer.status_code, dict(answer.headers), body


async def test_nobody_sees_learns_or_counts_what_is_anothers(database: str) -> None:
    """One world for all of it: every other check would make the same again."""
    async with a_world(database) as world:
        routes = _routes(world)
        assert routes == {*THINGS, *(("GET", path) for path in LISTS)}, "a route without a row"
        await _lists_hold_the_askers_own(world)
        await _what_is_foreign_is_as_what_is_missing(world)
        await _a_name_that_another_buyer_took_tells_nothing_of_it(world)
        await _what_a_reference_stands_for_is_told_to_who_sees_it(world)
        await _why_work_failed_is_told_without_anothers(world)
        await _no_answer_counts_what_is_anothers(world)
        await _no_record_for_finance_names_another(world)
        await _a_query_that_forgets_its_where_shows_nothing_foreign(world)
        metrics = (await world.desk.client.get("/metrics")).text
        assert not [each for each in CANARIES if each in metrics]


def _routes(world: World) -> set[tuple[str, str]]:
    document = world.desk.api.openapi()
    return {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/v1/")
    }


async def _lists_hold_the_askers_own(world: World) -> None:
    for path, query in LISTS.items():
        for viewer in FOREIGN:
            asked: Asked = (path + (query or "?") + "&limit=1", None)
            asked = (asked[0].replace("?&", "?"), None)
            if path in ("/v1/balances", "/v1/dispute-states"):
                asked = (path, None)
            seen = ""
            while True:
                answer, said = await _ask(world, viewer, "GET", asked)
                assert answer.status_code in (200, 403), (viewer, asked, said)
                assert not _leaks(viewer, said, asked), (viewer, asked, said)
                seen += said
                following = answer.json().get("next") if answer.status_code == 200 else None
                if following is None:
                    break
                asked = (
                    f"{path}{query or '?'}&limit=1&cursor={following}".replace("?&", "?"),
                    None,
                )
            if viewer == "admin" and path != "/v1/dispute-states":
                assert all(each in seen for each in (NORTH, SOUTH, EAST)), (path, seen)


async def _what_is_foreign_is_as_what_is_missing(world: World) -> None:
    for (method, path), row in THINGS.items():
        for viewer, foreign in FOREIGN.items():
            missing, _ = await _ask(world, viewer, method, row(world, MISSING))
            for owner in (OWN, *OTHERS.values()):
                asked = row(world, owner)
                answer, said = await _ask(world, viewer, method, asked)
                where = (viewer, method, path, owner, said)
                assert not _leaks(viewer, said, asked), where
                others = path.startswith(OF_ONE_SIDE) and viewer not in ("vendor", "admin")
                if owner in foreign or others:
                    assert answer.status_code in (403, 404), where
                    assert _as_of(owner, answer) == _as_of(MISSING, missing), where
                elif answer.status_code != 403:
                    assert answer.status_code < 300 or method == "POST", where
                    assert method == "POST" or owner in answer.text, where
    for address in FILTERS:
        for viewer in FOREIGN:
            missing, _ = await _ask(world, viewer, "GET", _get(address)(world, MISSING))
            for owner in OTHERS.values():
                asked = _get(address)(world, owner)
                answer, said = await _ask(world, viewer, "GET", asked)
                assert not _leaks(viewer, said, asked), (viewer, asked, said)
                if owner in FOREIGN[viewer]:
                    assert _as_of(owner, answer) == _as_of(MISSING, missing), (viewer, asked)


async def _a_name_that_another_buyer_took_tells_nothing_of_it(world: World) -> None:
    for owner in (EAST, SOUTH):
        body = agreement_of(OWN).model_dump(mode="json") | {"agreement": f"{owner}-service"}
        answer, said = await _ask(world, "procurement", "POST", ("/v1/agreements", body))
        assert (answer.status_code, answer.json()["code"]) == (409, "version-not-applicable")
        assert not _leaks("procurement", said, ("/v1/agreements", body)), said


async def _what_a_reference_stands_for_is_told_to_who_sees_it(world: World) -> None:
    """Wherever it is said what a period waits for: the same words for both parties, and what they
    mean for the buyer."""
    for viewer in ("procurement", "vendor"):
        for where, reasons, told in await _all_that_waits(world, viewer):
            said = " ".join(reasons)
            assert "withheld-" in said, where
            assert f"{NORTH}-half" in said, where
            assert SOUTH not in said, where
            assert _whats(told) == ({f"{SOUTH}-half"} if viewer == "procurement" else set()), where
            assert all(each["reference"] in said for each in told), where
    (held,) = await _waiting(world, "finance", "/v1/restatements")
    assert _whats(held["references"]) == {f"{SOUTH}-half"}


def _whats(told: list[dict[str, Any]]) -> set[str]:
    return {each["occurrence"] or each["event"] for each in told}


async def _all_that_waits(
    world: World, viewer: str
) -> list[tuple[str, list[str], list[dict[str, Any]]]]:
    """Where something is said to wait, why, and what the references in it are said to be."""
    (pending,) = await _waiting(world, viewer, "/v1/pending")
    (held,) = await _waiting(world, viewer, "/v1/restatements")
    preview, _ = await _ask(world, viewer, "GET", (f"/v1/previews/{NORTH}-late/2025-02", None))
    proposal = f"/v1/proposals/{world.ids[NORTH]['proposal_id']}"
    effect = (await _ask(world, viewer, "GET", (proposal, None)))[0].json()["effect"]
    assert effect["waits_for"] != effect["accepted_waits_for"], "both are numbered on their own"
    return [
        ("pending", pending["reasons"], pending["references"]),
        ("restatements", held["waits_for"], held["references"]),
        ("preview", preview.json()["waits_for"], preview.json()["references"]),
        ("proposal", effect["waits_for"], effect["references"]),
        ("accepted", effect["accepted_waits_for"], effect["accepted_references"]),
    ]


async def _waiting(world: World, viewer: str, path: str) -> list[dict[str, Any]]:
    """The rows of a list that are of the waiting period of the vendor."""
    waiting = {"/v1/pending": "late", "/v1/restatements": "old"}[path]
    return [
        each
        for each in await _rows(world, viewer, path)
        if each["agreement"] == f"{NORTH}-{waiting}"
        and (each.get("waits_for") or each.get("state") == "waits")
    ]


async def _rows(world: World, viewer: str, path: str) -> list[dict[str, Any]]:
    answer, _ = await _ask(world, viewer, "GET", (f"{path}?limit=500", None))
    rows: list[dict[str, Any]] = answer.json()["items"]
    return rows


async def _why_work_failed_is_told_without_anothers(world: World) -> None:
    for viewer in ("procurement", "vendor"):
        listed = await _rows(world, viewer, "/v1/pending")
        parked = {
            each["period"]: each["reasons"][0]
            for each in listed
            if (each["agreement"], each["state"]) == (f"{NORTH}-service", "parked")
        }
        assert set(parked) == set(PARKED)
        for period, reason in parked.items():
            assert (SOUTH in reason) == (viewer == "procurement"), reason
            missing, said = await _ask(
                world, viewer, "GET", (f"/v1/statements/{NORTH}-service/{period}", None)
            )
            assert missing.json()["code"] == "period-pending"
            assert reason in missing.json()["detail"]
            assert (SOUTH in said) == (viewer == "procurement"), said


async def _no_answer_counts_what_is_anothers(world: World) -> None:
    """What a vendor is answered stays the same to the byte while others do more."""

    async def everything() -> dict[str, tuple[int, dict[str, str], str]]:
        answers = {}
        asked = [row(world, OWN) for (method, _), row in THINGS.items() if method == "GET"]
        for address, _ in [*asked, *((path, None) for path in LISTS)]:
            answer, _ = await _ask(world, "vendor", "GET", (address, None))
            answers[address] = (answer.status_code, dict(answer.headers), answer.text)
        listed = await world.desk.client.get(
            "/v1/quarantine?limit=1", headers=world.headers("vendor")
        )
        answers["a cursor"] = (listed.status_code, dict(listed.headers), listed.text)
        return answers

    before = await everything()
    for other in OTHERS.values():
        await fill(world, other, again="-again")
    assert await everything() == before


async def _no_record_for_finance_names_another(world: World) -> None:
    rows = await world.desk.house.pool.fetch(
        "select key, headers::text as headers, convert_from(body, 'UTF8') as body from outbox"
    )
    assert len(rows) > 3
    for row in rows:
        owner = next(each for each in BUYER_OF if each in row["key"] or each in row["body"])
        foreign = {*CANARIES} - {owner, BUYER_OF[owner]}
        text = " ".join((row["key"], row["headers"], row["body"]))
        assert not [each for each in foreign if each in text], text


async def _a_query_that_forgets_its_where_shows_nothing_foreign(world: World) -> None:
    parts = world.desk.api.state.parts
    pool = world.desk.house.pool
    guarded = [
        row["relname"]
        for row in await pool.fetch(
            "select relname from pg_class where relrowsecurity and relforcerowsecurity"
        )
    ]
    held = [each for each in guarded if await pool.fetchval(f"select count(*) from {each}")]
    readable = [
        each
        for each in guarded
        if await pool.fetchval("select has_table_privilege($1, $2, 'select')", PARTY, each)
    ]
    roles = pages.section(pages.page("operating.md"), "### Roles in Postgres")
    listed = pages.rows(roles.split("tables under")[1])
    assert sorted(guarded) == sorted(name for row in listed for name in pages.names(row[0]))
    assert sorted({*guarded} - {*held}) == [
        "evaluation",
        "four_eyes_done",
    ]
    for viewer, foreign in FOREIGN.items():
        asker = Principal(*VIEWERS[viewer], prefix="p", catalogue=EMPTY)
        for table in (each for each in held if each in readable):
            async with parts.reading(asker) as connection:
                rows = await connection.fetch(f"select t::text as t from {table} t")
            text = "".join(row["t"] for row in rows)
            # What a party's own rows say of another stays for the first wall: bodies are whole.
            if table not in WHOLE_BODIES:
                assert not [each for each in foreign if each in text], (viewer, table)
            assert (viewer == "probe") <= (not rows), (viewer, table)
    async with parts.reads.acquire() as connection:
        for table in readable:
            assert await connection.fetch(f"select from {table}") == [], table


def test_every_route_of_the_evaluator_stands_behind_one_of_settlement() -> None:
    """It knows no keys: settlement alone reaches it, and asks the one rule before."""
    behind = {
        ("GET", "/v1/previews/{agreement}/{period}"): ("GET", "/v1/previews/{agreement}/{period}"),
        ("GET", "/v1/events/{identity:path}"): ("GET", "/v1/events/{source}/{event_id}"),
        ("GET", "/v1/facts"): (
            "GET",
            "/v1/statements/{agreement}/{period}/lines/{line}/explanation",
        ),
        ("GET", "/v1/corrections"): ("GET", "/v1/corrections/{agreement}/{period}"),
        ("POST", "/v1/closes"): ("POST", "/v1/closes"),
        ("GET", "/v1/closes/{number}"): ("GET", "/v1/closes/{order_id}"),
    }
    routes = [each for each in evaluator_routes.routes if isinstance(each, APIRoute)]
    assert {(method, each.path) for each in routes for method in each.methods} == set(behind)
    assert set(behind.values()) <= set(THINGS)


@pytest.mark.parametrize("role", ["vendor", "procurement", "finance", "probe", "admin"])
def test_every_role_is_in_the_matrix(role: str) -> None:
    assert role in FOREIGN
    assert SHARED not in CANARIES
