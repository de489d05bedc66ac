"""What a credit comes to: quantities, rates, factors, ceilings, one row for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from schemas.evaluation import Part
from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core.told import HEAD, evaluation, months, outcomes, settled, terms

FEE = 720
RATE_ONE = "{kind: amount, amount: 1}"
LEVEL = """
levels:
  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - is_a: service_credit
        due: %s
        quantity: %s
        rate: %s
"""


def level(
    quantity: str = "{kind: one}",
    rate: str = RATE_ONE,
    due: str = "{kind: every_period}",
    more: str = "",
) -> str:
    """A level with one credit."""
    return LEVEL % (due, quantity, rate) + more


def statement(text: str, result: object = 98, head: str = HEAD, **told: Any) -> SettlementStatement:
    """January under a level, with a fee of 720.00."""
    (found,) = settled(
        terms(level=text, head=head), [evaluation("2025-01", result, fee=FEE, **told)]
    )
    return found


def cents(text: str, result: object = 98, **told: Any) -> int:
    """What January comes to."""
    return statement(text, result, **told).total_minor


@pytest.mark.parametrize(
    ("part", "cost"), [("counts_in_full", 400), ("does_not_count", 300), ("in_proportion", 333)]
)
@pytest.mark.parametrize(("kind", "result"), [("shortfall", 98), ("excess", 100)])
def test_a_part_of_a_step_counts_as_agreed(part: str, cost: int, kind: str, result: int) -> None:
    more = "in_percent_of_start: false, " if kind == "excess" else ""
    text = level(f"{{kind: {kind}, counted_from: 99, {more}step: 0.3, part_step: {part}}}")
    assert cents(text, result) == cost


def test_the_other_side_of_the_starting_point_is_nothing() -> None:
    text = level("{kind: shortfall, counted_from: 99, step: 1, part_step: in_proportion}")
    assert cents(text, 100) == 0
    text = level(
        "{kind: excess, counted_from: 99, in_percent_of_start: false, step: 1, "
        "part_step: in_proportion}"
    )
    assert cents(text, 98) == 0


def outage(name: str, minutes: object, worth: object = None) -> Part:
    """One occurrence that begins on the 5th at 23:00 and ends the next day at 01:00."""
    return Part(
        part=name,
        start=datetime(2025, 1, 5, 23, tzinfo=UTC),
        end=datetime(2025, 1, 6, 1, tzinfo=UTC),
        amount=Fraction(str(minutes)),
        value=None if worth is None else Fraction(str(worth)),
    )


def duration(rate: str = RATE_ONE, **terms_: object) -> str:
    """A level that prices outages."""
    said = {"of": "each", "counted": "elapsed", "unit": 60, "part_unit": "in_proportion"} | terms_
    listed = ", ".join(f"{name}: {value}" for name, value in said.items())
    return level(f"{{kind: duration, metric: outages, {listed}}}", rate)


def outages(*minutes: object, **told: Any) -> Mapping[str, Any]:
    """Outages of these minutes as figure and parts."""
    total = sum((Fraction(str(one)) for one in minutes), Fraction(0))
    parts = [outage(f"o{number}", one) for number, one in enumerate(minutes)]
    return {"figures": {"outages": total}, "parts": {"outages": parts}, **told}


@pytest.mark.parametrize(
    ("said", "minutes", "cost"),
    [
        ({}, (90, 30), 200),
        ({"part_unit": "counts_in_full"}, (90, 30), 300),
        ({"part_unit": "does_not_count"}, (90, 30), 100),
        ({"of": "total", "part_unit": "does_not_count"}, (90, 30), 200),
        ({"grace": "{units: 1, kind: deductible}"}, (90, 60), 50),
        ({"grace": "{units: 1, kind: threshold}"}, (90, 60), 150),
        ({"shorter_than_a_unit": "nothing"}, (90, 30), 150),
        ({"unit": 20, "block": 2, "part_block": "counts_in_full"}, (90, 20), 400),
        ({"unit": 20, "block": 2, "part_block": "does_not_count"}, (90, 20), 200),
        ({"unit": 1, "counted": "calendar_days"}, (90,), 100),
        ({"unit": 2, "counted": "calendar_days", "part_unit": "counts_in_full"}, (90,), 100),
        ({}, (), 0),
    ],
)
def test_time_is_counted_as_agreed(
    said: Mapping[str, object], minutes: Sequence[int], cost: int
) -> None:
    assert cents(duration(**said), **outages(*minutes)) == cost


@pytest.mark.parametrize(("subject", "cost"), [(None, 200), ("o1", 100), ("o2", 0)])
def test_a_short_one_counts_only_where_it_is_asked_for(subject: str | None, cost: int) -> None:
    text = duration(shorter_than_a_unit="only_if_asked", asked="please", part_unit="does_not_count")
    told = [("please", {"subject": subject})]
    assert cents(text, **outages(10, 20, circumstances=told)) == cost


@pytest.mark.parametrize(
    ("rate", "cost"),
    [
        ("{kind: percent_of, percent: 5, base: fee}", 3600),
        ("{kind: fraction_of, fraction: 1/720, base: fee}", 100),
        ("{kind: day_of, base: fee}", 2323),
        ("{kind: amount, amount: 2.50}", 250),
    ],
)
def test_a_unit_is_worth_what_the_rate_says(rate: str, cost: int) -> None:
    assert cents(level(rate=rate)) == cost


def test_each_occurrence_is_priced_by_its_own_worth() -> None:
    text = (
        duration("{kind: worth_of, percent: 10}")
        + "        at_most: {kind: worth_of, percent: 15}\n"
    )
    parts = {"outages": [outage("a", 60, 100), outage("b", 120, 50)]}
    assert cents(text, figures={"outages": 180}, parts=parts) == 2000
    parts = {"outages": [outage("a", 120, 100), outage("b", 180, 50)]}
    assert cents(text, figures={"outages": 300}, parts=parts) == 2250


def test_a_ceiling_of_each_is_no_room_for_another() -> None:
    text = (
        duration("{kind: worth_of, percent: 10}")
        + "        at_most: {kind: worth_of_each, percent: 15}\n"
    )
    parts = {"outages": [outage("a", 300, 100), outage("b", 60, 900)]}
    # 50.00 cut to 15.00, and 90.00; both together could go up to 150.00.
    assert cents(text, figures={"outages": 360}, parts=parts) == 10500


@pytest.mark.parametrize(
    "terms_of_it",
    [
        duration("{kind: worth_of, percent: 10}"),
        duration() + "        at_most: {kind: worth_of, percent: 15}\n",
        duration() + "        at_most: {kind: worth_of_each, percent: 15}\n",
    ],
)
def test_what_nobody_says_the_worth_of_is_waited_for(terms_of_it: str) -> None:
    parts = {"outages": [outage("a", 60, 100), outage("b", 60)]}
    told = evaluation("2025-01", 98, fee=FEE, figures={"outages": 120}, parts=parts)
    (waits,) = outcomes(terms(level=terms_of_it, head=HEAD), [told])
    assert isinstance(waits, Unsettled)
    assert waits.reasons == ("the worth of b is not known; correct its event with a 'value'",)


def test_shares_are_multiplied_with_each_other_and_the_amount_at_risk() -> None:
    head = HEAD + "at_risk: [{at_risk: month, percent: 10, base: fee}]\n"
    rate = "{kind: at_risk_share, at_risk: month, shares: [50, 40]}"
    assert statement(level(rate=rate), head=head).total_minor == 1440


@pytest.mark.parametrize(
    ("result", "cost"), [(99, 0), ("98.99", 100), (97, 100), ("96.99", 300), (0, 300)]
)
def test_a_table_gives_what_its_band_says(result: object, cost: int) -> None:
    rate = (
        "{kind: by_band, of: result, gives: amount, bands: [{at_least: 99, gives: 0}, "
        "{at_least: 97, below: 99, gives: 1}, {below: 97, gives: 3}]}"
    )
    assert cents(level(rate=rate), result) == cost


def test_a_value_outside_the_bands_gives_what_is_said_otherwise() -> None:
    rate = (
        "{kind: by_band, of: quantity, gives: amount, otherwise: 7, "
        "bands: [{at_least: 1, at_most: 2, gives: 1}]}"
    )
    quantity = "{kind: figure, metric: failures}"
    found = [cents(level(quantity, rate), figures={"failures": count}) for count in (0, 1, 2, 3)]
    assert found == [700, 100, 100, 700]


@pytest.mark.parametrize(
    ("factor", "cost"),
    [
        ("{kind: constant, factor: 1/3}", 33),
        ("{kind: when, circumstance: used, factor: 0.5, otherwise: 2}", 50),
        ("{kind: when, circumstance: unused, factor: 0.5, otherwise: 2}", 200),
        ("{kind: figure, metric: failures}", 500),
        (
            "{kind: by_figure, metric: failures,"
            " bands: [{at_most: 4, gives: 1}, {above: 4, gives: 3}]}",
            300,
        ),
    ],
)  # fmt: skip
def test_a_factor_raises_or_lowers_the_price(factor: str, cost: int) -> None:
    text = level(more=f"        factors: [{factor}]\n")
    assert cents(text, figures={"failures": 5}, circumstances=[("used", {})]) == cost


@pytest.mark.parametrize(
    ("limit", "cost"),
    [
        ("{kind: amount, amount: 30}", 3000),
        ("{kind: percent_of, percent: 10, base: fee}", 7200),
        ("{kind: days_of, days: 31, base: fee}", 72000),
        ("{kind: amount, amount: 5000}", 100000),
        ("{kind: amount, amount: 0}", 0),
    ],
)
def test_a_credit_stays_under_its_own_ceiling(limit: str, cost: int) -> None:
    text = level(rate="{kind: amount, amount: 1000}", more=f"        at_most: {limit}\n")
    assert cents(text) == cost


def monthly(text: str, *values: object) -> list[int]:
    """What the months come to under a level."""
    known = [
        evaluation(month, value, fee=FEE)
        for month, value in zip(months(len(values)), values, strict=True)
    ]
    return [one.total_minor for one in settled(terms(level=text), known)]


REPEAT = "        factors: [{kind: repeat, factor: 2, no_data: %s}]\n"


@pytest.mark.parametrize(("no_data", "third"), [("ends_the_run", 100), ("is_passed_over", 200)])
def test_a_repeat_costs_twice_and_never_compounds(no_data: str, third: int) -> None:
    text = level(due="{kind: on_default}", more=REPEAT % no_data)
    assert monthly(text, 98, 98, 98, 99, 98) == [100, 200, 200, 0, 100]
    assert monthly(text, 98, None, 98)[-1] == third


@pytest.mark.parametrize(("no_data", "last"), [("ends_the_run", 0), ("is_passed_over", 100)])
def test_a_run_is_due_when_it_is_full_and_starts_anew(no_data: str, last: int) -> None:
    text = level(due=f"{{kind: on_run, misses: 2, no_data: {no_data}}}")
    assert monthly(text, 98, 98, 98, 98, 99, 98, 98) == [0, 100, 0, 100, 0, 0, 100]
    assert monthly(text, 98, None, 98)[-1] == last


def test_a_trigger_looks_at_the_result_alone() -> None:
    text = level(due="{kind: on_trigger, result: {at_most: 98}}")
    assert monthly(text, 99, "98.01", 98, None) == [0, 0, 100, 0]


def test_the_next_periods_charge_is_waited_for() -> None:
    head = HEAD.replace("of_period: same", "of_period: next")
    text = level(rate="{kind: percent_of, percent: 10, base: fee}")
    known = [evaluation("2025-01", 98, fee=100), evaluation("2025-02", 98, fee=200)]
    first, second = outcomes(terms(level=text, head=head), known)
    assert isinstance(first, SettlementStatement)
    assert first.total_minor == 2000
    assert second == Unsettled("2025-02", ("the charge 'fee' of 2025-03 is not known yet",))


def test_a_charge_that_may_be_missing_counts_as_nothing() -> None:
    head = HEAD.replace("if_missing: wait", "if_missing: zero")
    text = level(rate="{kind: percent_of, percent: 10, base: fee}")
    (found,) = settled(terms(level=text, head=head), [evaluation("2025-01", 98, fee=None)])
    assert found.total_minor == 0


POINTED = level(rate="{kind: points, points: 150}")
BANDS = """points:
  kind: marginal_bands
  point_value: 3
  per: agreement
  bands: [{above: 0, up_to: 20, factor: 0}, {above: 20, up_to: 100, factor: 1},
    {above: 100, factor: 1.2}]
"""


def test_only_the_points_inside_a_band_cost_its_factor() -> None:
    found = statement(POINTED + BANDS)
    assert found.total_minor == 80 * 300 + 50 * 360
    assert found.results[0].points == 150
    assert found.figures["points"] == 150


@pytest.mark.parametrize(
    ("claim", "last_day"),
    [
        ("{within_months: 2}", "2025-03-31"),
        ("{within_days: 10}", "2025-02-10"),
        ("{within_working_days: 5, holidays: [2025-02-03]}", "2025-02-10"),
    ],
)
def test_a_claim_is_in_time_on_its_last_day(claim: str, last_day: str) -> None:
    text = level() + f"claim: {claim}\n"
    day = datetime.fromisoformat(f"{last_day}T23:00:00+00:00")
    later = day.replace(day=day.day, hour=23, minute=59)
    assert cents(text, circumstances=[("claim", {"at": later})]) == 100
    assert cents(text) == 0
    after = datetime.fromtimestamp(day.timestamp() + 3600, UTC)
    assert cents(text, circumstances=[("claim", {"at": after})]) == 0
