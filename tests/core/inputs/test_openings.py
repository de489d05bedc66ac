"""What was given before an agreement was settled here: how long it counts, and in what currency."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement
from tests.core.told import HEAD, evaluation, months, outcomes, settled, terms

AMOUNT = "limit: {kind: amount, amount: 300}, earned_back: still_counts"
CAP = "caps: [{cap: all, window: %s, " + AMOUNT + ", opening: brought}]\n"
Stated = dict[str, list[dict[str, Any]]]


def given(charges: object = 0, credits: object = 0, **more: Any) -> dict[str, Any]:
    """What a circumstance says of the time before."""
    return {"values": {"charges": charges, "credits": credits, **more.pop("values", {})}, **more}


def history(count: int, stated: Stated) -> list[PeriodEvaluation]:
    """So many months, each owing 100.00, with the openings stated in them."""
    return [
        evaluation(month, 98, circumstances=[("brought", one) for one in stated.get(month, [])])
        for month in months(count)
    ]


def cents(window: str, count: int, stated: Stated, head: str = HEAD) -> list[int]:
    """What each month comes to under a cap of 300.00."""
    found = settled(terms(CAP % window, head=head), history(count, stated))
    return [one.total_minor for one in found]


def reasons(window: str, count: int, stated: Stated) -> list[str]:
    """What the last month waits for."""
    last = outcomes(terms(CAP % window), history(count, stated))[-1]
    return [] if isinstance(last, SettlementStatement) else list(last.reasons)


FIRST = "2025-01"


def test_the_term_remembers_it_for_ever() -> None:
    assert cents("term", 4, {FIRST: [given(0, 150)]}) == [10000, 5000, 0, 0]


def test_a_contract_year_remembers_it_to_its_end() -> None:
    found = cents("contract_year", 16, {FIRST: [given(0, 250)]})
    assert found == [5000, *[0] * 11, 10000, 10000, 10000, 0]


def test_a_sum_that_is_stated_anew_replaces_the_one_before() -> None:
    stated = {FIRST: [given(0, 150)], "2025-02": [given(0, 150)]}
    assert cents("term", 3, stated) == [10000, 5000, 0]
    assert cents("term", 2, {FIRST: [given(0, 300), given(0, 250)]}) == [5000, 0]


def test_months_leave_a_trailing_window_one_by_one() -> None:
    before = [given(0, 80, period="2024-11"), given(0, 150, period="2024-12")]
    found = cents("trailing, periods: 3", 4, {FIRST: before})
    assert found == [7000, 8000, 10000, 10000]
    found = cents("trailing, periods: 3", 3, {FIRST: [given(0, 300, period="2024-10")]})
    assert found == [10000, 10000, 10000]


def test_months_count_for_the_term_and_the_first_contract_year() -> None:
    before = [given(0, 80, period="2024-11"), given(0, 150, period="2024-12")]
    assert cents("term", 2, {FIRST: before}) == [7000, 0]
    assert cents("contract_year", 13, {FIRST: before}) == [7000, *[0] * 11, 10000]


def test_a_sum_cannot_leave_a_trailing_window_in_part() -> None:
    stated = {FIRST: [given(0, 150)]}
    assert cents("trailing, periods: 3", 1, stated) == [10000]
    (reason,) = reasons("trailing, periods: 3", 2, stated)
    assert "states several months in one sum" in reason
    assert "state each month before 2025-01 by itself" in reason
    assert cents("trailing, periods: 3", 2, stated | {"2025-02": [given(0, 120)]}) == [10000, 8000]


def test_a_quarter_that_leaves_a_trailing_window_in_part_is_misstated() -> None:
    (reason,) = reasons("trailing, periods: 3", 1, {FIRST: [given(0, 90, period="2024-Q4")]})
    assert "of which only a part lies in the window from 2024-11-01" in reason
    assert cents("trailing, periods: 4", 1, {FIRST: [given(0, 250, period="2024-Q4")]}) == [5000]


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ([given(0, 1), given(0, 1, period="2024-12")], "both month by month and in one sum"),
        ([given(0, 1, level="uptime")], "names the level uptime"),
        ([given(0, 1, subject="bern")], "names the subject bern"),
        ([given(0, "much")], "states 'much' as 'credits'"),
        ([given(0, 1, values={"currency": 7})], "states Fraction(7, 1) as 'currency'"),
        ([given(0, 1, values={"currency": "USD"})], "converts no USD"),
    ],
)
def test_what_cannot_be_counted_is_misstated(stated: list[dict[str, Any]], said: str) -> None:
    (reason,) = reasons("term", 1, {FIRST: stated})
    assert said in reason


RULES = """conversions:
  - {currency: USD, kind: agreed, rate: 0.5, quoted: own_for_foreign, source: agreed,
     rounded: exact}
