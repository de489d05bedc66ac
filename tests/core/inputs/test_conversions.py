"""Amounts of another currency: at the door, in the contract, and exactly converted."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.money import MOST, exponent
from schemas.statement import SettlementStatement, canonical
from services.core.contracts.diff import contract_diff
from services.core.contracts.inheritance import whence
from services.core.contracts.interchange.tmf623 import to_sla
from services.core.events.facts import Row
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.rules import rules_of
from services.core.exact.arithmetic import rounded
from tests.core.contracts.test_contract_check import GOOD, only, programme
from tests.core.contracts.test_inheritance import CORPORATE, CUSTOMER, SERVICE, hosting
from tests.core.events.test_acceptance import AT, CHARGE
from tests.core.said import FINANCE, NUMBERS, PROGRAMME, Said, agreement, evaluation_of, judged
from tests.core.told import HEAD, Circumstances, evaluation, outcomes, settled, terms

AGREED = {
    "currency": "USD",
    "kind": "agreed",
    "rate": "0.92",
    "quoted": "own_for_foreign",
    "rounded": "exact",
    "source": "Schedule 4",
}
USD = (
    "{currency: USD, kind: of_day, circumstance: usd, quoted: foreign_for_own, day: period_end, "
    "no_rate: wait, rounded: {decimals: 2, mode: half_up}, source: Central bank}"
)
CONVERTS = f"conversions: [{USD}]\n"
LIMIT = "caps: [{cap: a, window: period, limit: {kind: amount, amount: 1, currency: USD}}]\n"


# --- at the door --------------------------------------------------------------------------------


def said(currency: str, amount: object, **more: object) -> Row | Rejection:
    """What the door says of a charge to an agreement that converts dollars, yen and dinars."""
    rules = [
        AGREED,
        AGREED | {"currency": "JPY"},
        {name: value for name, value in AGREED.items() if name != "rate"}
        | {"currency": "BHD", "kind": "of_day", "circumstance": "bhd", "day": "invoice_date"}
        | {"no_rate": "wait"},
    ]
    converting = agreement([{"metric": "samples"}], conversions=rules)
    data = CHARGE | {"currency": currency, "amount": amount} | more
    return judged(
        Said(FINANCE, "e1", "charge", AT, data), rules_of([PROGRAMME], [converting], NUMBERS)
    )


@pytest.mark.parametrize(
    ("currency", "amount", "more"),
    [
        ("EUR", "100.01", {}),
        ("USD", "100.01", {}),
        ("JPY", 100, {}),
        ("BHD", "100.001", {"dated": "2025-02-03"}),
    ],
)
def test_a_charge_in_a_currency_that_is_converted_is_accepted(
    currency: str, amount: object, more: dict[str, object]
) -> None:
    assert isinstance(said(currency, amount, **more), Row)


@pytest.mark.parametrize(
    ("currency", "amount", "more", "code", "field"),
    [
        ("GBP", "1", {}, RejectionCode.WRONG_CURRENCY, "/data/currency"),
        ("usd", "1", {}, RejectionCode.WRONG_CURRENCY, "/data/currency"),
        ("USD", "100.001", {}, RejectionCode.TOO_MANY_DECIMALS, "/data/amount"),
        ("JPY", "100.5", {}, RejectionCode.TOO_MANY_DECIMALS, "/data/amount"),
        ("BHD", "1.0001", {"dated": "2025-02-03"}, RejectionCode.TOO_MANY_DECIMALS, "/data/amount"),
        ("BHD", "1", {}, RejectionCode.BAD_DATA, "/data/dated"),
        ("BHD", "1", {"dated": "2025-02"}, RejectionCode.BAD_DATA, "/data/dated"),
        ("BHD", "1", {"dated": "2025-02-30"}, RejectionCode.BAD_DATA, "/data/dated"),
    ],
)
def test_a_charge_that_cannot_be_converted_is_refused(
    currency: str, amount: object, more: dict[str, object], code: RejectionCode, field: str
) -> None:
    problem = said(currency, amount, **more)
    assert isinstance(problem, Rejection)
    assert (problem.code, problem.field) == (code, field)


def test_a_charge_of_an_unknown_currency_is_told_which_ones_are_taken() -> None:
    problem = said("GBP", "1")
    assert isinstance(problem, Rejection)
    assert problem.reason == "the agreement is in EUR and converts USD, JPY, BHD, the charge in GBP"
    assert problem.remedy == "state the charge in EUR or USD or JPY or BHD"


def test_a_rate_for_a_day_comes_with_the_period_that_the_day_lies_in() -> None:
    rate = {"agreement": "north-wan", "circumstance": "usd", "period": "2025-01-31", "value": "1.1"}
    event = Said(FINANCE, "r1", "circumstance", AT, rate)
    known = {
        month: evaluation_of([event], [{"metric": "samples"}], month).circumstances
        for month in ("2025-01", "2025-02")
    }
    assert [fact.circumstance.value for fact in known["2025-01"]] == [Fraction("1.1")]
    assert known["2025-02"] == ()


# --- in the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "path", "place", "reason", "remedy"),
    [
        (LIMIT, "caps[0].limit.currency", (30, 66), "does not say how USD is converted", "rule"),
        (
            CONVERTS.replace("USD", "EUR"),
            "conversions[0].currency",
            (30, 16),
            "EUR is the agreement's own currency",
            "leave the rule out",
        ),
        (
            f"conversions: [{USD},\n  {USD}]\n",
            "conversions[1].currency",
            (31, 4),
            "there are two rules for USD",
            "keep one",
        ),
        (
            CONVERTS.replace("period_end", "invoice_date") + LIMIT,
            "caps[0].limit.currency",
            (31, 66),
            "this amount has no invoice",
            "period_start or period_end",
        ),
    ],
)
def test_a_currency_that_cannot_become_the_agreements_own_is_refused(
    more: str, path: str, place: tuple[int, int], reason: str, remedy: str
) -> None:
    refusal = only(GOOD + more)
    assert (refusal.path, (refusal.line, refusal.column)) == (path, place)
    assert reason in refusal.reason
    assert remedy in refusal.remedy


def test_a_rule_that_no_amount_could_need_is_refused() -> None:
    free = GOOD.replace("{kind: percent_of, percent: 10, base: fee}", "{kind: amount, amount: 1}")
    free = free.replace(free[free.index("bases:") : free.index("\nlevels:")], "")
    refusal = only(free + CONVERTS)
    assert refusal.path == "conversions[0].currency"
    assert refusal.reason.endswith("no charge and no amount of the agreement can be in USD")
    assert refusal.remedy == "leave the rule out"


def test_an_amount_in_the_agreements_own_currency_needs_no_rule() -> None:
    assert (
        settled(terms(LIMIT.replace("USD", "EUR")), [evaluation("2025-01", 98)])[0].total_minor
        == 100
    )


def test_a_quotient_is_rounded_to_stated_decimals() -> None:
    with pytest.raises(ValueError, match="seldom ends; state 'rounded'"):
        Agreement.model_validate(
            agreement([{"metric": "samples"}]).model_dump()
            | {"conversions": [AGREED | {"quoted": "foreign_for_own"}]}
        )


def test_what_changes_of_a_conversion_is_told() -> None:
    before, after = terms(CONVERTS), terms(CONVERTS.replace("wait", "{previous_within_days: 5}"))
    assert [change.text() for change in contract_diff(before, after)] == [
        "conversion of USD, no rate: wait → previous within days 5"
    ]
    (added,) = contract_diff(terms(), before)
    assert added.text().startswith("conversion of USD: added, of day, currency USD, quoted foreign")


def test_a_rule_of_a_framework_is_inherited_unless_the_agreement_states_its_own() -> None:
    inherited = hosting(CORPORATE + CONVERTS, CUSTOMER, SERVICE)
    assert [rule.currency for rule in inherited.conversions] == ["USD"]
    assert ("conversions.USD", "group") in {(one.term, one.agreement) for one in whence(inherited)}
    nearer = CONVERTS.replace("wait", "{previous_within_days: 2}")
    own = hosting(CORPORATE + CONVERTS, CUSTOMER, SERVICE + nearer)
    assert len(own.conversions) == 1
    assert ("conversions.USD", "hosting") in {(one.term, one.agreement) for one in whence(own)}


def test_a_format_without_money_says_that_conversions_are_lost() -> None:
    exported = to_sla(terms(CONVERTS), programme())
    assert "conversions" in {loss.where for loss in exported.lost}


# --- converted ----------------------------------------------------------------------------------


def rate(value: object, on: str = "2025-01-31") -> Circumstances:
    """A day's rate, as a circumstance."""
    return [("usd", {"value": value, "values": {"on": on}})]


