"""The settlement API on a real database: what each party sees, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, time, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from fastapi.routing import APIRoute

from schemas.bands import Threshold
from schemas.base import zone_of
from schemas.remedy import DisputeTerms
from schemas.statement import SettlementStatement, canonical
from services.catalogue import keys
from services.catalogue.audit import at_the_command_line
from services.catalogue.four_eyes import RequestedAct, ask
from services.catalogue.store import apply
from services.core.settling.dispute_admission import last_day
from services.core.settling.settlement import settle
from services.core.visibility.parties import parties_of
from services.settlement import dispute_terms, replay
from services.settlement.api import ROUTERS
from services.settlement.balance_store import unlike_the_ledger
from tests.settlement.builders import a_programme, an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.house import House
from tests.settlement.proposing import correction, counted

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
TWO_VENDORS = (
    an_evaluation(9700),
    an_evaluation(9600, agreement="network", source="urn:cirrus:probe/1"),
)


async def test_a_statement_is_shown_with_its_amount_as_text_and_its_tag(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        first = await desk.get("nimbus", "/v1/statements/hosting/2025-01")
        assert first.status_code == 200
        assert first.json()["total"] == {
            "minor_units": 20000,
            "currency": "EUR",
            "amount": "200.00",
        }
        again = await desk.get(
            "nimbus",
            "/v1/statements/hosting/2025-01",
            headers={"If-None-Match": first.headers["etag"]},
        )
        assert (again.status_code, again.content) == (304, b"")


async def test_what_another_process_applied_a_moment_ago_is_there(database: str) -> None:
    async with a_desk(database) as desk:
        for number in range(5):
            name = f"storage-{number}"
            async with desk.house.pool.acquire() as connection:
                await apply(connection, an_agreement(name))
                text = await keys.create(connection, party="town", role="procurement", label=name)
            key = {"Authorization": f"Bearer {text}"}
            answer = await desk.client.get(f"/v1/agreements/{name}", headers=key)
            assert answer.status_code == 200, answer.text
            async with desk.house.pool.acquire() as connection:
                await keys.revoke(connection, text.split("_")[1], reason="lost")
            answer = await desk.client.get(f"/v1/agreements/{name}", headers=key)
            assert answer.status_code == 401


async def test_the_document_is_byte_for_byte_what_anyone_can_compute_again(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        answer = await desk.get("town", "/v1/statements/hosting/2025-01/document")
        (computed,) = settle(
            [an_agreement()],
            [an_evaluation(9700)],
            parties=parties_of([a_programme()]),
            time_zone="Europe/Berlin",
        )
        assert isinstance(computed, SettlementStatement)
        assert answer.content == canonical(computed)
        assert answer.headers["etag"] == f'"{sha256(answer.content).hexdigest()}"'
        again = await desk.get(
            "town",
            "/v1/statements/hosting/2025-01/document",
            headers={"If-None-Match": answer.headers["etag"]},
        )
        assert again.status_code == 304


async def test_an_issued_statement_stays_readable_after_a_newer_revision(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        path = "/v1/statements/hosting/2025-01"
        issued = await desk.get("town", f"{path}/document")
        await desk.house.settle(an_evaluation(9750, revision=2))
        first = await desk.get("town", f"{path}/document", params={"revision": 1})
        latest = await desk.get("town", path)
        assert first.content == issued.content
        assert (latest.json()["revision"], latest.json()["supersedes"]) == (2, 1)
        assert [item["revision"] for item in await desk.walk("town", "/v1/statements")] == [2]
        everything = await desk.walk("town", "/v1/statements", all_revisions=True)
        assert [item["revision"] for item in everything] == [1, 2]


async def test_each_party_sees_its_own_part_of_the_books(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        for path in ("/v1/statements", "/v1/ledger-entries"):
            seen = {
                who: sorted(item["agreement"] for item in await desk.walk(who, path))
                for who in ("nimbus", "cirrus", "town", "books", "operator", "stranger")
            }
            both = ["hosting", "network"]
            assert seen == {
                "nimbus": ["hosting"],
                "cirrus": ["network"],
                "town": both,
                "books": both,
                "operator": both,
                "stranger": [],
            }


async def _addresses(desk: Desk) -> list[str]:
    """Every GET address of the API, filled with what belongs to nimbus."""
    (entry,) = await desk.walk("nimbus", "/v1/ledger-entries")
    (run,) = await desk.walk("nimbus", "/v1/runs")
    (line,) = (await desk.get("nimbus", "/v1/statements/hosting/2025-01")).json()["statement"][
        "lines"
    ]
    body = {"agreement": "hosting", "period": "2025-01", "line": line["line"], "comment": "No."}
    dispute = (await desk.post("nimbus", "/v1/disputes", body)).json()
    filled = {
        "agreement": "hosting",
        "period": "2025-01",
        "version": "1",
        "line": line["line"],
        "entry_id": entry["entry_id"],
        "run_id": run["run_id"],
        "dispute_id": dispute["dispute_id"],
        "request_id": await _asked_for(desk),
        "proposal_id": (await desk.walk("nimbus", "/v1/proposals"))[0]["proposal_id"],
        "item_id": (await desk.walk("nimbus", "/v1/quarantine"))[0]["item_id"],
        "order_id": str(desk.api.state.parts.seal.hide("close", 1)),
        "source": "urn%3Animbus%3Aprobe%2F1",
        "event_id": "m-1",
    }
    return [
        re.sub(r"{(\w+)(?::path)?}", lambda found: filled[found[1]], route.path)
        for route in ROUTES
        if "GET" in (route.methods or ())
    ]


async def test_no_route_shows_a_vendor_anything_of_another(database: str) -> None:
    """Lists leave it out, single things are not found, and no body names the other vendor."""
    async with a_desk(database) as desk:
        await desk.house.settle(counted(correction("taken-back", "2025-01")), TWO_VENDORS[1])
        await _conflict(desk)
        desk.elsewhere.previews[("hosting", "2025-01")] = an_evaluation(9700)
        addresses = await _addresses(desk)
        assert len(addresses) >= 20
        for address in addresses:
            own = await desk.get("nimbus", address)
            other = await desk.get("cirrus", address)
            if address == "/v1/refused-evaluations":
                assert (own.status_code, other.status_code) == (403, 403)
                continue
            assert own.status_code == 200, (address, own.text)
            single = "hosting" in address or address.rpartition("/")[2] not in LISTS
            assert other.status_code == (404 if single else 200), (address, other.text)
            if not single:
                assert b"hosting" not in other.content, address
                assert b"nimbus" not in other.content, address


LISTS = {
    "agreements",
    "statements",
    "ledger-entries",
    "balances",
    "runs",
    "pending",
    "restatements",
    "quarantine",
    "usage",
    "disputes",
    "dispute-states",
    "audit",
    "requests",
    "proposals",
}


async def _asked_for(desk: Desk) -> str:
    act = RequestedAct("decision", "nimbus", 1, "claim", "{}", bytes(24))
    async with desk.house.pool.acquire() as connection, connection.transaction():
        return str(await ask(connection, act, at_the_command_line(None)))


async def _conflict(desk: Desk) -> None:
    await desk.house.pool.execute(
        "insert into quarantine_item (reason, id128, payload, source, event_id, partition,"
        " first_offset, told, held, problem) values ('conflict', '\\x01', '\\x02',"
        " 'urn:nimbus:probe/1', 'm-1', 0, 0, '{\"good\": 1}', '{\"good\": 2}', 'Told twice.')"
    )


async def test_what_others_may_not_do_is_refused_by_role(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        close = {"agreement": "hosting", "period": "2025-02"}
        agreement = an_agreement(version=2).model_dump(mode="json")
        for who, path, body in (
            ("nimbus", "/v1/closes", close),
            ("books", "/v1/closes", close),
            ("nimbus", "/v1/agreements", agreement),
            ("probe", "/v1/agreements", agreement),
            ("books", "/v1/disputes", {**close, "line": "x", "comment": "No."}),
        ):
            answer = await desk.post(who, path, body)
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
        assert (await desk.get("probe", "/v1/statements")).status_code == 403
        assert (await desk.get("books", "/v1/agreements")).status_code == 403
        stranger = await desk.post("stranger", "/v1/closes", close)
        assert stranger.status_code == 404
        assert desk.elsewhere.closes == []


async def test_a_request_without_a_key_is_told_how_to_bring_one(database: str) -> None:
    async with a_desk(database) as desk:
        none, wrong = "The request has no key.", "This key is not known or was revoked."
        for sent, title in ((None, none), ("Bearer eb_none_none", wrong), ("Basic x", none)):
            header = {"Authorization": sent} if sent else {}
            answer = await desk.client.get("/v1/statements", headers=header)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.json()["code"], answer.json()["title"]) == ("not-authenticated", title)


async def test_balances_say_who_owes_what_now_and_then(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        (entry,) = await desk.walk("town", "/v1/ledger-entries")
        await desk.house.settle(an_evaluation(9750, revision=2))
        now = (await desk.get("books", "/v1/balances")).json()
        then = (
            await desk.get("books", "/v1/balances", params={"as_of": entry["recorded_at"]})
        ).json()
        (balance,) = now["items"]
        assert (balance["owes"], balance["owed"]["amount"]) == ("vendor", "150.00")
        assert {
            each["account"]: each["balance"]["minor_units"] for each in balance["accounts"]
        } == {
            "vendor:nimbus:owes": 15000,
            "buyer:town:service_credits": -15000,
        }
        assert then["items"] == []


async def test_a_balance_that_is_not_the_sum_of_its_entries_is_found(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        pool = desk.house.pool
        assert await unlike_the_ledger(pool) is None
        await pool.execute(
            "insert into account_balance select vendor, buyer, currency, account, position + 1,"
            " minor_units + 1, recorded_at from account_balance where minor_units > 0"
        )
        found = await unlike_the_ledger(pool)
        assert found["account"] == "vendor:nimbus:owes"
        assert found["kept"] == found["summed"] + 1


async def test_an_amount_is_led_back_to_rule_term_figure_window_and_event_ids(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        events = [("urn:nimbus:probe/1", f"m-{number}") for number in range(7)]
        events[3] = ("urn:cirrus:probe/1", "hidden")
        desk.elsewhere.facts[("hosting", "availability", "2025-01")] = events
        statement = (await desk.get("nimbus", "/v1/statements/hosting/2025-01")).json()
        line = statement["statement"]["lines"][0]["line"]
        path = f"/v1/statements/hosting/2025-01/lines/{line}/explanation"
        told = (await desk.get("nimbus", path, params={"limit": 3})).json()
        assert told["amount"]["amount"] == "200.00"
        assert told["contract_version"] == 1
        assert [step["term"] for step in told["steps"]]
        assert any(term["text"] is not None for term in told["terms"])
        (figure,) = told["figures"]
        assert (figure["metric"], figure["value"], figure["good"]) == ("availability", "97", "9700")
        assert figure["window"]["start"] == "2025-01-01T00:00:00Z"
        seen = [each["id"] for each in told["facts"]["items"]]
        withheld = told["facts"]["withheld"]
        while told["facts"]["next"]:
            told = (
                await desk.get("nimbus", path, params={"limit": 3, "cursor": told["facts"]["next"]})
            ).json()
            seen += [each["id"] for each in told["facts"]["items"]]
            withheld += told["facts"]["withheld"]
        assert seen == ["m-0", "m-1", "m-2", "withheld", "m-4", "m-5", "m-6"]
        telling = told["results"][0]["evidence"]["telling"]
        assert [each["id"] for each in telling] == ["miss-1", "withheld-1"]
        assert withheld == 1
        assert told["references"] == []
        (stands,) = (await desk.get("town", path)).json()["references"]
        assert stands == {
            "reference": "withheld-1",
            "vendor": "cirrus",
            "source": "urn:cirrus:probe/1",
            "event": "miss-2",
            "occurrence": None,
        }


async def test_an_older_revision_is_explained_by_the_figures_it_was_made_from(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9750, revision=2))
        statement = (await desk.get("town", "/v1/statements/hosting/2025-01")).json()
        line = statement["statement"]["lines"][0]["line"]
        path = f"/v1/statements/hosting/2025-01/lines/{line}/explanation"
        values = [
            (await desk.get("town", path, params={"revision": revision})).json()["figures"][0][
                "value"
            ]
            for revision in (1, 2)
        ]
        assert values == ["97", "97.5"]


async def test_an_explanation_stands_without_the_evaluator_and_says_what_is_missing(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        desk.elsewhere.away = True
        statement = (await desk.get("town", "/v1/statements/hosting/2025-01")).json()
        line = statement["statement"]["lines"][0]["line"]
        told = await desk.get("town", f"/v1/statements/hosting/2025-01/lines/{line}/explanation")
        assert told.status_code == 200
        assert "does not answer" in told.json()["facts"]["unavailable"]
        assert told.json()["figures"][0]["facts"] == 10_000


async def test_a_preview_settles_an_open_period_in_memory_and_stores_nothing(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        before = await _counts(desk.house)
        desk.elsewhere.previews[("hosting", "2025-02")] = an_evaluation(9500, period="2025-02")
        told = (await desk.get("nimbus", "/v1/previews/hosting/2025-02")).json()
        assert (told["preview"], told["total"]["amount"]) == (True, "400.00")
        assert told["statement"]["period"] == "2025-02"
        assert await _counts(desk.house) == before
        closed = await desk.get("nimbus", "/v1/previews/hosting/2025-01")
        assert (closed.status_code, closed.json()["code"]) == (404, "period-not-open")
        desk.elsewhere.away = True
        away = await desk.get("nimbus", "/v1/previews/hosting/2025-02")
        assert (away.status_code, away.json()["code"]) == (503, "evaluator-away")


async def _counts(house: House) -> list[int]:
    return [
        await house.pool.fetchval(f"select count(*) from {table}")
        for table in ("statement", "ledger_entry", "settlement_run", "outbox", "idempotency")
    ]


async def test_a_preview_says_what_the_period_would_wait_for(database: str) -> None:
    agreements = [an_agreement(needs_charge=True, per_point="5")]
    async with a_desk(database, agreements=agreements) as desk:
        desk.elsewhere.previews[("hosting", "2025-01")] = an_evaluation(9500)
        told = (await desk.get("town", "/v1/previews/hosting/2025-01")).json()
        assert told["statement"] is None
        assert "monthly" in " ".join(told["waits_for"])


async def test_what_waits_is_listed_with_its_reasons(database: str) -> None:
    agreements = [an_agreement(needs_charge=True, per_point="5")]
    async with a_desk(database, agreements=agreements) as desk:
        await desk.house.settle(an_evaluation(9700))
        (waiting,) = await desk.walk("nimbus", "/v1/pending")
        assert (waiting["agreement"], waiting["period"]) == ("hosting", "2025-01")
        assert "monthly" in " ".join(waiting["reasons"])
        assert (waiting["state"], waiting["parked"]) == ("waits", None)


async def test_what_is_parked_is_shown_to_its_own_parties(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise AssertionError("by nothing")

    monkeypatch.setattr(replay, "settle_each", fails)
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9700, period="2025-02"))
        for person in ("nimbus", "town", "operator"):
            first, second = await desk.walk(person, "/v1/pending", limit=1)
            assert (first["agreement"], first["vendor"], first["period"]) == (
                "hosting",
                "nimbus",
                "2025-01",
            )
            assert second["period"] == "2025-02"
            assert (first["state"], first["run_id"]) == ("parked", None)
            said = "by nothing" in first["reasons"][0]  # an exception may say anybody's values
            assert said == (person != "nimbus")
            parked = first["parked"]
            assert (parked["what"], parked["error"], parked["attempts"]) == (
                "evaluation",
                "AssertionError",
                1,
            )
        for person in ("cirrus", "stranger"):
            assert await desk.walk(person, "/v1/pending") == []
        for person in ("nimbus", "town"):
            missing = (await desk.get(person, "/v1/statements/hosting/2025-01")).json()
            assert ("by nothing" in missing["detail"]) == (person != "nimbus")


async def test_other_vendors_parts_of_an_evaluation_are_withheld_and_counted(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        path = "/v1/agreements/hosting/evaluations/2025-01"
        own = (await desk.get("nimbus", path)).json()
        whole = (await desk.get("town", path)).json()
        telling = [
            answer["evaluation"]["figures"][0]["evidence"]["telling"] for answer in (own, whole)
        ]
        assert [[one["id"] for one in each] for each in telling] == [
            ["miss-1", "withheld-1"],
            ["miss-1", "miss-2"],
        ]
        assert (own["withheld"], whole["withheld"]) == (1, 0)
        assert own["references"] == []
        assert [one["event"] for one in whole["references"]] == ["miss-2"]


async def test_a_version_is_applied_once_however_often_it_is_sent_in_parallel(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        body = an_agreement(version=2, effective_from="2025-03-01").model_dump(mode="json")
        answers = await asyncio.gather(
            *(desk.post("town", "/v1/agreements", body, key="same") for _ in range(8))
        )
        kept = [answer for answer in answers if answer.status_code != 409]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in kept}) == 1
        again = await desk.post("town", "/v1/agreements", body, key="same")
        assert again.content == kept[0].content
        assert again.headers["idempotency-hit"] == "true"
        rows = await desk.house.rows("select from agreement_version where agreement = 'hosting'")
        assert len(rows) == 2
        other = await desk.post("town", "/v1/agreements", {**body, "version": 3}, key="same")
        assert (other.status_code, other.json()["code"]) == (422, "key-used-otherwise")
        shown = (await desk.get("town", "/v1/agreements/hosting")).json()
        assert [version["version"] for version in shown["versions"]] == [1, 2]


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({}, "the body is in language 1 of contracts; this release reads 2"),
        ({"language": 1}, "the body is in language 1 of contracts; this release reads 2"),
        ({"language": 7}, "7 is no language of contracts that this release reads"),
    ],
)
async def test_a_body_of_another_language_is_refused_with_the_way_to_upgrade_it(
    database: str, stated: dict[str, int], reason: str
) -> None:
    async with a_desk(database) as desk:
        body = an_agreement(version=2, effective_from="2025-03-01").model_dump(mode="json")
        del body["language"], body["conventions"]
        answer = await desk.post("town", "/v1/agreements", {**body, **stated})
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {
                "in": "body",
                "pointer": "/language",
                "reason": reason,
                "remedy": "save the body as a file, run earnback contract upgrade FILE, and send "
                "that",
            }
        ]


async def test_a_version_that_reaches_back_is_told_from_when_it_rules(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9700, period="2025-02"))
        reaching_back = an_agreement(version=2, effective_from="2025-02-01", per_point="500")
        body = reaching_back.model_dump(mode="json")
        applied = await desk.post("town", "/v1/agreements", body)
        assert applied.json()["rules_from"] == "2025-03-01"


async def test_what_contract_check_refuses_is_refused_here_and_not_stored(database: str) -> None:
    """Each of these was stored, and ended every process that read it from then on."""
    fine = an_agreement("odd", needs_charge=True).model_dump(mode="json")
    level = fine["levels"][0]
    wrong = {
        "/levels/0/credits/0/rate/base": {**fine, "bases": []},
        "/levels/0/metric": {**fine, "levels": [{**level, "metric": "nothing"}]},
        "/effective_until": {**fine, "effective_until": "2024-01-01"},
        "/effective_from": {**fine, "effective_from": "9999-12-01"},
    }
    async with a_desk(database) as desk:
        for pointer, body in wrong.items():
            answer = await desk.post("town", "/v1/agreements", body)
            assert answer.status_code == 422, answer.text
            told = {each["pointer"]: each for each in answer.json()["errors"]}
            assert pointer in told, told
            assert all(each["reason"] and each["remedy"] for each in told.values())
        assert await desk.house.rows("select from agreement_version where agreement = 'odd'") == []
        applied = await desk.post("town", "/v1/agreements", fine)
        assert applied.status_code == 201, applied.text


async def test_a_version_applied_again_is_told_from_when_it_has_ruled(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        again = await desk.post("town", "/v1/agreements", an_agreement().model_dump(mode="json"))
        assert (again.status_code, again.json()["already"]) == (200, True)
        assert again.json()["rules_from"] == "2025-01-01"


async def test_a_changed_text_under_an_applied_version_is_refused(database: str) -> None:
    async with a_desk(database) as desk:
        body = an_agreement(per_point="1").model_dump(mode="json")
        answer = await desk.post("town", "/v1/agreements", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "version-not-applicable")
        assert "give the changed text the version 2" in answer.json()["detail"]


async def test_every_post_needs_an_idempotency_key(database: str) -> None:
    async with a_desk(database) as desk:
        bodies: dict[str, tuple[str, Any]] = {
            "/v1/agreements": ("town", an_agreement(version=2).model_dump(mode="json")),
            "/v1/closes": ("town", {"agreement": "hosting", "period": "2025-01"}),
            "/v1/restatements": ("town", {"agreement": "hosting", "reason": "as agreed"}),
            "/v1/disputes": (
                "nimbus",
                {"agreement": "hosting", "period": "2025-01", "line": "x", "comment": "No."},
            ),
            "/v1/disputes/{dispute_id}/acts": ("town", {"act": "review", "comment": "Looking."}),
            "/v1/requests/{request_id}/answers": ("town", {"answer": "agree", "reason": "Yes."}),
            "/v1/proposals/{proposal_id}/accept": ("town", {"reason": "It was so."}),
            "/v1/proposals/{proposal_id}/reject": ("town", {"reason": "It was not so."}),
        }
        posts = [route.path for route in ROUTES if "POST" in (route.methods or ())]
        assert sorted(posts) == sorted(bodies)
        for path, (who, body) in bodies.items():
            address = re.sub("{.*}", "00000000-0000-0000-0000-000000000000", path)
            answer = await desk.client.post(address, headers=desk.as_(who), json=body)
            assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-needed")


async def test_a_close_is_ordered_with_the_same_key_on_every_retry(database: str) -> None:
    async with a_desk(database) as desk:
        body = {"agreement": "hosting", "period": "2025-01"}
        desk.elsewhere.away = True
        assert (await desk.post("town", "/v1/closes", body, key="k")).status_code == 503
        desk.elsewhere.away = False
        first = await desk.post("town", "/v1/closes", body, key="k")
        again = await desk.post("town", "/v1/closes", body, key="k")
        assert (first.status_code, again.content) == (202, first.content)
        location = f"/v1/closes/{first.json()['order_id']}"
        assert first.headers["location"] == again.headers["location"] == location
        assert len(desk.elsewhere.closes) == 1
        assert msgspec.json.decode(desk.elsewhere.closes[0][1]) == body


async def test_a_dispute_goes_its_way_and_keeps_its_history(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        statement = (await desk.get("nimbus", "/v1/statements/hosting/2025-01")).json()
        line = statement["statement"]["lines"][0]["line"]
        body = {
            "agreement": "hosting",
            "period": "2025-01",
            "line": line,
            "comment": "Our probe says otherwise.",
        }
        foreign = await desk.post("cirrus", "/v1/disputes", body)
        assert foreign.status_code == 404
        nowhere = await desk.post("nimbus", "/v1/disputes", {**body, "line": "none"})
        assert nowhere.status_code == 404
        raised = await desk.post("nimbus", "/v1/disputes", body)
        assert raised.status_code == 201
        acts = f"/v1/disputes/{raised.json()['dispute_id']}/acts"
        twice = await desk.post("nimbus", "/v1/disputes", body)
        assert (twice.status_code, twice.json()["code"]) == (409, "already-disputed")
        assert (await _act(desk, "nimbus", acts, "uphold")).status_code == 403
        assert (await _act(desk, "cirrus", acts, "withdraw")).status_code == 404
        early = await _act(desk, "town", acts, "uphold")
        assert (early.status_code, early.json()["code"]) == (409, "act-not-allowed")
        assert early.json()["title"] == "That step is not possible in the dispute's present state."
        assert (await _act(desk, "town", acts, "review")).json()["state"] == "under_review"
        upheld = (await _act(desk, "town", acts, "uphold")).json()
        assert [step["state"] for step in upheld["history"]] == [
            "raised",
            "under_review",
            "upheld",
        ]
        assert [step["actor"] for step in upheld["history"]] == ["nimbus", "town", "town"]
        (listed,) = await desk.walk("nimbus", "/v1/disputes", state="upheld")
        assert listed == upheld
        assert await desk.walk("cirrus", "/v1/disputes") == []


async def test_the_buyer_disputes_too_and_the_vendor_decides(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        body = {
            "agreement": "hosting",
            "period": "2025-01",
            "line": "uptime",
            "comment": "It was down for longer.",
        }
        raised = await desk.post("town", "/v1/disputes", body)
        assert (raised.status_code, raised.json()["raised_by"]) == (201, "buyer")
        acts = f"/v1/disputes/{raised.json()['dispute_id']}/acts"
        own = await _act(desk, "town", acts, "review")
        assert (own.status_code, own.json()["code"]) == (403, "not-allowed")
        assert (await _act(desk, "nimbus", acts, "withdraw")).status_code == 403
        assert (await _act(desk, "cirrus", acts, "review")).status_code == 404
        assert (await _act(desk, "nimbus", acts, "review")).json()["state"] == "under_review"
        upheld = await _act(desk, "nimbus", acts, "uphold")
        assert (upheld.json()["state"], upheld.json()["raised_by"]) == ("upheld", "buyer")


async def test_what_the_contract_no_longer_admits_is_refused_with_the_last_day(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = DisputeTerms(
        circumstance="dispute",
        working_days=2,
        holidays=(),
        effect=Threshold(at_least="3000"),
        needs_error=True,
        disputed_amount="withheld",
    )
    agreement = an_agreement().model_copy(update={"disputes": terms})
    async with a_desk(database, agreements=[agreement]) as desk:
        await desk.house.settle(an_evaluation(9700))
        body = {"agreement": "hosting", "period": "2025-01", "line": "uptime", "comment": "No."}
        for more, pointers in (
            ({}, ["/effect", "/error"]),
            ({"effect": "2999.99", "error": True}, ["/effect"]),
            ({"effect": 3000, "error": False}, ["/error"]),
        ):
            refused = await desk.post("town", "/v1/disputes", {**body, **more})
            assert (refused.status_code, refused.json()["code"]) == (422, "dispute-not-admitted")
            assert [each["pointer"] for each in refused.json()["errors"]] == pointers
            assert all(each["reason"] and each["remedy"] for each in refused.json()["errors"])
        body |= {"effect": 3000, "error": True}
        zone = zone_of("Europe/Berlin")
        last = last_day(terms, datetime.now(zone).date())
        after = datetime.combine(last + timedelta(days=1), time(0, 1), zone)
        monkeypatch.setattr(dispute_terms, "now", lambda: after)
        for who in ("nimbus", "town"):
            late = await desk.post(who, "/v1/disputes", body)
            assert (late.status_code, late.json()["code"]) == (409, "dispute-too-late")
            assert f"until {last}" in late.json()["detail"]
        monkeypatch.setattr(dispute_terms, "now", lambda: after - timedelta(minutes=2))
        raised = await desk.post("town", "/v1/disputes", body)
        assert raised.status_code == 201, raised.text
        assert (raised.json()["effect"], raised.json()["error"]) == ("3000", True)


async def test_figures_measurements_and_their_absence_are_disputed_and_shown(database: str) -> None:
    """Both parties find them in the list, in what is pending and in the explanation; others not."""
    window = {"start": "2025-01-12T00:00:00Z", "end": "2025-01-13T00:00:00Z"}
    place = {"agreement": "hosting", "period": "2025-01", "comment": "No."}
    figure = {"figure": {"metric": "availability"}}
    event = {"measurement": {"source": "urn:nimbus:probe/1", "id": "m-1"}}
    absence = {"absence": {"metric": "availability", "window": window}}
    async with a_desk(database) as desk:
        early = await desk.post("town", "/v1/disputes", {**place, **absence, "period": "2025-02"})
        assert early.status_code == 422, "the window lies in another period"
        first = await desk.post("nimbus", "/v1/disputes", {**place, **absence})
        assert (first.status_code, first.json()["revision"]) == (201, None), first.text
        open_period = await desk.post("town", "/v1/disputes", {**place, **figure})
        assert (open_period.status_code, open_period.json()["code"]) == (404, "period-open")
        await desk.house.settle(*TWO_VENDORS)
        assert (await desk.post("town", "/v1/disputes", {**place, **figure})).status_code == 201
        seen = await desk.post("nimbus", "/v1/disputes", {**place, **event})
        assert (seen.status_code, seen.json()["metric"]) == (201, "availability"), seen.text
        again = await desk.post("town", "/v1/disputes", {**place, **event})
        assert (again.status_code, again.json()["code"]) == (409, "already-disputed")
        for who in ("nimbus", "town"):
            assert len(await desk.walk(who, "/v1/disputes")) == 3
            waiting = await desk.walk(who, "/v1/pending", limit=2)
            assert [one["state"] for one in waiting] == ["disputed"] * 3
            line = "/v1/statements/hosting/2025-01/lines/uptime/explanation"
            told = (await desk.get(who, line)).json()["disputes"]
            assert [one["raised_by"] for one in told] == ["vendor", "buyer", "vendor"]
        for who in ("cirrus", "stranger"):
            assert await desk.walk(who, "/v1/disputes") == await desk.walk(who, "/v1/pending") == []
        acts = f"/v1/disputes/{first.json()['dispute_id']}/acts"
        assert (await _act(desk, "nimbus", acts, "withdraw")).status_code == 200
        assert len(await desk.walk("town", "/v1/pending")) == 2
        assert (await desk.post("town", "/v1/disputes", {**place, **absence})).status_code == 201


async def test_what_cannot_be_disputed_is_refused_by_its_place(database: str) -> None:
    place = {"agreement": "hosting", "period": "2025-01", "comment": "No."}
    of_cirrus = {"measurement": {"source": "urn:cirrus:probe/1", "id": "m-1"}}
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        for who, more, status, pointer in (
            ("nimbus", {}, 422, ""),
            ("nimbus", {"line": "uptime", "figure": {"metric": "availability"}}, 422, ""),
            ("nimbus", {"figure": {"metric": "availability"}, "revision": 1}, 422, "/revision"),
            ("nimbus", {"figure": {"metric": "nothing"}}, 404, None),
            ("nimbus", of_cirrus, 404, None),
            ("town", of_cirrus, 422, "/measurement"),
            ("books", {"line": "uptime"}, 403, None),
        ):
            answer = await desk.post(who, "/v1/disputes", {**place, **more})
            assert answer.status_code == status, (who, more, answer.text)
            if pointer is not None:
                (fault,) = answer.json()["errors"]
                assert (fault["pointer"], bool(fault["remedy"])) == (pointer, True)


async def _act(desk: Desk, who: str, path: str, act: str) -> Any:
    return await desk.post(who, path, {"act": act, "comment": "So it is."})


async def test_a_line_is_disputed_once_when_raised_many_times_at_once(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        statement = (await desk.get("nimbus", "/v1/statements/hosting/2025-01")).json()
        line = statement["statement"]["lines"][0]["line"]
        body = {"agreement": "hosting", "period": "2025-01", "line": line, "comment": "No."}
        answers = await asyncio.gather(
            *(desk.post("nimbus", "/v1/disputes", body) for _ in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


async def test_a_walk_over_pages_loses_and_repeats_nothing_while_others_write(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(
            *(an_evaluation(9700, period=f"2025-{month:02d}") for month in range(1, 13))
        )
        known = [item["entry_id"] for item in await desk.walk("town", "/v1/ledger-entries")]

        async def write() -> None:
            settler = House(desk.house.pool, offset=1000)
            for month in range(1, 13):
                await settler.settle(
                    an_evaluation(9600, agreement="network", period=f"2025-{month:02d}")
                )

        writing = asyncio.ensure_future(write())
        walks = []
        while not writing.done():
            walks.append(
                [
                    (item["position"], item["entry_id"])
                    for item in await desk.walk("operator", "/v1/ledger-entries", limit=2)
                ]
            )
        await writing
        assert len(walks) > 1
        for walk in walks:
            assert len(set(walk)) == len(walk)
            assert walk == sorted(walk)
            assert {entry for _, entry in walk} >= set(known)
        whole = await desk.walk("operator", "/v1/ledger-entries", limit=5)
        assert len(whole) == 24
        # Each walk is the book as it stood at its beginning: a prefix of the whole.
        for walk in walks:
            assert walk == [(item["position"], item["entry_id"]) for item in whole[: len(walk)]]


async def test_a_cursor_of_another_list_is_refused(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(*TWO_VENDORS)
        page = (await desk.get("town", "/v1/ledger-entries", params={"limit": 1})).json()
        for path, params in (
            ("/v1/statements", {}),
            ("/v1/ledger-entries", {"vendor": "cirrus"}),
        ):
            answer = await desk.get("town", path, params={**params, "cursor": page["next"]})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad-cursor")


async def test_a_verdict_reaches_the_evaluator_with_slashes_in_both_parts(database: str) -> None:
    async with a_desk(database) as desk:
        address = "/v1/events/urn%3Animbus%3Aprobe%2F1/a%2Fb"
        told = await desk.get("nimbus", address)
        assert (told.json()["source"], told.json()["id"]) == ("urn:nimbus:probe/1", "a/b")
        assert told.json()["standing"] == "accepted"
        for who in ("cirrus", "stranger"):
            assert (await desk.get(who, address)).status_code == 404


async def test_what_was_set_aside_is_shown_with_both_payloads(database: str) -> None:
    async with a_desk(database) as desk:
        await _conflict(desk)
        (item,) = await desk.walk("nimbus", "/v1/quarantine")
        whole = (await desk.get("nimbus", f"/v1/quarantine/{item['item_id']}")).json()
        assert (whole["told"], whole["held"]) == ({"good": 1}, {"good": 2})
        assert await desk.walk("cirrus", "/v1/quarantine") == []


async def test_each_party_sees_what_is_kept_of_its_refused_events(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.pool.execute(
            "insert into refusal_count (party, day, part, code, kept, kept_bytes, beyond,"
            " beyond_bytes, digest, sample) values"
            " ('nimbus', '2025-01-31', 'http', 'conflict', 2, 20, 0, 0, '', null),"
            " ('nimbus', '2025-01-31', 'http', 'not-json', 1, 10, 0, 0, '', null),"
            " ('nimbus', '2025-01-31', 'intake.nimbus/0', 'not-json', 1, 10, 3, 30, 'd', 's'),"
            " ('nimbus', '2025-02-01', 'http', 'not-json', 1, 10, 0, 0, '', null),"
            " ('cirrus', '2025-01-31', 'http', 'not-json', 1, 10, 0, 0, '', null),"
            " ('operator', '2025-01-31', 'http', 'not-json', 1, 10, 0, 0, '', null)"
        )
        first, second = await desk.walk("nimbus", "/v1/usage")
        assert (first["kept"], first["kept_bytes"], first["beyond"]) == (4, 40, 3)
        assert first["codes"] == {"conflict": 2, "not-json": 5}
        assert (first["quota_events"], first["kept_until"]) == (2000, "2025-05-01")
        assert second["day"] == "2025-02-01"
        assert (first["subjects"], first["quota_subjects"]) == ({}, 10_000)
        await desk.house.pool.execute(
            "insert into subject_count (party, metric, subjects)"
            " select party, (select min(number) from metric_number), 7"
            "   from unnest(array['nimbus', 'cirrus']) party"
        )
        (*_, today) = await desk.walk("nimbus", "/v1/usage")
        assert list(today["subjects"].values()) == [7]
        assert next(iter(today["subjects"])).count("/") == 1
        assert (today["kept"], today["beyond"], today["codes"]) == (0, 0, {})
        seen = {
            who: {each["party"] for each in await desk.walk(who, "/v1/usage")}
            for who in ("nimbus", "town", "operator")
        }
        assert seen["nimbus"] == {"nimbus"}
        assert seen["operator"] == {"nimbus", "cirrus", "operator"}
        assert "operator" not in seen["town"]


async def test_a_refused_correction_leaves_the_list_once_it_applies(database: str) -> None:
    async with a_desk(database) as desk:
        number = await desk.house.pool.fetchval(
            "insert into quarantine_item (reason, id128, payload, source, event_id, partition,"
            " first_offset, told, problem) values ('refused_correction', '\\x01', '\\x02',"
            " 'urn:nimbus:probe/1', 'c-1', 0, 0, '{}', '/data/up: no; correct it')"
            " returning number"
        )
        (item,) = await desk.walk("nimbus", "/v1/quarantine")
        assert (item["reason"], item["resolved_at"]) == ("refused_correction", None)
        verdict = (
            "insert into correction_verdict (item, refused, agreement, period)"
            " values ($1, $2, 'hosting', '2025-01')"
        )
        await desk.house.pool.execute(verdict, number, False)
        assert await desk.walk("nimbus", "/v1/quarantine") == []
        whole = (await desk.get("nimbus", f"/v1/quarantine/{item['item_id']}")).json()
        assert whole["resolved_at"] is not None
        await desk.house.pool.execute(verdict, number, True)
        assert len(await desk.walk("nimbus", "/v1/quarantine")) == 1


async def _refused(desk: Desk, party: str, source: str | None, place: int | None) -> None:
    await desk.house.pool.execute(
        "insert into intake_refusal (name, topic, partition, kafka_offset, party, source, code,"
        " detail, problem, headers, raw) values ($1, $2, $3, $4, $5, $6, 'not-json', 'No JSON.',"
        ' \'{"code": "not-json"}\', \'{"a": "b"}\', \'\\x00ff\')',
        f"{party}-{source}-{place}",
        None if place is None else f"intake.{party}",
        None if place is None else 0,
        place,
        party,
        source,
    )


async def test_what_the_doors_refused_is_shown_to_its_sender_beside_what_was_set_aside_later(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await _refused(desk, "nimbus", None, 7)
        await _conflict(desk)
        await _refused(desk, "nimbus", "urn:nimbus:probe/1", None)
        listed = await desk.walk("nimbus", "/v1/quarantine", limit=1)
        assert [each["set_aside_by"] for each in listed] == ["ingest", "evaluator", "ingest"]
        whole = (await desk.get("nimbus", f"/v1/quarantine/{listed[0]['item_id']}")).json()
        assert (whole["raw_base64"], whole["place"]) == ("AP8=", "intake.nimbus/0/7")
        assert (whole["document"], whole["headers"]) == ({"code": "not-json"}, {"a": "b"})
        assert (whole["source"], whole["problem"], whole["party"]) == (None, "No JSON.", "nimbus")


async def test_nobody_sees_what_others_sent_to_the_doors(database: str) -> None:
    async with a_desk(database) as desk:
        # Cirrus speaks for a source of Nimbus: its bytes are not for Nimbus to see.
        await _refused(desk, "cirrus", "urn:nimbus:probe/1", 1)
        await _refused(desk, "elsewhere", None, 2)
        await _refused(desk, "elsewhere", "urn:nimbus:probe/1", 3)
        assert await desk.walk("nimbus", "/v1/quarantine") == []
        (item,) = await desk.walk("cirrus", "/v1/quarantine")
        for stranger in ("nimbus", "stranger"):
            answer = await desk.get(stranger, f"/v1/quarantine/{item['item_id']}")
            assert answer.status_code == 404
        assert [each["party"] for each in await desk.walk("town", "/v1/quarantine")] == ["cirrus"]
        assert len(await desk.walk("operator", "/v1/quarantine")) == 3


async def test_the_operator_sees_evaluations_that_can_never_be_settled(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700, agreement="nobody"))
        (refused,) = await desk.walk("operator", "/v1/refused-evaluations")
        assert "not applied" in refused["reason"]


async def test_a_run_shows_why_it_was_made_and_what_it_posted(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9750, revision=2))
        first, second = await desk.walk("town", "/v1/runs", agreement="hosting", limit=1)
        assert (first["reason"], second["reason"]) == ("closed", "late_facts")
        whole = (await desk.get("town", f"/v1/runs/{second['run_id']}")).json()
        assert [(each["period"], each["revision"]) for each in whole["posted"]] == [("2025-01", 2)]


async def test_pages_of_health_need_no_key(database: str) -> None:
    async with a_desk(database) as desk:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await desk.client.get(path)).status_code == 200
