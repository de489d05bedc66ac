"""A new release never restates by itself: what differs is held, shown, and posted by order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.statement import RULES, SettlementStatement
from services.core.books.ledger import content_digest
from services.settlement import restatement
from services.settlement.restatement import watch
from tests.settlement.builders import (
    a_programme,
    a_shared_cap,
    an_agreement,
    an_evaluation,
)
from tests.settlement.desk import Desk, a_desk
from tests.settlement.house import House, a_house
from tests.settlement.older import settled_by_an_older_release

PATH = "/v1/restatements"


async def _two_older_months(house: House) -> None:
    """January as today's rules have it, February with 150.00 where they have 100.00."""
    await settled_by_an_older_release(house, an_evaluation(9700), 20000)
    await settled_by_an_older_release(house, an_evaluation(9800, period="2025-02"), 15000)


async def _statements(house: House) -> list[tuple[Any, ...]]:
    rows = await house.rows(
        "select period, revision, total_minor, rules from statement order by position"
    )
    return [tuple(row.values()) for row in rows]


AS_LEFT = [("2025-01", 1, 20000, 1), ("2025-02", 1, 15000, 1)]


async def test_a_later_period_posts_nothing_of_those_that_older_rules_settled(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await _two_older_months(desk.house)
        await desk.house.settle(an_evaluation(9600, period="2025-03"))
        assert await _statements(desk.house) == [*AS_LEFT, ("2025-03", 1, 30000, RULES)]
        assert await desk.house.owed("2025-02") == 15000
        (held,) = await desk.walk("town", PATH)
        assert held == {
            "agreement": "hosting",
            "vendor": "nimbus",
            "period": "2025-02",
            "standing": {"minor_units": 15000, "currency": "EUR", "amount": "150.00"},
            "today": {"minor_units": 10000, "currency": "EUR", "amount": "100.00"},
            "difference": {"minor_units": -5000, "currency": "EUR", "amount": "-50.00"},
            "rules_then": 1,
            "rules_now": RULES,
            "lines": [
                {
                    "line": "uptime",
                    "kind": "service_credit",
                    "level": "uptime",
                    "for_period": "2025-02",
                    "standing": {"minor_units": 15000, "currency": "EUR", "amount": "150.00"},
                    "today": {"minor_units": 10000, "currency": "EUR", "amount": "100.00"},
                }
            ],
            "other": [],
            "waits_for": [],
            "references": [],
        }


async def test_an_order_posts_the_difference_once_and_says_who_and_why(database: str) -> None:
    async with a_desk(database) as desk:
        await _two_older_months(desk.house)
        published = await desk.house.pool.fetchval("select count(*) from outbox")
        order = {"agreement": "hosting", "reason": "release 2 reads part steps as agreed"}
        answers = [await desk.post("town", PATH, order, key="once") for _ in range(2)]
        assert [one.status_code for one in answers] == [201, 201]
        assert answers[0].content == answers[1].content
        run = answers[0].json()
        assert (run["reason"], run["ordered_by"], run["order_reason"]) == (
            "restated",
            "procurement:town",
            order["reason"],
        )
        assert (run["because_of"], run["number"], run["rules"]) == ("2025-02", 3, RULES)
        assert [(one["period"], one["revision"], one["entries"]) for one in run["restated"]] == [
            ("2025-02", 2, 1)
        ]
        assert await _statements(desk.house) == [*AS_LEFT, ("2025-02", 2, 10000, RULES)]
        (entry,) = await desk.house.rows(
            "select minor_units, owed_minor from ledger_entry where run_id = $1", run["run_id"]
        )
        assert entry == {"minor_units": 5000, "owed_minor": -5000}
        assert await desk.house.pool.fetchval("select count(*) from outbox") == published + 2, (
            "finance is told of one statement and one entry"
        )
        assert await desk.walk("town", PATH) == []
        shown = await desk.get("town", f"/v1/runs/{run['run_id']}")
        assert (shown.json()["ordered_by"], shown.json()["statements"]) == ("procurement:town", 1)
        again = await desk.post("town", PATH, order)
        assert (again.status_code, again.json()["code"]) == (409, "nothing-to-restate")


async def test_an_order_for_one_period_leaves_the_others_held(database: str) -> None:
    async with a_desk(database) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700), 90000)
        await settled_by_an_older_release(desk.house, an_evaluation(9800, period="2025-02"), 15000)
        order = {"agreement": "hosting", "periods": ["2025-02"], "reason": "as agreed"}
        assert (await desk.post("operator", PATH, order)).status_code == 201
        assert [one["period"] for one in await desk.walk("town", PATH)] == ["2025-01"]
        wrong = await desk.post("town", PATH, order)
        assert wrong.status_code == 409
        assert wrong.json()["detail"] == (
            "2025-02 has no statement of an earlier version of the rules that today's would "
            "settle otherwise; what can be restated of hosting: 2025-01"
        )


async def test_a_late_fact_settles_its_own_period_and_leaves_the_others_held(
    database: str,
) -> None:
    async with a_desk(database) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700), 90000)
        await settled_by_an_older_release(desk.house, an_evaluation(9800, period="2025-02"), 15000)
        await desk.house.settle(an_evaluation(9750, period="2025-02", revision=2))
        assert (await _statements(desk.house))[2:] == [("2025-02", 2, 15000, RULES)]
        assert await desk.house.owed("2025-01") == 90000
        assert [one["period"] for one in await desk.walk("town", PATH)] == ["2025-01"]


async def test_what_older_rules_settled_alike_is_never_issued_anew(database: str) -> None:
    async with a_desk(database) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700), 20000)
        await desk.house.settle(an_evaluation(9600, period="2025-02"))
        assert [each[:2] for each in await _statements(desk.house)] == [
            ("2025-01", 1),
            ("2025-02", 1),
        ]
        assert await desk.walk("town", PATH) == []


