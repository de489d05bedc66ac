"""Real input through the whole chain comes to what a plain recount of it comes to."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.statement import LevelResult, SettlementStatement
from tests.integration.conftest import Chain
from tests.integration.real import Counted, Level

SETS = ("three-clouds", "web-watch", "car-desk")


@pytest.mark.parametrize("name", SETS)
def test_monthly_results_of_real_input_equal_a_plain_recount(chain: Chain, name: str) -> None:
    through = chain.sets[name]
    differing = []
    for (agreement, month), expected in through.given.expected.items():
        body = chain.living.client.document(agreement, month)
        statement = SettlementStatement.model_validate_json(body)
        found = Counted(
            {result.level: _stands(result) for result in statement.results},
            statement.total_minor,
        )
        if found != expected:
            differing.append((agreement, month, found, expected))
    assert not differing


def _stands(result: LevelResult) -> Level:
    met = {"met": True, "below_expected": False, "no_result": None}[result.standing]
    return Level(result.figure, met)


@pytest.mark.parametrize("name", SETS)
def test_the_recount_has_something_to_say_about_every_set(chain: Chain, name: str) -> None:
    expected = chain.sets[name].given.expected.values()
    totals = {each.total_minor for each in expected}
    verdicts = {level.met for each in expected for level in each.levels.values()}
    assert len(totals) > 8
    assert {True, False} <= verdicts


@pytest.mark.parametrize("name", SETS)
def test_the_ledger_balances_every_statement_of_real_input(chain: Chain, name: str) -> None:
    given = chain.sets[name].given
    for agreement in sorted({agreement for agreement, _ in given.expected}):
        booked: dict[str, int] = {}
        for entry in chain.living.client.items("/v1/ledger-entries", agreement=agreement):
            minor = int(100 * Decimal(entry["amount"]))
            vendor_owes = entry["debit_account"].startswith("vendor:")
            booked.setdefault(entry["period"], 0)
            booked[entry["period"]] += minor if vendor_owes else -minor
        owed = {
            month: each.total_minor
            for (name_, month), each in given.expected.items()
            if name_ == agreement
        }
        assert {month: booked.get(month, 0) for month in owed} == owed


def test_incidents_that_end_before_they_start_are_refused_and_nothing_else(chain: Chain) -> None:
    through = chain.sets["three-clouds"]
    assert set(through.refused) == through.given.refused
    assert set(through.refused.values()) == {"times-out-of-order"}
    assert through.answers["accepted"] == len(through.given.events) - 6


@pytest.mark.parametrize("name", [name for name in SETS if name != "three-clouds"])
def test_every_event_of_a_set_without_faults_is_accepted(chain: Chain, name: str) -> None:
    through = chain.sets[name]
    assert through.answers == {"accepted": len(through.given.events)}
    assert through.refused == {}


@pytest.mark.parametrize("name", SETS)
def test_every_month_that_is_over_by_event_time_closes_by_itself(chain: Chain, name: str) -> None:
    through = chain.sets[name]
    over = {place for place in through.given.expected if place[1] in through.given.by_itself}
    assert over
    assert over <= through.by_event_time


@pytest.mark.parametrize("name", SETS)
def test_exactly_the_months_that_are_over_have_a_statement(chain: Chain, name: str) -> None:
    through = chain.sets[name]
    assert through.settled == through.given.expected.keys()
