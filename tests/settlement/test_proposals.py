"""Proposals over all periods: who sees and answers them, and what they would change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.ingest_client import IngestClient
from tests.settlement.builders import an_agreement
from tests.settlement.desk import Desk, a_desk
from tests.settlement.proposing import BUYER, OTHER, VENDOR, answered, correction, counted


@asynccontextmanager
async def _open(database: str) -> AsyncIterator[tuple[Desk, list[httpx.Request]]]:
    """A desk with proposals of three periods, and what ingest was sent."""
    sent: list[httpx.Request] = []

    def ingest(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202, json={"status": "accepted"})

    agreements = [an_agreement("hosting"), an_agreement("network", vendor="cirrus")]
    async with a_desk(database, agreements=agreements) as desk:
        beside = IngestClient("http://ingest", httpx.MockTransport(ingest))
        desk.api.state.parts = replace(desk.api.state.parts, ingest=beside)
        await desk.house.settle(counted(correction("a", "2025-01"), correction("b", "2025-01")))
        of_both = (correction("c", "2025-02", BUYER), correction("d", "2025-02", OTHER))
        await desk.house.settle(counted(*of_both, period="2025-02"))
        await desk.house.settle(counted(correction("e", "2025-01", OTHER), agreement="network"))
        yield desk, sent
        await beside.close()


async def _ids(desk: Desk, who: str, **filters: Any) -> dict[str, str]:
    found = await desk.walk(who, "/v1/proposals", **filters)
    return {one["proposal"]["event"]["id"]: one["proposal_id"] for one in found}


async def test_proposals_of_all_periods_are_listed_to_the_two_parties_and_nobody_else(
    database: str,
) -> None:
    async with _open(database) as (desk, _):
        assert list(await _ids(desk, "town", limit=1)) == ["a", "b", "c", "d", "e"]
        assert list(await _ids(desk, "nimbus", limit=2)) == ["a", "b", "c"]
        assert list(await _ids(desk, "cirrus")) == ["e"]
        assert list(await _ids(desk, "stranger")) == []
        assert list(await _ids(desk, "town", period="2025-02")) == ["c", "d"]
        assert list(await _ids(desk, "town", agreement="network")) == ["e"]
        later = (answered(correction("a", "2025-01"), "accept"), correction("f", "2025-01"))
        await desk.house.settle(counted(*later, revision=2, good=9800))
        assert list(await _ids(desk, "nimbus", state="open")) == ["c", "f"]
        assert list(await _ids(desk, "nimbus", state="accepted")) == ["a"]
        own = await _ids(desk, "nimbus")
        assert sorted(own) == ["a", "c", "f"], "what was taken back is not listed"
        missing = await desk.get("cirrus", f"/v1/proposals/{uuid4()}")
        foreign = await desk.get("cirrus", f"/v1/proposals/{own['a']}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["title"].replace(own["a"], "") == missing.json()["title"].replace(
            missing.request.url.path.rpartition("/")[2], ""
        )
        whole = await desk.get("cirrus", "/v1/proposals", params={"agreement": "hosting"})
        assert whole.status_code == 404


async def test_a_proposal_shows_what_the_statement_would_change_by(database: str) -> None:
    async with _open(database) as (desk, _):
        ids = await _ids(desk, "nimbus")
        asked: list[str] = []

        def evaluator(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url.params))
            made = counted(good=9990 if "accepting_id" in request.url.params else 9700)
            return httpx.Response(200, text=made.model_dump_json())

        beside = EvaluatorClient("http://evaluator", httpx.MockTransport(evaluator))
        desk.api.state.parts = replace(desk.api.state.parts, evaluator=beside)
        for who in ("nimbus", "town"):
            effect = (await desk.get(who, f"/v1/proposals/{ids['a']}")).json()["effect"]
            assert effect["change"]["minor_units"] == (
                effect["accepted"]["minor_units"] - effect["without"]["minor_units"]
            )
            assert effect["change"]["minor_units"] < 0
        assert asked[:2] == ["", "accepting_source=urn%3Animbus%3Aprobe%2F1&accepting_id=a"]


async def test_open_proposals_are_told_where_one_looks(database: str) -> None:
    async with _open(database) as (desk, _):
        pending = await desk.walk("nimbus", "/v1/pending", limit=1)
        proposed = [one for one in pending if one["state"] == "proposed"]
        assert [one["period"] for one in proposed] == ["2025-01", "2025-01", "2025-02"]
        assert proposed[0]["reasons"] == [
            "correction availability of 2025-01, proposed by nimbus: a",
            "it changes nothing until town accepts it",
        ]
        explained = await desk.get(
            "nimbus", "/v1/statements/hosting/2025-01/lines/uptime/explanation"
        )
        told = [one["proposal"]["event"]["id"] for one in explained.json()["proposals"]]
        assert told == ["a", "b"]


async def test_a_proposal_is_answered_once_by_the_one_who_may(database: str) -> None:
    async with _open(database) as (desk, sent):
        ids = await _ids(desk, "town")
        path, why = f"/v1/proposals/{ids['a']}/accept", {"reason": "the log shows it"}
        own = await desk.post("nimbus", path, why)
        assert (own.status_code, own.json()["code"]) == (403, "answer-of-another-party")
        assert (await desk.post("cirrus", path, why)).status_code == 404
        assert (await desk.post("books", path, why)).status_code == 403
        wrong = await desk.post("town", path, {**why, "source": VENDOR})
        assert wrong.json()["errors"][0]["remedy"] == f"name one of {BUYER}"
        assert not sent
        first = await desk.post("town", path, why, key="once")
        again = await desk.post("town", path, why, key="once")
        assert (first.status_code, again.content) == (202, first.content), first.text
        (request,) = sent
        event = msgspec.json.decode(request.content)
        assert request.headers["authorization"] == desk.as_("town")["Authorization"]
        assert (event["source"], event["type"]) == (BUYER, "earnback.answer.v1")
        assert event["data"] == {
            "agreement": "hosting", "states": "correction", "name": "availability",
            "period": "2025-01", "of_source": VENDOR, "of_id": "a", "answer": "accept",
            "of_payload": "00112233445566aa", "reason": "the log shows it",
        }  # fmt: skip
        assert first.json()["event"] == {"source": BUYER, "id": event["id"]}
        others = await desk.post("nimbus", f"/v1/proposals/{ids['c']}/reject", why)
        assert others.status_code == 202, "the buyer's is the vendor's to answer"


async def test_the_audit_tells_what_was_proposed_and_how_it_was_answered(database: str) -> None:
    async with _open(database) as (desk, _):
        ids = await _ids(desk, "town")
        await desk.post("town", f"/v1/proposals/{ids['a']}/accept", {"reason": "seen"})
        later = (answered(correction("a", "2025-01"), "accept"), correction("b", "2025-01"))
        await desk.house.settle(counted(*later, revision=2, good=9800))
        told = [
            (one["action"], one["party"], one["role"], one["reason"])
            for one in await desk.walk("nimbus", "/v1/audit")
            if one["about"] == ids["a"]
        ]
        assert told == [
            ("proposed", "nimbus", "event", "a false one"),
            ("proposal-answered", "town", "procurement", "accept: seen"),
            ("answer-counted", "town", "event", "accept: seen"),
        ]
        theirs = [one for one in await desk.walk("cirrus", "/v1/audit") if "hosting" in str(one)]
        assert not [one for one in theirs if one["action"] == "proposed"]


async def test_the_audit_tells_with_which_key_an_answer_was_sent_as_an_event(database: str) -> None:
    async with _open(database) as (desk, _):
        await desk.house.pool.execute(
            "insert into answer_sender"
            " values ($1, 'accept-it', 'abc', 'town', 'procurement', 'Ann')",
            BUYER,
        )
        later = (answered(correction("a", "2025-01"), "accept"), correction("b", "2025-01"))
        await desk.house.settle(counted(*later, revision=2))
        for who, key, person in (("town", "abc", "Ann"), ("nimbus", None, None)):
            (told,) = await desk.walk(who, "/v1/audit", action="answer-counted")
            found = told["key"], told["party"], told["role"], told["person"], told["reason"]
            assert found == (key, "town", "procurement", person, "accept: seen")


async def test_an_amount_is_written_as_everywhere_else(database: str) -> None:
    said = {"agreement": "hosting", "base": "monthly", "period": "2025-01"}
    one = correction("bill", "2025-01")
    one["correction"] = None
    one["charge"] = {**said, "amount": "50", "currency": "EUR"}
    async with _open(database) as (desk, _):
        await desk.house.settle(counted(one, revision=2))
        (listed,) = await desk.walk("town", "/v1/proposals", period="2025-01", agreement="hosting")
        assert listed["amount"] == {"minor_units": 5000, "currency": "EUR", "amount": "50.00"}
        (shown,) = await desk.walk("nimbus", "/v1/proposals", period="2025-02")
        assert shown["amount"] is None