async def test_a_period_that_waits_by_todays_rules_is_shown_and_not_restated(
    database: str,
) -> None:
    priced = an_agreement(needs_charge=True, per_point="10")
    async with a_desk(database, agreements=[priced]) as desk:
        await settled_by_an_older_release(desk.house, an_evaluation(9700, charge="100"), 2000)
        await desk.house.settle(an_evaluation(9700, revision=2))
        (held,) = await desk.walk("town", PATH)
        assert held["today"] is None
        assert held["difference"] is None
        assert any("monthly" in reason for reason in held["waits_for"])
        order = {"agreement": "hosting", "reason": "as agreed"}
        assert (await desk.post("town", PATH, order)).status_code == 409
        named = await desk.post("town", PATH, {**order, "periods": ["2025-01"]})
        assert named.json()["detail"].startswith("2025-01 waits by today's rules; ")
        assert await _statements(desk.house) == [("2025-01", 1, 2000, 1)]


async def test_one_that_shares_a_cap_with_the_evaluated_one_stays_held_too(database: str) -> None:
    capped = a_programme(a_shared_cap("100000"))
    async with a_desk(database, programme=capped) as desk:
        for name in ("hosting", "network"):
            await settled_by_an_older_release(desk.house, an_evaluation(9700, agreement=name), 7)
        await desk.house.settle(
            an_evaluation(9600, period="2025-02"),
            an_evaluation(9600, period="2025-02", agreement="network"),
        )
        assert [await desk.house.owed("2025-01", name) for name in ("hosting", "network")] == [7, 7]
        assert [one["agreement"] for one in await desk.walk("town", PATH)] == ["hosting", "network"]


async def test_orders_and_evaluations_at_once_book_the_difference_once(database: str) -> None:
    async with a_desk(database) as desk:
        await _two_older_months(desk.house)
        order = {"agreement": "hosting", "reason": "as agreed"}
        answers, _ = await asyncio.gather(
            asyncio.gather(*(desk.post("town", PATH, order) for _ in range(4))),
            desk.house.settle(an_evaluation(9600, period="2025-03")),
        )
        assert sorted(one.status_code for one in answers) == [201, 409, 409, 409]
        assert await desk.house.owed("2025-02") == 10000


async def test_who_may_look_and_who_may_order(database: str) -> None:
    async with a_desk(database) as desk:
        await _two_older_months(desk.house)
        await settled_by_an_older_release(desk.house, an_evaluation(9700, agreement="network"), 1)
        assert await _seen(desk, "nimbus") == ["hosting"]
        assert await _seen(desk, "cirrus") == ["network"]
        assert await _seen(desk, "books") == ["hosting", "network"]
        assert await _seen(desk, "stranger") == []
        assert await _seen(desk, "books", agreement="network") == ["network"]
        assert await _seen(desk, "books", limit=1) == ["hosting", "network"]
        order = {"agreement": "hosting", "reason": "as agreed"}
        for who, status in (("nimbus", 403), ("books", 403), ("stranger", 404)):
            assert (await desk.post(who, PATH, order)).status_code == status
        nameless = await desk.post("town", PATH, {"agreement": "hosting"})
        assert nameless.json()["errors"][0]["pointer"] == "/reason"


async def _seen(desk: Desk, who: str, **query: Any) -> list[str]:
    return [one["agreement"] for one in await desk.walk(who, PATH, **query)]


async def test_the_gauge_shows_how_many_periods_are_held(database: str) -> None:
    async with a_house(database) as house:
        await _two_older_months(house)
        with suppress(TimeoutError):
            await asyncio.wait_for(watch(house.pool), 2)  # it goes on for ever
        assert REGISTRY.get_sample_value("earnback_restatements_held") == 1


async def test_an_agreement_that_cannot_be_worked_out_is_parked_and_the_others_are_counted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = restatement.held_differences

    async def fails(connection: Any, agreement: str) -> Any:
        assert agreement != "hosting", "by nothing"
        return await real(connection, agreement)

    async with a_house(database) as house:
        await _two_older_months(house)
        await settled_by_an_older_release(
            house, an_evaluation(9800, agreement="network", period="2025-01"), 15000
        )
        monkeypatch.setattr(restatement, "held_differences", fails)
        async with house.pool.acquire() as connection:
            assert await restatement.count_held(connection) == 1
            assert await restatement.count_held(connection) == 1
            (parked,) = await house.rows(
                "select what, agreement, error, attempts, resolved_at from parked_work"
            )
            assert tuple(parked.values()) == ("restatement", "hosting", "AssertionError", 2, None)
            monkeypatch.undo()
            assert await restatement.count_held(connection) == 2
        assert await house.rows("select from parked_work where resolved_at is null") == []


def test_the_digest_of_what_a_statement_says_leaves_the_version_of_the_rules_out() -> None:
    body = {
        "programme": "campus",
        "agreement": "hosting",
        "version": 1,
        "vendor": "nimbus",
        "buyer": "town",
        "period": "2025-01",
        "currency": "EUR",
        "results": [],
        "lines": [],
        "total_minor": 0,
        "facts_digest": "0" * 64,
    }
    old = SettlementStatement.model_validate(body)
    assert old.rules == 1
    new = old.model_copy(update={"rules": RULES})
    assert content_digest(old) == content_digest(new)
    # As a release wrote it that knew no version of the rules.
    assert (
        content_digest(new).hex()
        == "9717d728ac88618717b81a3256379ac53dcea2cfd0a0a25f3d6c548f10bc260e"
    )