def in_dollars(known: PeriodEvaluation, amount: object) -> PeriodEvaluation:
    """The same evaluation with its one charge in dollars."""
    (fact,) = known.charges
    charge = fact.charge.model_copy(update={"currency": "USD", "amount": Fraction(str(amount))})
    return known.model_copy(update={"charges": (fact.model_copy(update={"charge": charge}),)})


def january(amount: object, *circumstances: Any, revision: int = 1) -> PeriodEvaluation:
    """January below its level, charged in dollars."""
    known = evaluation("2025-01", 98, circumstances=circumstances, revision=revision)
    return in_dollars(known, amount)


def test_a_missing_rate_is_waited_for_and_a_corrected_one_changes_the_amount() -> None:
    def totals(*known: PeriodEvaluation) -> list[int | None]:
        return [getattr(one, "total_minor", None) for one in outcomes(terms(CONVERTS), known)]

    assert totals(january("1000")) == [None]
    assert totals(january("1000", *rate("1.25"))) == [8000]
    assert totals(january("1000"), january("1000", *rate("1"), revision=2)) == [10000]


def test_a_statement_with_many_digits_is_read_back() -> None:
    direct = CONVERTS.replace("foreign_for_own", "own_for_foreign")
    exact = direct.replace("{decimals: 2, mode: half_up}", "exact")
    (found,) = settled(terms(exact), [january("9999999999999999.99", *rate("0.962186086788"))])
    body = canonical(found)
    assert canonical(SettlementStatement.model_validate_json(body)) == body


