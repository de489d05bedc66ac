"""Four-eyes: what one asks for is done once another agrees, and nobody else learns of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.four_eyes import FOUR_EYES_ACTS, FourEyes
from services.catalogue import four_eyes, keys
from services.catalogue.audit import at_the_command_line
from services.catalogue.four_eyes import MOST_OPEN, AgreementNeeded, RequestedAct, TooManyRequests
from services.catalogue.store import apply
from tests.settlement.builders import a_programme, an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.older import settled_by_an_older_release

CLOSE = {"agreement": "hosting", "period": "2025-01"}
SECOND = an_agreement(version=2, effective_from="2025-03-01").model_dump(mode="json")
RULE = FourEyes(acts=FOUR_EYES_ACTS, expires_after_days=14)
PROGRAMME = a_programme().model_copy(update={"four_eyes": RULE})
ACT = RequestedAct("close", "town", 14, "hosting 2025-01", "{}", bytes(32), agreement="hosting")


@asynccontextmanager
async def _two(database: str) -> AsyncIterator[Desk]:
    """A desk whose programme asks for two, with a second key of procurement: 'hall'."""
    agreements = [an_agreement("hosting"), an_agreement("network", vendor="cirrus")]
    async with a_desk(database, agreements=agreements) as desk:
        second = PROGRAMME.model_copy(update={"version": 2})
        async with desk.house.pool.acquire() as connection:
            await apply(connection, second)
            hall = await keys.create(connection, party="town", role="procurement", label="hall")
        yield replace(desk, keys={**desk.keys, "hall": hall})


async def _post(desk: Desk, who: str, path: str, body: Any, person: str | None = None) -> Any:
    headers = {**desk.as_(who), "Idempotency-Key": uuid4().hex}
    if person is not None:
        headers["On-Behalf-Of"] = person
    return await desk.client.post(path, headers=headers, json=body)


async def _answer(
    desk: Desk, who: str, request: dict[str, Any], what: str = "agree", person: str | None = None
) -> Any:
    path = f"/v1/requests/{request['request_id']}/answers"
    return await _post(desk, who, path, {"answer": what, "reason": "So it is."}, person)


async def test_a_close_is_ordered_once_another_key_and_another_person_agree(database: str) -> None:
    async with _two(database) as desk:
        asked = await _post(desk, "town", "/v1/closes", CLOSE, "Ann")
        assert (asked.status_code, asked.json()["state"]) == (202, "open"), asked.text
        assert asked.json()["content"] == CLOSE
        assert asked.headers["location"] == f"/v1/requests/{asked.json()['request_id']}"
        again = await _post(desk, "town", "/v1/closes", CLOSE, "Ann")
        assert again.json() == asked.json(), "one request is open at a time"
        for who, person, word in (
            ("town", "Ben", "key that asked"),
            ("hall", None, "nobody who agrees"),
            ("hall", "ann", "somebody else"),
        ):
            refused = await _answer(desk, who, asked.json(), person=person)
            assert (refused.status_code, refused.json()["code"]) == (409, "not-to-be-answered")
            assert word in refused.json()["detail"]
        assert desk.elsewhere.closes == []
        agreed = await _answer(desk, "hall", asked.json(), person="Ben")
        assert (agreed.status_code, agreed.json()["state"]) == (200, "done"), agreed.text
        assert agreed.json()["outcome"].startswith("/v1/closes/")
        assert len(desk.elsewhere.closes) == 1
        assert (await _answer(desk, "hall", asked.json(), person="Ben")).status_code == 409
        other = await _post(desk, "hall", "/v1/closes", CLOSE)
        assert other.json()["request_id"] != asked.json()["request_id"], "an agreement serves once"
        assert len(desk.elsewhere.closes) == 1


async def test_a_version_is_applied_by_two_and_the_audit_names_both(database: str) -> None:
    async with _two(database) as desk:
        asked = await _post(desk, "town", "/v1/agreements", SECOND, "Ann")
        assert (asked.status_code, asked.json()["kind"]) == (202, "agreement"), asked.text
        found = await desk.get("town", "/v1/agreements/hosting")
        assert [one["version"] for one in found.json()["versions"]] == [1]
        assert (await _answer(desk, "hall", asked.json(), person="Ben")).json()["state"] == "done"
        found = await desk.get("nimbus", "/v1/agreements/hosting")
        assert [one["version"] for one in found.json()["versions"]] == [1, 2]
        told = (await desk.walk("town", "/v1/audit", agreement="hosting"))[-3:]
        assert sorted((one["action"], one["person"]) for one in told) == [
            ("agreement-applied", "Ann"),
            ("request-agreed", "Ben"),
            ("request-made", "Ann"),
        ]
        seen = await desk.walk("nimbus", "/v1/audit")
        assert not [one for one in seen if one["action"].startswith("request")]


async def test_a_restatement_is_posted_by_two(database: str) -> None:
    async with _two(database) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700), 12_300)
        owed = await desk.house.owed("2025-01")
        order = {"agreement": "hosting", "reason": "The vendor agreed on 3 May."}
        asked = await _post(desk, "town", "/v1/restatements", order)
        assert (asked.status_code, asked.json()["kind"]) == (202, "restatement"), asked.text
        assert await desk.house.owed("2025-01") == owed
        done = await _answer(desk, "operator", asked.json())
        assert done.json()["outcome"].startswith("/v1/runs/"), done.text
        assert await desk.house.owed("2025-01") == 20000


async def test_requests_are_their_partys_alone_and_end(database: str) -> None:
    async with _two(database) as desk:
        pool = desk.house.pool
        asked = (await _post(desk, "town", "/v1/closes", CLOSE)).json()
        address = f"/v1/requests/{asked['request_id']}"
        missing = await desk.get("nimbus", f"/v1/requests/{UUID(int=1)}")
        for who in ("nimbus", "cirrus", "stranger"):
            foreign = await desk.get(who, address)
            assert foreign.status_code == 404
            assert (
                foreign.json()["title"].replace(asked["request_id"], str(UUID(int=1)))
                == (missing.json()["title"])
            )
            assert (await _answer(desk, who, asked)).status_code == 404
            assert await desk.walk(who, "/v1/requests") == []
        for who in ("books", "probe"):
            assert (await desk.get(who, "/v1/requests")).status_code == 403
        assert await desk.walk("hall", "/v1/requests", state="open") == [asked]
        declined = await _answer(desk, "hall", asked, "decline")
        assert (declined.json()["state"], declined.json()["reason"]) == ("declined", "So it is.")
        late = (await _post(desk, "town", "/v1/closes", CLOSE)).json()
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(
                "update four_eyes_request set expires_at = asked_at where request_id = $1",
                UUID(late["request_id"]),
            )
        expired = await _answer(desk, "hall", late)
        assert (expired.status_code, "is expired" in expired.json()["detail"]) == (409, True)
        assert [one["state"] for one in await desk.walk("town", "/v1/requests", limit=1)] == [
            "declined",
            "expired",
        ]
        assert desk.elsewhere.closes == []


async def test_a_key_is_revoked_by_two_and_never_decides_on_its_own_end(database: str) -> None:
    async with _two(database) as desk:
        hall, by = desk.keys["hall"].split("_")[1], at_the_command_line("Ann")
        async with desk.house.pool.acquire() as connection:
            with pytest.raises(AgreementNeeded) as needed:
                await keys.revoke(connection, hall, reason="lost", by=by)
            asked = {"request_id": str(await four_eyes.ask(connection, needed.value.act, by))}
            own = await _answer(desk, "hall", asked, "decline", "Ben")
            assert (own.status_code, "its own end" in own.json()["detail"]) == (409, True)
            assert (await _answer(desk, "town", asked, person="Ben")).json()["state"] == "agreed"
            await keys.revoke(connection, hall, reason="lost", by=by)
            await keys.revoke(connection, hall, reason="lost", by=by)  # twice is as good as once
        assert (await desk.get("hall", "/v1/agreements")).status_code == 401
        (shown,) = await desk.walk("town", "/v1/requests")
        assert (shown["state"], shown["asked"]["role"]) == ("done", "command")


async def test_what_two_have_to_want_is_applied_by_command_once_it_is_given_again(
    database: str,
) -> None:
    async with _two(database) as desk:
        third, by = PROGRAMME.model_copy(update={"version": 3}), at_the_command_line("Ann")
        async with desk.house.pool.acquire() as connection:
            with pytest.raises(AgreementNeeded) as needed:
                await apply(connection, third, by=by)
            asked = {"request_id": str(await four_eyes.ask(connection, needed.value.act, by))}
            assert (await _answer(desk, "town", asked, person="Ben")).json()["state"] == "agreed"
            assert (await apply(connection, third, by=by)).already is False
            assert (await apply(connection, third, by=by)).already is True
            fourth = PROGRAMME.model_copy(update={"version": 4, "four_eyes": None})
            with pytest.raises(AgreementNeeded):  # the version that rules says who has to want it
                await apply(connection, fourth, by=by)


async def test_open_requests_of_a_party_have_a_bound(database: str) -> None:
    async with a_desk(database) as desk, desk.house.pool.acquire() as connection:
        await connection.execute(
            "insert into four_eyes_request (request_id, kind, party, about, digest, content, role,"
            " expires_at) select gen_random_uuid(), 'close', 'town', 'x', sha256(n::text::bytea),"
            " '{}', 'command', clock_timestamp() + interval '1 day'"
            "  from generate_series(1, $1) n",
            MOST_OPEN,
        )
        with pytest.raises(TooManyRequests, match=f"may have {MOST_OPEN}"):
            await four_eyes.ask(connection, ACT, at_the_command_line("Ann"))
