"""Caps, small amounts, single events, critical failures, retainage, fees, invoices, rights."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.evaluation import Part
from schemas.statement import SettlementStatement
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from tests.core.told import (
    HEAD,
    LEVEL,
    agreement,
    evaluation,
    months,
    outcomes,
    settled,
    terms,
    totals,
)

ENDING = HEAD + "effective_until: 2025-04-01\n"


def level(name: str, amount: int) -> str:
    """A further level with a fixed credit."""
    return f"""
  - level: {name}
    name: {name}
    metric: {name}
    expected: {{at_least: 99}}
    judged: exact
    no_data: no_result
    defaults: {{kind: every_miss}}
    credits:
      - is_a: service_credit
        due: {{kind: on_default}}
        quantity: {{kind: one}}
        rate: {{kind: amount, amount: {amount}}}
"""


THREE = "levels:" + level("one", 300) + level("two", 200) + level("three", 100)


def first(text: str, **more: Any) -> SettlementStatement:
    """January of a contract with three levels, all missed."""
    figures = dict.fromkeys(("one", "two", "three"), 90)
    (statement,) = settled(
        agreement(HEAD + THREE + text), [evaluation("2025-01", 99, figures=figures, **more)]
    )
    return statement


def amounts(statement: SettlementStatement) -> dict[str, int]:
    """Lines in cents."""
    return {line.line: line.minor_units for line in statement.lines}


def cap(window: str, amount: int, more: str = "") -> str:
    """A cap of a fixed amount."""
    return (
        f"caps: [{{cap: top, window: {window}, limit: {{kind: amount, amount: {amount}}}{more}}}]\n"
    )


def test_a_cap_cuts_the_sum_and_the_lines_in_proportion() -> None:
    statement = first(cap("period", 100))
    assert amounts(statement) == {"one": 5000, "two": 3333, "three": 1667}
    assert statement.total_minor == 10000


def test_a_cap_of_zero_leaves_nothing() -> None:
    assert first(cap("period", 0)).total_minor == 0


def test_a_cap_of_some_levels_leaves_the_others() -> None:
    statement = first(cap("period", 100, ", levels: [one]"))
    assert amounts(statement) == {"one": 10000, "two": 20000, "three": 10000}


def test_caps_apply_in_the_order_stated() -> None:
    statement = first(
        "caps:\n"
        "  - {cap: first, window: period, levels: [one], limit: {kind: amount, amount: 50}}\n"
        "  - {cap: all, window: period, limit: {kind: amount, amount: 175}}\n"
    )
    assert amounts(statement) == {"one": 2500, "two": 10000, "three": 5000}
    assert statement.figures["headroom/all"] == 175
    assert statement.figures["credits-before-caps"] == 600


def test_a_trailing_cap_frees_as_old_periods_leave_it() -> None:
    text = cap("trailing", 150, ", periods: 2")
    assert totals(terms(text), 98, 98, 98, 98) == [10000, 5000, 10000, 5000]


def test_a_contract_year_starts_anew() -> None:
    text = cap("contract_year", 150)
    assert totals(terms(text), 98, 98, 98, *[99] * 9, 98) == [10000, 5000, 0, *[0] * 9, 10000]


def test_a_term_cap_never_starts_anew() -> None:
    text = cap("term", 150)
    assert totals(terms(text), 98, 98, *[99] * 10, 98)[-1] == 0


@pytest.mark.parametrize(("word", "last"), [("still_counts", 0), ("frees_the_cap", 10000)])
def test_whether_earned_back_credits_free_a_cap_is_said(word: str, last: int) -> None:
    text = cap("term", 100, f", earned_back: {word}") + (
        "earn_backs: [{kind: after_good_run, earn_back: run, periods: 1, asks: met, percent: 100, "
        "barred_below_minimum: false, no_data: breaks_the_run, given_as: amount}]\n"
    )
    assert totals(terms(text), 98, 99, 98) == [10000, -10000, last]


def test_small_amounts_are_compared_exactly_or_rounded_as_said() -> None:
    text = "small_amounts: {kind: drop, only_above: 1, compared: %s}\n"
    assert totals(terms(text % "exact"), 98, fee="10.04") == [100]
    assert totals(terms(text % "rounded"), 98, fee="10.04") == [0]


EVENT = "single_event: {circumstance: caused-by, keep: largest_credit%s}\n"
SAME = [
    ("caused-by", {"level": name, "values": {"event": "x"}}) for name in ("one", "two", "three")
]


def test_of_one_event_only_the_largest_credit_is_paid() -> None:
    assert amounts(first(EVENT % "", circumstances=SAME)) == {"one": 30000, "two": 0, "three": 0}


def test_a_level_without_an_event_stands_on_its_own() -> None:
    assert first(EVENT % "", circumstances=SAME[:2]).total_minor == 40000


def test_a_pair_that_may_add_stands_side_by_side() -> None:
    text = EVENT % ", adds: [[two, three]]"
    assert first(text, circumstances=SAME).total_minor == 30000
    text = EVENT % ", adds: [[one, three]]"
    assert amounts(first(text, circumstances=SAME)) == {"one": 30000, "two": 0, "three": 10000}


def test_the_buyer_can_choose_which_credit_of_an_event_stands() -> None:
    text = "single_event: {circumstance: caused-by, keep: chosen, choice: choice}\n"
    chosen = [*SAME, ("choice", {"level": "two"})]
    assert amounts(first(text, circumstances=chosen)) == {"one": 0, "two": 20000, "three": 0}


CRITICAL = """
critical_failure:
  circumstance: outage-of-all
  decision: withhold
  withheld_at_most: {kind: amount, amount: 250}
  if_absent: {counts_as: 0}
