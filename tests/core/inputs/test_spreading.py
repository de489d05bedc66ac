"""A charge for more than a settlement period: refused, or spread so that its parts add up to it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.evaluation import PeriodEvaluation
from schemas.period import PeriodLength
from schemas.statement import SettlementStatement
from services.core.calendar.windows import covers, parts_of
from services.core.events.facts import Row
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.rules import rules_of
from services.core.inputs.spreading import SpreadCharge, SpreadRule
from services.core.settling.one_period import Unsettled
from tests.core.events.test_acceptance import AT, CHARGE
from tests.core.said import FINANCE, NUMBERS, PROGRAMME, Said, agreement, judged
from tests.core.told import HEAD, Circumstances, evaluation, months, outcomes, settled, terms

BY_DAYS = HEAD.replace("longer_charge: refused", "longer_charge: by_days")
EQUAL = HEAD.replace("longer_charge: refused", "longer_charge: equal_parts")
RULES = st.sampled_from(["by_days", "equal_parts"])


@given(
    st.sampled_from(["2024", "2025", "2025-H1", "2024-Q1", "2025-Q3", "2025-02"]),
    st.sampled_from(["day", "month", "quarter", "half_year", "year"]),
    RULES,
    st.integers(-(10**9), 10**9),
)
def test_the_parts_add_up_to_the_charge(
    charged: str, settled_by: PeriodLength, rule: SpreadRule, cents: int
) -> None:
    try:
        periods = parts_of(charged, settled_by)
    except ValueError:
        return
    amount = Fraction(cents, 100)
    parts = [SpreadCharge(rule, charged, period).part(amount, 2) for period in periods]
    assert sum(parts) == amount
    assert all((part * 100).denominator == 1 for part in parts)
    if rule == "equal_parts":
        assert max(parts) - min(parts) <= Fraction(1, 100)


def charged(
    months_known: list[str],
    *charges: dict[str, Any],
    uptime: object = 98,
    circumstances: Circumstances = (),
) -> list[PeriodEvaluation]:
    """Months without a fee of their own; each carries the charges of which it has a part."""
    made = []
    for month in months_known:
        known = evaluation(month, uptime, circumstances=circumstances)
        (usual,) = known.charges
        facts = []
        for number, one in enumerate(charges):
            charge = usual.charge.model_validate(
                {"agreement": "hosting", "base": "fee", "currency": "EUR"} | one
            )
            event = usual.event.model_copy(update={"id": f"c{number}"})
            if covers(charge.period, month) or covers(month, charge.period):
                facts.append(usual.model_copy(update={"event": event, "charge": charge}))
        made.append(known.model_copy(update={"charges": tuple(facts)}))
    return made


def bases(found: list[SettlementStatement]) -> list[Fraction]:
    return [one.figures[f"base/fee/{one.period}"] for one in found]  # type: ignore[misc]


def test_a_charge_by_days_has_a_part_in_each_month() -> None:
    found = settled(terms(head=BY_DAYS), charged(months(3), {"period": "2025-Q1", "amount": "100"}))
    assert bases(found) == [Fraction("34.45"), Fraction("31.11"), Fraction("34.44")]
    assert found[1].figures["spread/fee/2025-Q1/2025-02"] == (
        "the charge 'fee' of 2025-Q1 (event c0): 100.00 EUR by days, 28 of 90: 31.11 EUR for "
        "2025-02"
    )
    assert {event.id for one in found for line in one.lines for event in line.events} == {"c0"}


def test_parts_add_to_the_months_own_charges_and_to_shorter_ones() -> None:
    known = charged(
        months(1),
        {"period": "2025-Q1", "amount": "300"},
        {"period": "2025-01", "amount": "10"},
        {"period": "2025-01-31", "amount": "1"},
    )
    assert bases(settled(terms(head=EQUAL), known)) == [Fraction(111)]


def test_a_refused_one_makes_every_month_of_its_time_wait() -> None:
    known = charged(months(2), {"period": "2025", "amount": "1200"})
    for one in outcomes(terms(), known):
        assert isinstance(one, Unsettled)
        (reason,) = one.reasons
        assert "the charge 'fee' of 2025 (event c0)" in reason
        assert f"is for more than {one.period}" in reason
        assert "state it for each month" in reason


def test_nothing_waits_where_no_term_reads_the_charge() -> None:
    known = charged(months(1), {"period": "2025", "amount": "1200"}, uptime=99)
    assert settled(terms(), known)[0].total_minor == 0


def test_the_next_months_part_is_the_base_of_a_base_of_the_next_period() -> None:
    head = BY_DAYS.replace("of_period: same", "of_period: next")
    known = charged(months(2), {"period": "2025-Q1", "amount": "900"})
    january, february = outcomes(terms(head=head), known)
    assert isinstance(january, SettlementStatement)
    assert january.total_minor == 2800
    assert isinstance(february, Unsettled), "March is not evaluated yet"


def test_the_last_month_has_the_part_of_the_month_after_the_end() -> None:
    head = BY_DAYS.replace("of_period: same", "of_period: next") + "effective_until: 2025-02-01\n"
    known = charged(months(1), {"period": "2025-Q1", "amount": "900"})
    assert settled(terms(head=head), known)[0].total_minor == 2800


def test_a_cap_over_several_months_takes_a_percentage_of_their_parts() -> None:
    cap = (
        "caps: [{cap: top, window: trailing, periods: 2, "
        "limit: {kind: percent_of, percent: 6, base: fee}}]\n"
    )
    known = charged(months(2), {"period": "2025-Q1", "amount": "900"})
    # 10 % of 310.00, then of 280.00: together at most 6 % of 590.00 = 35.40 from February on.
    assert [one.total_minor for one in settled(terms(cap, head=BY_DAYS), known)] == [1860, 1680]


USD = "conversions: [{currency: USD, quoted: own_for_foreign, source: Bank, rounded: %s, %s}]\n"
CENT = "{decimals: 2, mode: half_up}"
IN_DOLLARS = {"period": "2025-Q1", "amount": "100.01", "currency": "USD", "dated": "2025-01-10"}


def test_at_an_agreed_rate_the_charge_is_converted_once_and_spread() -> None:
    text = USD % (CENT, "kind: agreed, rate: 0.333")
    found = settled(terms(text, head=EQUAL), charged(months(3), IN_DOLLARS))
    # 100.01 USD x 0.333 = 33.30333: 33.30 EUR
    assert bases(found) == [Fraction("11.10")] * 3
    assert found[0].figures["converted/fee/2025-Q1"] == found[2].figures["converted/fee/2025-Q1"]


def test_converted_exactly_the_parts_add_up_to_what_it_comes_to() -> None:
    text = USD % ("exact", "kind: agreed, rate: 0.333")
    found = settled(terms(text, head=EQUAL), charged(months(3), IN_DOLLARS))
    assert sum(bases(found)) == Fraction("100.01") * Fraction("0.333")


def test_at_the_rate_of_the_invoices_day_it_is_converted_once() -> None:
    text = USD % (CENT, "kind: of_day, day: invoice_date, circumstance: usd, no_rate: wait")
    rate = [("usd", {"period": "2025-01-10", "value": "0.5"})]
    known = charged(months(1), IN_DOLLARS, circumstances=rate) + charged(
        ["2025-02", "2025-03"], IN_DOLLARS
    )
    # 50.005, half up 50.01
    assert bases(settled(terms(text, head=EQUAL), known)) == [Fraction("16.67")] * 3


def test_at_a_rate_of_the_settlement_period_each_part_has_its_own() -> None:
    text = USD % (CENT, "kind: of_period, circumstance: usd")
    known = [
        *charged(["2025-01"], IN_DOLLARS, circumstances=[("usd", {"value": 1})]),
        *charged(["2025-02"], IN_DOLLARS, circumstances=[("usd", {"value": 2})]),
    ]
    found = settled(terms(text, head=EQUAL), known)
    assert bases(found) == [Fraction("33.34"), Fraction("66.68")]
    assert found[1].figures["converted/fee/2025-Q1/2025-02"] == (
        "the part for 2025-02 of the charge 'fee' of 2025-Q1 (event c0): 33.34 USD at 2 EUR for "
        "1 USD (usd of 2025-02, Bank) = 66.68 EUR, rounded half up to 2 decimals: 66.68"
    )


# --- when it comes in ---------------------------------------------------------------------------


def said(longer: str, period: str, by: str = "month") -> Row | Rejection:
    base = {
        "base": "invoice",
        "of_period": "same",
        "if_missing": "wait",
        "longer_charge": longer,
        "part_of_period": "full_charge",
    }
    known = agreement([{"metric": "samples"}], bases=[base], settled=by)
    event = Said(FINANCE, "e1", "charge", AT, CHARGE | {"period": period})
    return judged(event, rules_of([PROGRAMME], [known], NUMBERS))


@pytest.mark.parametrize(
    ("longer", "period", "by"),
    [
        ("refused", "2025-01", "month"),
        ("refused", "2025-01-31", "month"),
        ("refused", "2025-Q1", "quarter"),
        ("by_days", "2025-Q1", "month"),
        ("equal_parts", "2025", "month"),
    ],
)
def test_a_charge_is_taken(longer: str, period: str, by: str) -> None:
    assert isinstance(said(longer, period, by), Row)


@pytest.mark.parametrize(("period", "by"), [("2025-Q1", "month"), ("2025", "quarter")])
def test_a_longer_charge_is_refused(period: str, by: str) -> None:
    problem = said("refused", period, by)
    assert isinstance(problem, Rejection)
    assert (problem.code, problem.field) == (RejectionCode.WRONG_PERIOD, "/data/period")
    assert f"{period} is more than a {by}" in problem.reason
    assert f"state a charge for each {by}" in problem.remedy
