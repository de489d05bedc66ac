"""Facts that are allowed and that a term has no answer for: the period waits and names them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.statement import SettlementStatement, canonical
from services.core.settling.one_period import Unsettled
from tests.core.adjusting.test_shared_caps import (
    cap,
    history,
    missed,
    named,
    programme,
    together,
    totals,
)
from tests.core.adjusting.test_shared_caps import reasons as why
from tests.core.told import LEVEL, evaluation, outcomes, terms

RATE = "{kind: percent_of, percent: 10, base: fee}"
ENDS = "domain: [0, 99], bands: [{at_least: 0, at_most: 99, gives: 5}]"
POINTS = LEVEL.replace(RATE, "{kind: points, points: 1}").replace("on_default", "every_period")


def reasons(*more: str, level: str = LEVEL, value: object = 50, **told: Any) -> str:
    """What the month waits for."""
    (outcome,) = outcomes(terms(*more, level=level), [evaluation("2025-01", value, **told)])
    assert isinstance(outcome, Unsettled), outcome
    return "; ".join(outcome.reasons)


def of_table(kind: str, value: object) -> str:
    """What the month waits for whose table of a kind knows 0 to 99."""
    if kind == "rate":
        rate = f"{{kind: by_band, of: result, gives: amount, {ENDS}}}"
        level = LEVEL.replace(RATE, rate).replace("on_default", "every_period")
        return reasons(level=level, value=value)
    if kind == "factor":
        factor = f"{RATE}\n        factors: [{{kind: by_figure, metric: other, {ENDS}}}]"
        return reasons(level=LEVEL.replace(RATE, factor), figures={"other": value})
    table = f"{{kind: by_band, of: quantity, gives: amount, {ENDS}}}"
    level = POINTS.replace("points: 1}", f"points: {value}}}")
    return reasons(f"points: {{kind: point_table, table: {table}}}\n", level=level)


@pytest.mark.parametrize("kind", ["rate", "factor", "points"])
@pytest.mark.parametrize("value", [100, -1])
def test_a_value_outside_the_domain_of_a_table(kind: str, value: int) -> None:
    assert f"{value} is outside the domain from 0 to 99 of the table" in of_table(kind, value)


def test_a_value_at_the_end_of_the_domain_is_inside() -> None:
    rate = f"{{kind: by_band, of: result, gives: amount, {ENDS}}}"
    level = LEVEL.replace(RATE, rate).replace("on_default", "every_period")
    for value in (0, 99):
        (outcome,) = outcomes(terms(level=level), [evaluation("2025-01", value)])
        assert not isinstance(outcome, Unsettled)


def test_a_distance_in_percent_of_nothing() -> None:
    excess = (
        "{kind: excess, counted_from: 0, in_percent_of_start: true, step: 1, "
        "part_step: in_proportion}"
    )
    assert "in percent of its start, which is 0" in reasons(
        level=LEVEL.replace("{kind: one}", excess)
    )


def test_an_amount_that_is_too_large() -> None:
    assert "too large to be booked" in reasons(fee=10**20)


def test_amounts_that_are_too_large_together() -> None:
    credit = LEVEL[LEVEL.index("      - is_a") :].replace("- is_a", "- name: NAME\n        is_a")
    more = "".join(credit.replace("NAME", name) for name in ("second", "third"))
    assert "too large to be booked" in reasons(level=LEVEL + more, fee=4 * 10**17)


def test_two_amounts_of_one_name() -> None:
    credit = LEVEL[LEVEL.index("      - is_a") :].replace("- is_a", "- name: x\n        is_a")
    level = LEVEL.replace("    judged", "    each_subject: true\n    judged") + credit
    figures = {("uptime", "y"): 50, ("uptime", "x/y"): 50}
    said = reasons(level=level, figures=figures)
    assert "two amounts are named uptime/x/y" in said


RELIEF = "    relief: [{kind: proofs, circumstance: told, proofs: [letter], WITHIN}]\n    judged"
IN_DAYS = LEVEL.replace("    judged", RELIEF.replace("WITHIN", "within_days: 3660"))
IN_MONTHS = LEVEL.replace("    judged", RELIEF.replace("WITHIN", "within_months: 120"))
DISPUTES = (
    "disputes: {circumstance: told, working_days: 1000, holidays: [], effect: {at_least: 0}, "
    "needs_error: false, disputed_amount: stays_due}\n"
)
INVOICING = (
    "invoicing: {deducted_from: same_period, invoice: told, if_absent: wait, "
    "rest: {kind: cash, within_days: 3660}}\n"
)
OPEN = {"run_on": "2025-02-03", "raised_on": "2025-02-04", "effect": 1}


@pytest.mark.parametrize("day", ["1990-01-01", "2199-12-31", "9999-12-31", "0001-01-01"])
@pytest.mark.parametrize(
    ("name", "more", "level", "beside"),
    [
        ("failed_on", "", IN_DAYS, {"letter": True}),
        ("failed_on", "", IN_MONTHS, {"letter": True}),
        ("run_on", DISPUTES, LEVEL, OPEN),
        ("raised_on", DISPUTES, LEVEL, OPEN),
        ("date", INVOICING, LEVEL, {"charges": 10}),
    ],
)
def test_days_at_the_ends_of_the_calendar_and_beyond_its_bounds(
    name: str, more: str, level: str, beside: dict[str, Any], day: str
) -> None:
    told = [("told", {"values": {**beside, name: day}})]
    (found,) = outcomes(terms(more, level=level), [evaluation("2025-01", 98, circumstances=told)])
    if day[:4] in ("1990", "2199"):
        assert not isinstance(found, Unsettled), found.reasons
        assert SettlementStatement.model_validate_json(canonical(found)) == found
    else:
        assert isinstance(found, Unsettled)
        assert f"states '{day}' as '{name}'; correct it with a day" in found.reasons[0]


@pytest.mark.parametrize(
    "number", ["1" * 24, "1" * 24 + ".5", "0." + "1" * 18, f"{'1' * 24}/{'7' * 24}"]
)
@pytest.mark.parametrize("rate", ["{kind: amount, amount: 1/3}", "{kind: points, points: 1}"])
def test_a_quantity_of_24_digits_is_settled_or_waited_for(number: str, rate: str) -> None:
    level = LEVEL.replace(RATE, rate).replace(
        "{kind: one}", "{kind: circumstance, circumstance: q}"
    )
    more = "points: {kind: percent_per_point, percent: 1, base: fee}\n" if "points" in rate else ""
    told = [("q", {"value": number})]
    (found,) = outcomes(terms(more, level=level), [evaluation("2025-01", 98, circumstances=told)])
    if number.startswith("1" * 24) and "/" not in number:
        assert isinstance(found, Unsettled)
        assert "too large to be booked" in found.reasons[0]
    else:
        assert not isinstance(found, Unsettled), found.reasons
        assert SettlementStatement.model_validate_json(canonical(found)) == found


@pytest.mark.parametrize(
    "day", [20250203, "20250203", "2025-W06-1", "2025-02-03T00:00:00", "2025-2-3"]
)
def test_a_stored_day_is_read_in_one_way(day: object) -> None:
    told = [("told", {"values": {**OPEN, "run_on": day}})]
    (found,) = outcomes(terms(DISPUTES), [evaluation("2025-01", 98, circumstances=told)])
    assert isinstance(found, Unsettled)
    assert "as 'run_on'; correct it with a day" in found.reasons[0]


def test_a_charge_of_another_agreement_that_nobody_can_convert() -> None:
    share = {"kind": "percent_of", "percent": "5", "base": "fee"}
    usd = (
        "conversions: [{currency: USD, kind: of_period, circumstance: mean, for_units: 1, "
        "quoted: own_for_foreign, source: Bank, rounded: exact}]\n"
    )
    unread = evaluation("2025-01", 100, circumstances=[("mean", {"value": -1})])
    (charge,) = unread.charges
    foreign = charge.charge.model_copy(update={"currency": "USD"})
    unread = unread.model_copy(update={"charges": (charge.model_copy(update={"charge": foreign}),)})
    found = together(
        programme(cap(limit=share)),
        history(named("hosting"), *missed(1000)),
        history(named("network", usd), unread),
    )
    assert totals(found)["network"] == [0], "it owes nothing, so nothing of it waits"
    assert "correct it with a rate above zero" in why(found["hosting"][0])[0]
