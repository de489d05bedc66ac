"""No credit is lost on its way to an invoice: what is credited is in one figure at the end."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.statement import SettlementStatement
from tests.core.told import HEAD, LEVEL, agreement, evaluation, months, settled

ENDING = HEAD + "effective_until: 2025-05-01\n"
TERMS = [
    f"invoicing: {{invoice: invoice, deducted_from: {taken}, {at_end}if_absent: carried, "
    f"rest: {rest}}}\n"
    for taken, at_end, rest in (
        ("same_period", "", "{kind: lapses}"),
        ("same_period", "", "{kind: cash, within_days: 5}"),
        ("same_period", "", "{kind: carried, at_end: lapses}"),
        ("same_period", "", "{kind: carried, at_end: cash, cash_within_days: 5}"),
        ("next_period", "", "{kind: carried, at_end: lapses}"),
        ("next_period", "", "{kind: carried, at_end: cash, cash_within_days: 5}"),
        ("next_period", "at_end: lapses, ", "{kind: lapses}"),
        ("next_period", "at_end: lapses, ", "{kind: cash, within_days: 5}"),
        ("next_period", "at_end: cash, cash_within_days: 7, ", "{kind: lapses}"),
        ("next_period", "at_end: cash, cash_within_days: 7, ", "{kind: cash, within_days: 5}"),
    )
]


def statements(
    text: str, values: Sequence[object], charges: Sequence[int | None], head: str = ENDING
) -> list[SettlementStatement]:
    """Four months with these results, each with an invoice or without one."""
    known = [
        evaluation(month, value, circumstances=_invoice(month, charge))
        for month, value, charge in zip(months(4), values, charges, strict=True)
    ]
    return settled(agreement(head + LEVEL + text), known)


def _invoice(month: str, charge: int | None) -> list[tuple[str, dict[str, Any]]]:
    if charge is None:
        return []
    return [("invoice", {"values": {"charges": charge, "date": f"{month}-28"}})]


def _sum(found: Sequence[SettlementStatement], *names: str) -> Fraction:
    values = [one.figures.get(name, 0) for one in found for name in names]
    return sum((Fraction(str(value)) for value in values), Fraction(0))


BONUS = """
      - name: bonus
        is_a: bonus
        due: {kind: on_trigger, result: {at_least: 100}}
        quantity: {kind: one}
        rate: {kind: amount, amount: 70}