"""


@pytest.mark.parametrize(("decided", "total"), [(None, 0), (100, 10000), (900, 25000)])
def test_a_critical_failure_replaces_credits_by_what_is_withheld(
    decided: int | None, total: int
) -> None:
    told: list[tuple[str, dict[str, Any]]] = [("outage-of-all", {})]
    if decided is not None:
        told.append(("withhold", {"value": decided}))
    assert first(CRITICAL, circumstances=told).total_minor == total


def withheld(stated: dict[str, Any], head: str = HEAD) -> list[PeriodOutcome]:
    """What a month with a critical failure comes to, with what the decision states."""
    told: list[tuple[str, dict[str, Any]]] = [("outage-of-all", {}), ("withhold", stated)]
    return list(
        outcomes(terms(CRITICAL, head=head), [evaluation("2025-01", 98, circumstances=told)])
    )


def test_a_decision_of_another_currency_is_converted_or_refused() -> None:
    dollars = {"value": 300, "values": {"currency": "USD"}}
    half = (
        "conversions: [{currency: USD, kind: agreed, rate: 0.5, quoted: own_for_foreign, "
        "source: agreed, rounded: exact}]\n"
    )
    (found,) = withheld(dollars, HEAD + half)
    assert isinstance(found, SettlementStatement)
    assert found.total_minor == 15000
    assert [one.rule for one in found.lines[-1].steps] == ["conversion", "withheld"]
    (waits,) = withheld(dollars)
    assert isinstance(waits, Unsettled)
    assert "the value of the circumstance withhold of 2025-01" in waits.reasons[0]
    assert "converts no USD" in waits.reasons[0]


def test_a_critical_failure_that_is_denied_changes_nothing() -> None:
    told = [("outage-of-all", {"values": {"holds": False}})]
    assert first(CRITICAL, circumstances=told).total_minor == 60000


@pytest.mark.parametrize(("decided", "paid"), [(250, {"withheld": 25000}), (150, {"two": 20000})])
def test_what_is_withheld_for_an_event_stands_alone_like_any_credit(
    decided: int, paid: dict[str, int]
) -> None:
    ordered = (
        "order: [levels, credits, points, critical_failure, single_event, claims, caps, "
        "small_amounts, earn_back, fees, deposit, rounding]\n"
    )
    critical = CRITICAL.replace("  decision", "  replaces: [one]\n  decision")
    told: list[tuple[str, dict[str, Any]]] = [
        ("caused-by", {"values": {"event": "x"}}),
        ("outage-of-all", {}),
        ("withhold", {"value": decided}),
    ]
    found = amounts(first(critical + EVENT % "" + ordered, circumstances=told))
    assert {line: amount for line, amount in found.items() if amount} == paid


def invoice(charges: int, day: str) -> tuple[str, dict[str, Any]]:
    """The invoice of a month."""
    return ("invoice", {"values": {"charges": charges, "date": day}})


def invoiced(rest: str, *charges: int) -> list[SettlementStatement]:
    """Three months of which the first is missed, each with an invoice."""
    text = f"invoicing: {{invoice: invoice, deducted_from: next_period, rest: {rest}}}\n"
    known = [
        evaluation(month, value, circumstances=[invoice(charge, f"{month}-28")])
        for month, value, charge in zip(months(3), (98, 99, 99), charges, strict=True)
    ]
    return settled(agreement(ENDING + LEVEL + text), known)


def test_what_an_invoice_cannot_take_is_carried_to_the_next() -> None:
    found = invoiced("{kind: carried, at_end: lapses}", 500, 60, 70)
    assert [one.figures["invoice"] for one in found] == [500, 0, 30]
    assert found[-1].figures["lapsed"] == 0


def test_what_is_left_at_the_end_lapses_or_is_paid() -> None:
    found = invoiced("{kind: carried, at_end: lapses}", 500, 60, 10)
    assert found[-1].figures["lapsed"] == 30
    found = invoiced("{kind: carried, at_end: cash, cash_within_days: 30}", 500, 60, 10)
    assert (found[-1].figures["cash"], found[-1].figures["cash-due"]) == (30, "2025-04-27")


def outage(name: str, minutes: int) -> Part:
    """One outage."""
    return Part(
        part=name,
        start=datetime(2025, 1, 5, tzinfo=UTC),
        end=datetime(2025, 1, 6, tzinfo=UTC),
        amount=Fraction(minutes),
    )


@pytest.mark.parametrize(("minutes", "opened"), [(60, False), (61, True)])
def test_one_long_occurrence_opens_a_right(minutes: int, opened: bool) -> None:
    text = (
        "terminations: [{kind: occurrence, term: long, metric: outages, region: {above: 60}, "
        "across_periods: goes_on, "
        "exercise_days: 60}]\n"
    )
    known = evaluation(
        "2025-01", 99, figures={"outages": minutes}, parts={"outages": [outage("o1", minutes)]}
    )
    (statement,) = settled(terms(text), [known])
    assert bool(statement.rights) is opened
    if opened:
        assert statement.rights[0].exercise_until == "2025-04-01"


def test_a_mean_of_one_subject_opens_a_right_where_another_has_no_data() -> None:
    text = (
        "terminations: [{kind: mean, term: low, level: uptime, of_last: 2, region: {below: 98.5}, "
        "missing_period: use_what_is_there}]\n"
    )
    each = LEVEL.replace("    judged", "    each_subject: true\n    judged")
    sites = {("uptime", "north"): None, ("uptime", "south"): 90}
    known = evaluation("2025-01", 99, figures=sites)
    of_sites = tuple(figure for figure in known.figures if figure.subject is not None)
    (statement,) = settled(
        terms(text, level=each), [known.model_copy(update={"figures": of_sites})]
    )
    assert [right.term for right in statement.rights] == ["low"]


def test_misses_in_a_window_open_a_right() -> None:
    text = "terminations: [{kind: misses, term: often, level: uptime, misses: 2, of_last: 3}]\n"
    known = [
        evaluation(month, value) for month, value in zip(months(4), (98, 99, 98, 99), strict=True)
    ]
    assert [bool(one.rights) for one in settled(terms(text), known)] == [False, False, True, False]


def test_a_cap_that_is_used_up_opens_a_right() -> None:
    text = cap("period", 100) + "terminations: [{kind: cap_reached, term: full, cap: top}]\n"
    assert [
        bool(one.rights)
        for one in settled(terms(text), [evaluation("2025-01", 98), evaluation("2025-02", 99)])
    ] == [True, False]


@pytest.mark.parametrize(("amount", "opens"), [(199, True), (200, True), (201, False)])
def test_a_cap_of_some_levels_is_used_up_by_their_credits_alone(amount: int, opens: bool) -> None:
    right = "terminations: [{kind: cap_reached, term: full, cap: top}]\n"
    assert bool(first(cap("period", amount, ", levels: [two]") + right).rights) is opens


def test_a_cap_that_an_earlier_one_keeps_from_its_ceiling_is_not_used_up() -> None:
    text = (
        "caps:\n"
        "  - {cap: low, window: period, limit: {kind: amount, amount: 50}}\n"
        "  - {cap: top, window: period, limit: {kind: amount, amount: 60}}\n"
        "terminations: [{kind: cap_reached, term: full, cap: top},"
        " {kind: cap_reached, term: low, cap: low}]\n"
    )
    assert [right.term for right in first(text).rights] == ["low"]


def test_an_excused_miss_costs_nothing_and_is_shown() -> None:
    excused = LEVEL.replace(
        "    judged", "    relief: [{kind: circumstance, circumstance: storm}]\n    judged"
    )
    known = evaluation("2025-01", 90, circumstances=[("storm", {"level": "uptime"})])
    (statement,) = settled(terms(level=excused), [known])
    assert (statement.results[0].standing, statement.total_minor) == ("excused", 0)


LATE = datetime(2025, 2, 10, 20, tzinfo=UTC)
EXCUSED = LEVEL.replace(
    "    judged",
    "    relief: [{kind: proofs, circumstance: proof, proofs: [notice], within_days: 10}]\n"
    "    judged",
)
PROOF = ("proof", {"values": {"failed_on": "2025-01-31", "notice": True}, "at": LATE})


@pytest.mark.parametrize(
    ("zone", "in_time"), [("UTC", True), ("America/New_York", True), ("Asia/Tokyo", False)]
)
@pytest.mark.parametrize(
    ("contract", "stated", "total"),
    [
        (terms("claim: {within_days: 10}\n"), ("claim", {"at": LATE}), 10000),
        (terms(level=EXCUSED), PROOF, 0),
    ],
)
def test_the_last_day_ends_with_the_day_of_the_programmes_own_zone(
    contract: Agreement, stated: tuple[str, dict[str, Any]], total: int, zone: str, in_time: bool
) -> None:
    name, data = stated
    known = [evaluation("2025-01", 98, circumstances=[(name, dict(data))])]
    (found,) = settle([contract], known, parties=Parties("town"), time_zone=zone)
    assert isinstance(found, SettlementStatement)
    assert found.total_minor == (total if in_time else 10000 - total)