"""


def test_an_opening_of_another_currency_is_converted() -> None:
    stated = {FIRST: [given(0, 400, values={"currency": "USD"})]}
    found = settled(terms(CAP % "term", head=HEAD + RULES), history(2, stated))
    assert [one.total_minor for one in found] == [10000, 0]
    assert "the credits of the circumstance brought of 2025-01" in str(
        found[0].figures["converted/brought-credits/2025-01"]
    )


SHARES = "at_risk: [{at_risk: tenth, percent: 10, base: fee}]\n"


@pytest.mark.parametrize(
    ("more", "limit"),
    [
        ("", "{kind: percent_of, percent: 10, base: fee}"),
        (SHARES, "{kind: at_risk, at_risk: tenth}"),
    ],
)
def test_the_charges_of_an_opening_raise_a_ceiling_that_is_a_share(more: str, limit: str) -> None:
    cap = f"caps: [{{cap: all, window: term, limit: {limit}, earned_back: still_counts, "
    cap += "opening: brought}]\n"
    found = settled(terms(more, cap), history(1, {FIRST: [given(2000, 250)]}))
    assert found[0].total_minor == 5000


BANK = "banks: [{bank: held, usable: next_period, opening: brought}]\n"


def bank(*stated: dict[str, Any], head: str = HEAD) -> list[int]:
    """Two months of a bank, with what is stated in the first."""
    found = settled(terms(BANK, head=head), history(2, {FIRST: list(stated)}))
    return [one.total_minor for one in found]


def test_a_banks_opening_is_converted_and_may_be_of_the_time_before() -> None:
    assert bank({"value": 150}) == [0, 5000]
    assert bank({"value": 150}, {"value": 120}) == [0, 8000]
    assert bank({"value": 60, "period": "2024-11"}, {"value": 90, "period": "2024-12"}) == [0, 5000]
    assert bank({"value": 300, "values": {"currency": "USD"}}, head=HEAD + RULES) == [0, 5000]
    (one, _) = outcomes(terms(BANK), history(2, {FIRST: [{"values": {"held": 5}}]}))
    assert not isinstance(one, SettlementStatement)
    assert "states nothing as 'value'" in one.reasons[0]


NOT_STATED = "the circumstance brought is not stated, which %s reads; state its %s"
BEFORE = "of the time before 2025-01 for 2025-01, 0 where nothing was given before"
NOTHING = ", if_absent: nothing}]\n"


def waits(text: str, *values: float, start: str = FIRST, **stated: Stated) -> list[list[str]]:
    """What each month waits for, with nothing stated of the time before but ``stated``."""
    known = [
        evaluation(
            month,
            value,
            circumstances=[("brought", one) for one in stated.get("by", {}).get(month, [])],
        )
        for month, value in zip(months(len(values), start), values, strict=True)
    ]
    return [
        [] if isinstance(one, SettlementStatement) else list(one.reasons)
        for one in outcomes(terms(text), known)
    ]


@pytest.mark.parametrize("window", ["term", "contract_year"])
def test_a_cap_waits_for_an_opening_that_nobody_states(window: str) -> None:
    ((reason,),) = waits(CAP % window, 98)
    assert reason.startswith(f"{NOT_STATED % ('caps[0]', chr(39) + 'credits' + chr(39))} {BEFORE}")
    assert waits(CAP % window, 98, by={FIRST: [given()]}) == [[]]
    nothing = (CAP % window).replace("}]\n", NOTHING)
    assert waits(nothing, 98) == [[]]


def test_a_trailing_cap_asks_for_each_month_while_it_looks_back() -> None:
    ((reason,),) = waits(CAP % "trailing, periods: 3", 98)
    assert "state its 'credits' for each of the periods 2024-11 to 2024-12, 0 where" in reason
    assert waits(CAP % "trailing, periods: 3", 100, 100, 98) == [[], [], []]
    *_, (reason,) = waits(CAP % "trailing, periods: 3", 100, 98)
    assert "state its 'credits' for 2024-12, 0 where" in reason


def test_the_second_contract_year_looks_at_no_time_before() -> None:
    assert waits(CAP % "contract_year", *[100] * 12, 98) == [[]] * 13
    assert waits(CAP % "term", *[100] * 12, 98)[-1]


def test_where_nothing_is_owed_an_opening_is_asked_for_by_a_right_alone() -> None:
    assert waits(CAP % "term", 100) == [[]]
    right = "terminations: [{kind: cap_reached, term: used-up, cap: all, exercise_days: 30}]\n"
    ((reason,),) = waits(CAP % "term" + right, 100)
    assert "the circumstance brought is not stated" in reason


def test_an_opening_of_a_later_period_says_nothing_of_an_earlier_one() -> None:
    first, second = waits(CAP % "term", 98, 100, by={"2025-02": [given()]})
    assert "the circumstance brought is not stated" in first[0]
    assert "not stated" not in "".join(second)


def test_a_ceiling_that_is_a_share_asks_for_the_charges_too() -> None:
    cap = "caps: [{cap: all, window: term, limit: {kind: percent_of, percent: 5, base: fee}, "
    ((reason,),) = waits(cap + "earned_back: still_counts, opening: brought}]\n", 98)
    assert "state its 'charges' and 'credits' of the time before 2025-01" in reason


def test_a_bank_waits_for_its_opening_while_it_could_pay() -> None:
    ((reason,),) = waits(BANK, 98)
    assert reason.startswith(f"{NOT_STATED % ('banks[0]', chr(39) + 'value' + chr(39))} {BEFORE}")
    assert waits(BANK, 100) == [[]]
    assert waits(BANK.replace("}]\n", NOTHING), 98) == [[]]
    assert waits(BANK, 98, by={FIRST: [{"value": 0}]}) == [[]]
    short = BANK.replace("opening", "lasts: 2, opening")
    assert waits(short, 100, 100, 98) == [[], [], []]
    assert waits(short, 100, 98)[-1]
    beside = "banks: [{bank: other, usable: next_period, opening: banked}, " + BANK.split("[", 1)[1]
    paid = evaluation(FIRST, 98, circumstances=[("banked", {"value": 100})])
    assert isinstance(outcomes(terms(beside), [paid])[0], SettlementStatement)


@pytest.mark.parametrize("text", [CAP % "term", BANK])
def test_if_absent_beside_no_opening_is_refused(text: str) -> None:
    without = text.replace(", opening: brought", ", if_absent: nothing")
    with pytest.raises(AssertionError, match="if_absent speaks of the 'opening'"):
        terms(without)