def test_a_rate_that_makes_an_amount_too_large_to_be_counted_holds_the_period_back() -> None:
    (waits,) = outcomes(terms(CONVERTS), [january("99999999999999.99", *rate("0.000001"))])
    assert not isinstance(waits, SettlementStatement)
    assert waits.reasons[0].endswith("too large to be counted; correct amount or rate")


def test_an_amount_in_a_currency_without_decimals_is_told_and_bounded_in_its_own_units() -> None:
    yen = terms(
        CONVERTS.replace("foreign_for_own", "own_for_foreign"), head=HEAD.replace("EUR", "JPY")
    )
    (found,) = settled(yen, [january("2000000000000000", *rate("150"))])
    assert found.total_minor == 30_000_000_000_000_000
    (how,) = (step.text for step in found.lines[0].steps if step.rule == "conversion")
    assert how.endswith(
        "= 300,000,000,000,000,000 JPY, rounded half up to 2 decimals: 300,000,000,000,000,000"
    )
    (waits,) = outcomes(yen, [january("20000000000000000", *rate("500"))])
    assert not isinstance(waits, SettlementStatement)
    assert waits.reasons[0].endswith("too large to be counted; correct amount or rate")


def test_an_amount_of_a_currency_without_decimals_is_told_without_them() -> None:
    known = january("1000", *rate("150"))
    (fact,) = known.charges
    yen = fact.model_copy(update={"charge": fact.charge.model_copy(update={"currency": "JPY"})})
    (found,) = settled(terms(CONVERTS.replace("USD", "JPY")), [
        known.model_copy(update={"charges": (yen,)})])  # fmt: skip
    (how,) = (step.text for step in found.lines[0].steps if step.rule == "conversion")
    assert ": 1,000 JPY at 150 JPY for 1 EUR" in how


