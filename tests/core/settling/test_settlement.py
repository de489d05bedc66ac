"""Settling a whole history: order, versions, what is waited for, what a person can check."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.statement import SettlementStatement, canonical
from services.core.inputs.worksheet import step
from services.core.settling.one_period import Unsettled
from tests.core.told import HEAD, LEVEL, agreement, evaluation, outcomes, settled, terms, totals

CAP = """
caps:
  - {cap: year, window: trailing, periods: 12, limit: {kind: percent_of, percent: 5, base: fee}}
"""


def test_a_missed_month_costs_its_credit_and_a_met_one_nothing() -> None:
    assert totals(terms(), 98, 99) == [10000, 0]


def test_the_order_in_which_evaluations_come_does_not_matter() -> None:
    known = [evaluation("2025-01", 98), evaluation("2025-02", 99), evaluation("2025-03", 97)]
    forward = [canonical(one) for one in settled(terms(), known)]
    assert [canonical(one) for one in settled(terms(), known[::-1])] == forward


def test_the_latest_revision_of_a_period_counts() -> None:
    known = [evaluation("2025-01", 98), evaluation("2025-01", 99, revision=2)]
    assert [one.total_minor for one in settled(terms(), known)] == [0]


def test_a_period_waits_for_its_charge_and_says_so() -> None:
    (outcome,) = outcomes(terms(), [evaluation("2025-01", 98, fee=None)])
    assert outcome == Unsettled("2025-01", ("the charge 'fee' of 2025-01 is not known yet",))


def test_a_met_period_needs_no_charge() -> None:
    assert totals(terms(), 99, fee=None) == [0]


def test_a_period_after_one_that_waits_is_settled_where_nothing_looks_back() -> None:
    known = [evaluation("2025-01", 98, fee=None), evaluation("2025-02", 98)]
    first, second = outcomes(terms(), known)
    assert isinstance(first, Unsettled)
    assert isinstance(second, SettlementStatement)


def test_a_period_after_one_that_waits_waits_too_where_a_cap_looks_back() -> None:
    known = [evaluation("2025-01", 98, fee=None), evaluation("2025-02", 98)]
    _, second = outcomes(terms(CAP), known)
    assert isinstance(second, Unsettled)
    assert "2025-01 is not settled yet" in second.reasons[0]


def test_a_hole_in_the_history_is_never_guessed() -> None:
    known = [evaluation("2025-01", 99), evaluation("2025-03", 98)]
    _, third = outcomes(terms(CAP), known)
    assert isinstance(third, Unsettled)
    assert third.reasons[0] == "2025-02 is not evaluated yet, and terms look back at it"


def test_a_hole_before_a_version_that_looks_back_is_not_guessed_either() -> None:
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-04-01")
    versions = [terms(), terms(CAP, head=later)]
    without_february = [evaluation(month, 98) for month in ("2025-01", "2025-03", "2025-04")]
    _, march, april = outcomes(versions, without_february)
    assert isinstance(march, SettlementStatement)
    assert isinstance(april, Unsettled)
    assert april.reasons[0] == "2025-02 is not evaluated yet, and terms look back at it"
    waiting = evaluation("2025-02", 98, fee=None)
    *_, april = outcomes(versions, [*without_february, waiting])
    assert isinstance(april, Unsettled)
    assert april.reasons[0] == "2025-02 is not settled yet, and terms look back at it"


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        ("amount, amount: 150", 5_000),
        ("percent_of, percent: 8, base: fee", 6_000),  # of January's and March's fee
    ],
)
def test_a_month_that_no_version_covers_is_no_hole(limit: str, left: int) -> None:
    first = terms().model_copy(update={"effective_until": date(2025, 2, 1)})
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01")
    known = [evaluation(month, 98) for month in ("2025-01", "2025-03")]
    cap = CAP.replace("percent_of, percent: 5, base: fee", limit)
    january, march = outcomes([first, terms(cap, head=later)], known)
    assert isinstance(january, SettlementStatement)
    assert isinstance(march, SettlementStatement)
    assert (january.total_minor, march.total_minor) == (10_000, left)


def test_a_history_that_does_not_begin_at_the_beginning_waits() -> None:
    (outcome,) = outcomes(terms(CAP), [evaluation("2025-02", 98)])
    assert isinstance(outcome, Unsettled)
    assert outcome.reasons[0].startswith("2025-01 is not evaluated yet")


def test_an_evaluation_without_a_needed_figure_is_not_settled() -> None:
    known = evaluation("2025-01", 98).model_copy(update={"figures": ()})
    (outcome,) = outcomes(terms(), [known])
    assert isinstance(outcome, Unsettled)
    assert "holds no figure of uptime" in outcome.reasons[0]


def test_the_version_in_force_on_the_first_day_decides() -> None:
    first = terms()
    second = terms(
        head=HEAD.replace("version: 1", "version: 2").replace("-01-01", "-02-01"),
        level=LEVEL.replace("at_least: 99", "at_least: 97"),
    )
    found = settled([second, first], [evaluation("2025-01", 98), evaluation("2025-02", 98)])
    assert [(one.version, one.total_minor) for one in found] == [(1, 10000), (2, 0)]


def test_a_period_outside_the_agreement_is_not_settled() -> None:
    ended = agreement(HEAD + "effective_until: 2025-02-01\n" + LEVEL)
    known = [evaluation(month, 98) for month in ("2024-12", "2025-01", "2025-02")]
    assert [one.period for one in settled(ended, known)] == ["2025-01"]


def test_the_steps_of_a_line_can_be_checked_by_hand() -> None:
    level = (
        LEVEL.replace(
            "quantity: {kind: one}",
            "quantity: {kind: shortfall, counted_from: 99.9, step: 0.1, part_step: counts_in_full}",
        )
        .replace("percent: 10", "percent: 1")
        .replace("at_least: 99", "at_least: 99.9")
    )
    (statement,) = settled(terms(level=level), [evaluation("2025-01", "99.64", fee="5000.00")])
    said = [(step.rule, step.term, step.text) for step in statement.lines[0].steps]
    assert said == [
        (
            "quantity",
            "levels[0].credits[0].quantity",
            "99.64 is 0.26 under 99.9; 3 steps of 0.1 (a part counts in full)",
        ),
        ("percent", "levels[0].credits[0].rate", "3 % of the charge"),
        ("rate", "levels[0].credits[0].rate", "3 x 1 % of 5,000.00 (fee) = 150.00"),
    ]


def test_a_part_of_a_cent_is_rounded_once_and_shown() -> None:
    (statement,) = settled(terms(), [evaluation("2025-01", 98, fee="0.15")])
    assert statement.total_minor == 2
    assert statement.lines[0].steps[-1].text == "0.015 rounded half up (total): 0.02"


@pytest.mark.parametrize(("where", "total"), [("total", 1), ("line", 2)])
def test_money_is_rounded_where_the_contract_says(where: str, total: int) -> None:
    second = LEVEL.split("levels:\n")[1].replace("uptime", "repair").replace("Uptime", "Repair")
    head = HEAD.replace("rounded_at: total", f"rounded_at: {where}")
    both = agreement(head + LEVEL + second)
    known = evaluation("2025-01", 98, fee="0.06", figures={"repair": 98})
    (statement,) = settled(both, [known])
    assert [line.minor_units for line in statement.lines].count(1) == total
    assert statement.total_minor == total


def test_a_bonus_is_owed_by_the_buyer() -> None:
    level = (
        LEVEL
        + """
      - name: bonus
        is_a: bonus
        due: {kind: on_trigger, result: {above: 99.9}}
        quantity: {kind: one}
        rate: {kind: amount, amount: 50}