"""


@given(
    st.sampled_from(TERMS),
    st.lists(st.sampled_from([98, 99, 100]), min_size=4, max_size=4),
    st.lists(st.sampled_from([None, 0, 30, 500]), min_size=4, max_size=4),
)
def test_what_is_credited_is_deducted_carried_lapsed_or_paid(
    text: str, values: list[int], charges: list[int | None]
) -> None:
    found = statements(BONUS + text, values, charges)
    credited = Fraction(sum(one.total_minor for one in found), 100)
    assert credited == _sum(found, "invoice-deducted", "lapsed", "cash")
    assert found[-1].figures.get("carried", 0) == 0


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        (TERMS[4], {"lapsed": 170}),
        (TERMS[5], {"cash": 170, "cash-due": "2025-05-03"}),
        (TERMS[6], {"lapsed": 170}),
        (TERMS[7], {"cash": 70, "cash-due": "2025-05-03", "lapsed": 100}),
        (TERMS[8], {"lapsed": 70, "cash": 100, "cash-due": "2025-05-05"}),
        (TERMS[9], {"cash": 170, "cash-due": "2025-05-05"}),
    ],
)
def test_the_last_months_credit_has_no_next_invoice(text: str, figures: dict[str, Any]) -> None:
    found = statements(text, (99, 99, 98, 98), (500, 500, 500, 30))
    shown = {name: found[-1].figures.get(name) for name in ("lapsed", "cash", "cash-due")}
    assert {name: value for name, value in shown.items() if value is not None} == figures


def test_without_a_last_invoice_days_run_from_the_periods_end() -> None:
    found = statements(TERMS[5], (99, 99, 99, 98), (500, 500, 500, None))
    assert (found[-1].figures["cash"], found[-1].figures["cash-due"]) == (100, "2025-05-05")


def test_an_agreement_without_an_end_carries_on() -> None:
    found = statements(TERMS[4], (98, 99, 99, 98), (500, 500, 500, 500), head=HEAD)
    assert [one.figures["invoice-deducted"] for one in found] == [0, 100, 0, 0]


def test_an_invoice_of_another_currency_is_converted() -> None:
    rules = "conversions: [{currency: USD, kind: agreed, rate: 0.5, quoted: own_for_foreign, "
    rules += "source: agreed, rounded: exact}]\n"
    values = {"charges": 120, "date": "2025-01-28", "currency": "USD"}
    known = evaluation("2025-01", 98, circumstances=[("invoice", {"values": values})])
    (found,) = settled(agreement(HEAD + rules + LEVEL + TERMS[0]), [known])
    assert (found.figures["invoice-deducted"], found.figures["lapsed"]) == (60, 40)


def changed(*terms: str) -> list[SettlementStatement]:
    """Four missed months, of which the last two have the terms of a second version."""
    later = ENDING.replace("version: 1", "version: 2").replace("from: 2025-01", "from: 2025-03")
    first, second = (
        agreement(head + LEVEL + text) for head, text in zip((ENDING, later), terms, strict=True)
    )
    known = [evaluation(month, 98, circumstances=_invoice(month, 500)) for month in months(4)]
    return settled([first, second], known)


def test_a_change_of_the_invoice_neither_loses_nor_doubles_a_credit() -> None:
    deducted = [
        [one.figures.get("invoice-deducted") for one in changed(*pair)]
        for pair in ((TERMS[2], TERMS[4]), (TERMS[4], TERMS[2]), (TERMS[4], ""))
    ]
    assert deducted == [[100, 100, 0, 100], [0, 100, 200, 100], [0, 100, None, None]]
    assert changed(TERMS[4], "")[-1].figures["carried"] == 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TERMS[6].replace("at_end: lapses, ", ""), "has no next invoice; state at_end"),
        (TERMS[0].replace("rest:", "at_end: lapses, rest:"), "leave it out, or state it in rest"),
        (TERMS[4].replace("rest:", "at_end: lapses, rest:"), "leave it out, or state it in rest"),
        (TERMS[6].replace("at_end: lapses", "at_end: cash"), "cash needs cash_within_days"),
    ],
)
def test_the_end_is_stated_where_it_is_needed(text: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        agreement(ENDING + LEVEL + text)


PAYABLE = "payable: {base: %s, percent: %s, at_least_zero: %s}\n"
SECOND = LEVEL.replace("\nlevels:\n", "").replace("uptime", "repair")


@pytest.mark.parametrize("rounded_at", ["total", "line"])
@pytest.mark.parametrize(
    ("payable", "booked", "shown"),
    [
        (("null", 0, "true"), 0, 0),
        (("fee", 15, "true"), 15004, 0),
        (("fee", 20, "true"), 20006, 0),
        (("fee", 30, "true"), 20006, 10003),
        (("fee", 15, "false"), 20006, -5001),
    ],
)
def test_what_is_booked_is_what_is_payable(
    payable: tuple[object, ...], booked: int, shown: int, rounded_at: str
) -> None:
    head = HEAD.replace("rounded_at: total", f"rounded_at: {rounded_at}")
    text = agreement(head + LEVEL + SECOND + PAYABLE % payable)
    (found,) = settled(text, [evaluation("2025-01", 98, fee="1000.31", figures={"repair": 98})])
    assert found.total_minor == booked
    assert sum(line.minor_units for line in found.lines) == booked
    assert abs(Fraction(str(found.figures["payable"])) * 100 - shown) < 1
    cut = [line for line in found.lines if "floor" in {one.rule for one in line.steps}]
    assert bool(cut) == (booked < 20006)


def test_a_cap_remembers_what_was_booked() -> None:
    cap = "caps: [{cap: all, window: term, limit: {kind: amount, amount: 150}, "
    cap += "earned_back: still_counts}]\n"
    text = agreement(HEAD + LEVEL + PAYABLE % ("fee", 8, "true") + cap)
    found = settled(text, [evaluation(month, 98) for month in months(2)])
    assert [one.total_minor for one in found] == [8000, 7000]