def test_the_step_of_a_conversion_is_cut_where_its_source_is_a_whole_page() -> None:
    page = "Central bank " * 150
    (found,) = settled(
        terms(CONVERTS.replace("Central bank", page)), [january("1000", *rate("1.25"))]
    )
    (how,) = (step.text for step in found.lines[0].steps if step.rule == "conversion")
    assert len(how) == 2000


def test_the_largest_amount_that_is_counted_is_converted_and_a_cent_more_is_not() -> None:
    for cents, taken in ((MOST, True), (MOST + 1, False)):
        (found,) = outcomes(terms(CONVERTS), [january(Fraction(cents, 100), *rate(1))])
        assert isinstance(found, SettlementStatement) == taken


def test_a_rate_is_of_the_day_that_it_names_and_else_of_the_day_that_is_its_period() -> None:
    for on, total in ({"on": "2025-01-31"}, 8000), ({"on": "2025-01-30"}, None), ({}, None):
        told = [("usd", {"value": "1.25", "period": "2025-01-30", "values": on})]
        (found,) = outcomes(terms(CONVERTS), [january("1000", *told)])
        assert getattr(found, "total_minor", None) == total
    told = [("usd", {"value": "1.25", "period": "2025-01-31"})]
    assert settled(terms(CONVERTS), [january("1000", *told)])[0].total_minor == 8000


AMOUNTS = st.integers(0, 10**12)
RATES = st.integers(1, 10**12).map(lambda n: Fraction(n, 10**6))


@given(
    AMOUNTS,
    RATES,
    st.sampled_from(["USD", "JPY", "BHD"]),
    st.sampled_from(["EUR", "JPY", "BHD"]),
    st.sampled_from([1, 100]),
    st.booleans(),
    st.integers(0, 6),
)
def test_converting_is_exact_and_rounded_once(
    minor: int, value: Fraction, foreign: str, own: str, units: int, product: bool, decimals: int
) -> None:
    if foreign == own:
        own = "EUR"
    amount = Fraction(minor, 10 ** exponent(foreign))
    rule = USD.replace("USD", foreign).replace("decimals: 2", f"decimals: {decimals}")
    rule = rule.replace("}}", "}").replace("source", f"for_units: {units}, source")
    if product:
        rule = rule.replace("foreign_for_own", "own_for_foreign")
    contract = terms(
        f"conversions: [{rule}]\npayable: {{base: fee, percent: 100, at_least_zero: false}}\n"
    )
    contract = contract.model_copy(update={"currency": own})
    known = january(amount, *rate(value))
    charge = known.charges[0].charge.model_copy(update={"currency": foreign})
    fact = known.charges[0].model_copy(update={"charge": charge})
    plain = amount * value / units if product else amount * units / value
    assume(plain * 10 ** exponent(own) < MOST // 2)
    (found,) = settled(contract, [known.model_copy(update={"charges": (fact,)})])
    assert found.figures["base/fee/2025-01"] == rounded(plain, decimals, "half_up")


@given(
    st.lists(st.tuples(st.integers(27, 31), RATES), min_size=1, max_size=8, unique=True),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_rates_arrive_does_not_matter(
    told: Sequence[tuple[int, Fraction]], random: Random
) -> None:
    rule = CONVERTS.replace("wait", "{previous_within_days: 3}")
    usual = january(
        "1234.56", *(one for day, value in told for one in rate(value, f"2025-01-{day}"))
    )
    later = evaluation("2025-02", 99)
    mixed = list(usual.circumstances)
    random.shuffle(mixed)
    other = usual.model_copy(update={"circumstances": tuple(mixed)})
    plain = outcomes(terms(rule), [usual, later])
    assert outcomes(terms(rule), [later, other]) == plain