"""
    )
    (statement,) = settled(terms(level=level), [evaluation("2025-01", "99.95")])
    assert [(line.kind, line.minor_units) for line in statement.lines] == [("bonus", -5000)]


def test_a_period_with_nothing_due_waits_for_no_charge() -> None:
    at_risk = "at_risk: [{at_risk: month, percent: 10, base: fee}]\n" + (
        "caps: [{cap: month, window: period, limit: {kind: at_risk, at_risk: month}}]\n"
    )
    assert totals(terms(at_risk), 99, fee=None) == [0]


def test_a_circumstance_that_states_nonsense_holds_its_period_back_with_a_remedy() -> None:
    text = (
        "disputes: {circumstance: dispute, working_days: 20, holidays: [], "
        "effect: {at_least: 1}, needs_error: true, disputed_amount: withheld}\n"
    )
    told = [("dispute", {"values": {"raised_on": "2025-02-10", "run_on": "last week"}})]
    known = [evaluation("2025-01", 98, circumstances=told), evaluation("2025-02", 98)]
    first, second = outcomes(terms(text), known)
    assert isinstance(first, Unsettled)
    assert "states 'last week' as 'run_on'" in first.reasons[0]
    assert "correct it with a day" in first.reasons[0]
    assert isinstance(second, SettlementStatement)


def test_a_line_names_the_events_that_it_rests_on() -> None:
    (statement,) = settled(terms(), [evaluation("2025-01", 98)])
    assert [event.id for event in statement.lines[0].events] == ["fee-2025-01"]


def test_the_digest_changes_with_the_facts() -> None:
    one, other = (
        settled(terms(), [evaluation("2025-01", value)])[0].facts_digest for value in (98, 97)
    )
    assert one != other


def test_a_reason_that_is_too_long_for_a_statement_is_cut() -> None:
    assert step("caps", "caps[0]", "x" * 2001).text == "x" * 2000
