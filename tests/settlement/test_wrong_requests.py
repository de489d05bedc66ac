"""What does not fit is refused by its name, on every route, and never answered as our failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from services.evaluator.api import routes as evaluator_routes
from services.settlement.api import ROUTERS
from services.shell.http.cursors import encode_cursor
from tests.settlement.builders import an_agreement, an_evaluation
from tests.settlement.desk import Desk, a_desk
from tests.settlement.test_with_evaluator import a_desk_beside_the_evaluator, the_evaluators_door

FINE = {
    "agreement": "hosting",
    "period": "2025-01",
    "version": "1",
    "number": "1",
    "line": "uptime",
}
HUGE = "9" * 23
WRONG = {
    "period": (
        *("january", "2025-13", "2025-1", "0000-01", "0001-01-01", "9999", "9999-12-31"),
        *("2025-02-30", "２０２５-01", "-", "2025-01%0A"),
    ),
    "number": (HUGE, "0", "-1", "one", "1.5"),
    "version": (HUGE, "one"),
    "entry_id": ("1", HUGE),
    "run_id": ("1",),
    "dispute_id": ("none",),
    "request_id": ("none",),
    "item_id": ("1", "none", HUGE),
    "order_id": ("1", "none", HUGE),
    "revision": (HUGE, "0", "-1", "3000000000", "one"),
    "limit": (HUGE, "0", "501"),
    "as_of": ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2025-01-31", "now"),
    "cursor": ("x", encode_cursor("refused", 2**70, 1), encode_cursor("refused", 1, HUGE)),
    "state": ("opened",),
    "all_revisions": ("perhaps",),
}
GETS = [
    route
    for router in (*ROUTERS, evaluator_routes)
    for route in router.routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ())
]


def _filled(path: str, **given: str) -> str:
    return re.sub(r"{(\w+)(?::path)?}", lambda found: {**FINE, **given}.get(found[1], "x"), path)


def _wrong(route: APIRoute) -> Iterator[str]:
    """Addresses of a route with one thing wrong in each."""
    for name in re.findall(r"{(\w+)(?::path)?}", route.path):
        yield from (_filled(route.path, **{name: wrong}) for wrong in WRONG.get(name, ()))
        yield _filled(route.path, **{name: "a%00b"})
    fine = _filled(route.path)
    for parameter in route.dependant.query_params:
        yield f"{fine}?{parameter.alias}=a%00b"
        yield from (f"{fine}?{parameter.alias}={w}" for w in WRONG.get(parameter.alias, ()))
    yield f"{fine}?nonsense=1"


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)
async def test_nothing_wrong_in_an_address_is_our_failure(route: APIRoute, database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        ours = route in evaluator_routes.routes
        for address in _wrong(route):
            answer = await (
                the_evaluators_door(desk).get(address) if ours else desk.get("operator", address)
            )
            assert 400 <= answer.status_code < 500, (address, answer.text)
            assert answer.headers["content-type"] == "application/problem+json", address
            told = answer.json()
            assert told.get("errors") or told["detail"], (address, answer.text)


async def test_a_misspelt_filter_is_refused_instead_of_showing_everything(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        answer = await desk.get("town", "/v1/statements?vendr=nimbus")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
        (fault,) = answer.json()["errors"]
        assert (fault["in"], fault["pointer"]) == ("query", "vendr")
        assert "vendor" in fault["remedy"]


@pytest.mark.parametrize("path", ["/v1/statements", "/v1/ledger-entries"])
async def test_a_filter_by_what_is_no_period_is_refused_and_told_how_to_write_one(
    path: str, database: str
) -> None:
    async with a_desk(database) as desk:
        answer = await desk.get("town", path, params={"period": "2025-13"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        assert answer.json()["errors"] == [
            {
                "in": "query",
                "pointer": "period",
                "reason": "'2025-13' names no period",
                "remedy": "write 2025, 2025-H1, 2025-Q1, 2025-01, 2025-W07 or 2025-01-31, or from "
                "another day 2025-02-15_P1M",
            }
        ]


async def test_a_filter_by_an_unknown_name_is_not_found_and_tells_nothing_of_others(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9600, agreement="network"))
        for path in ("/v1/statements", "/v1/ledger-entries", "/v1/disputes", "/v1/runs"):
            texts = set()
            for name in ("network", "nothing"):
                answer = await desk.get("nimbus", path, params={"agreement": name})
                assert answer.status_code == 404, (path, answer.text)
                texts.add(re.sub('"trace_id".*', "", answer.text).replace(name, "..."))
            assert len(texts) == 1, "another vendor's agreement is told apart from none"
        for path in ("/v1/statements", "/v1/ledger-entries", "/v1/balances"):
            for name, expected in (("cirrus", 404), ("nobody", 404), ("nimbus", 200)):
                answer = await desk.get("nimbus", path, params={"vendor": name})
                assert answer.status_code == expected, (path, name)
            assert (await desk.get("town", path, params={"vendor": "cirrus"})).status_code == 200


async def test_an_order_for_what_is_no_period_is_told_the_field_and_the_remedy(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        dispute = {"line": "uptime", "comment": "No."}
        for who, path, more in (("town", "/v1/closes", {}), ("nimbus", "/v1/disputes", dispute)):
            order = {"agreement": "hosting", "period": "2025-13", **more}
            answer = await desk.post(who, path, order)
            assert answer.status_code == 422
            (fault,) = answer.json()["errors"]
            assert fault["pointer"] == "/period"
            assert fault["reason"] == "'2025-13' names no period"
            assert fault["remedy"].startswith("write 2025")
        other_length = await desk.post(
            "town", "/v1/closes", {"agreement": "hosting", "period": "2025-Q1"}
        )
        assert other_length.status_code == 422
        assert "settled by month" in other_length.json()["detail"]


async def test_what_the_evaluator_finds_wrong_is_passed_on_field_by_field(database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        door = the_evaluators_door(desk)
        answer = await door.post(
            "/v1/closes", json={"agreement": "H", "prd": 1}, headers={"idempotency-key": "k"}
        )
        assert answer.status_code == 422
        assert {each["pointer"] for each in answer.json()["errors"]} == {
            "/agreement",
            "/period",
            "/prd",
        }
        verdict = await desk.get("operator", "/v1/events/a/b/c")
        assert verdict.status_code < 500


async def test_a_text_that_no_database_takes_is_refused_by_its_place(database: str) -> None:
    async with a_desk(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        dispute: dict[str, Any] = {"agreement": "hosting", "period": "2025-01"}
        answer = await desk.post(
            "nimbus", "/v1/disputes", {**dispute, "line": "a\0", "comment": "b\0"}
        )
        assert answer.status_code == 422
        assert {each["pointer"] for each in answer.json()["errors"]} == {"/line", "/comment"}
        agreement = an_agreement(version=2).model_dump(mode="json")
        named = await desk.post("town", "/v1/agreements", {**agreement, "name": "a\0"})
        assert named.status_code == 422


async def test_a_statement_that_is_not_there_is_told_why_and_where_to_look(database: str) -> None:
    agreements = [an_agreement(needs_charge=True, per_point="5"), an_agreement("network")]
    async with a_desk(database, agreements=agreements) as desk:
        await desk.house.settle(an_evaluation(9700), an_evaluation(9600, agreement="network"))
        for address, code, word in (
            ("/v1/statements/hosting/2025-01", "period-pending", "monthly"),
            ("/v1/statements/hosting/2025-02", "period-open", "/v1/previews/hosting/2025-02"),
            ("/v1/statements/hosting/2025-Q1", "no-such-period", "settled by month"),
            ("/v1/statements/hosting/2024-12", "no-such-period", "from 2025-01-01"),
            ("/v1/statements/network/2025-01?revision=7", "no-such-revision", "latest one is 1"),
            ("/v1/agreements/hosting/evaluations/2025-02", "period-open", "not closed"),
            ("/v1/agreements/hosting/evaluations/2025-01?revision=2", "no-such-revision", "is 1"),
        ):
            answer = await desk.get("town", address)
            assert (answer.status_code, answer.json()["code"]) == (404, code), answer.text
            assert word in answer.json()["detail"], answer.text
            if "evaluations" not in address:
                for_finance = await desk.get("books", address)
                assert for_finance.json()["code"] == code


async def test_why_a_statement_is_not_there_is_nobody_elses_business(database: str) -> None:
    agreements = [an_agreement(needs_charge=True, per_point="5")]
    async with a_desk(database, agreements=agreements) as desk:
        await desk.house.settle(an_evaluation(9700))
        told = set()
        for agreement, period in (
            ("hosting", "2025-01"),
            ("hosting", "2025-02"),
            ("nothing", "2025-01"),
        ):
            answer = await desk.get("cirrus", f"/v1/statements/{agreement}/{period}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
            told.add(answer.json()["title"].replace(agreement, "..."))
        assert told == {"There is no agreement ..., or it is not visible to you."}


ODD: list[Any] = ["", "\0", "a b", "x" * 3000, 10**30, -1, 0, None, [], {}, True, "9999-12-31"]
ODD += ["0001-01-01", "2025-02-30", "99999999999999999999-01-01", "9999", "2025-13", 2**31, 2**63]


@pytest.mark.parametrize("what", ["agreements", "closes", "disputes", "acts"])
async def test_nothing_odd_in_a_body_is_our_failure(what: str, database: str) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        await desk.house.settle(an_evaluation(9700))
        place: dict[str, Any] = {"agreement": "hosting", "period": "2025-01"}
        line = {**place, "line": "uptime", "comment": "No.", "revision": 1}
        raised = (await desk.post("nimbus", "/v1/disputes", line)).json()["dispute_id"]
        who, path, body = {
            "agreements": ("town", "/v1/agreements", an_agreement("odd").model_dump(mode="json")),
            "closes": ("town", "/v1/closes", place),
            "disputes": ("nimbus", "/v1/disputes", line),
            "acts": ("town", f"/v1/disputes/{raised}/acts", {"act": "review", "comment": "Yes."}),
        }[what]
        for name in body:
            for odd in ODD:
                answer = await desk.post(who, path, {**body, name: odd})
                assert answer.status_code < 500, (name, odd, answer.text)
                if answer.status_code >= 400:
                    told = answer.json()
                    assert told.get("errors") or told["detail"], (name, odd, answer.text)
        for odd in ODD:
            assert 400 <= (await desk.post(who, path, odd)).status_code < 500, odd
        assert (await desk.get("town", "/v1/agreements")).status_code == 200


async def _months(desk: Desk) -> tuple[str, str]:
    """The last month that is over and the one that is not, by the clock of the programme's zone."""
    zone = datetime.now(UTC) + timedelta(hours=2)  # never behind Berlin's clock
    last = zone.replace(day=1) - timedelta(days=2)
    return f"{last.replace(day=1) - timedelta(days=1):%Y-%m}", f"{zone:%Y-%m}"


async def test_a_period_that_is_not_over_cannot_be_closed_and_no_version_is_locked_out(
    database: str,
) -> None:
    async with a_desk_beside_the_evaluator(database) as desk:
        over, going_on = await _months(desk)
        for period in (going_on, "2199-05"):
            order = {"agreement": "hosting", "period": period}
            answer = await desk.post("town", "/v1/closes", order, key=period)
            assert (answer.status_code, answer.json()["code"]) == (409, "period-not-over")
            assert "order the close after that" in answer.json()["detail"]
        assert await desk.house.rows("select from close_request") == []
        done = await desk.post("town", "/v1/closes", {"agreement": "hosting", "period": over})
        assert done.status_code == 202, done.text
