"""An amount that is nothing whatever the charge is does not wait for the charge."""

from __future__ import annotations

import pytest

from schemas.statement import SettlementStatement
from tests.core.told import HEAD, LEVEL, evaluation, outcomes, terms

RATE = "{kind: percent_of, percent: 10, base: fee}"
RISK = "at_risk: [{at_risk: pool, percent: %s, base: fee}]\n"


def level(rate: str = RATE, quantity: str = "{kind: one}", more: str = "") -> str:
    """The usual level with another rate, quantity and further fields of the credit."""
    text = LEVEL.replace(RATE, rate).replace("{kind: one}", quantity)
    return text + (f"        {more}\n" if more else "")


def waits(text: str, *terms_: str, fee: object = None, uptime: object = 98) -> bool:
    """Whether January waits without its charge; what does not wait comes to 0.00."""
    given = [("units", {"value": 0}), ("free", {"value": 0})]
    known = evaluation("2025-01", uptime, fee=fee, circumstances=given)
    (found,) = outcomes(terms(*terms_, level=text, head=HEAD), [known])
    if isinstance(found, SettlementStatement):
        assert found.total_minor == 0
        return False
    assert "the charge 'fee' of 2025-01 is not known yet" in found.reasons
    return True


NONE = "{kind: circumstance, circumstance: units}"
POOL = "{kind: at_risk_share, at_risk: pool, shares: [%s]}"
BAND = "{kind: by_band, of: result, gives: percent, base: fee, "
BAND += "bands: [{below: 97, gives: 5}, {at_least: 97, gives: %s}]}"


@pytest.mark.parametrize(
    ("rate", "more", "nothing"),
    [
        (RATE, "", False),
        (RATE.replace("10", "0"), "", True),
        ("{kind: fraction_of, fraction: 1/30, base: fee}", "", False),
        ("{kind: day_of, base: fee}", "", False),
        (POOL % 50, RISK % 10, False),
        (POOL % 0, RISK % 10, True),
        (POOL % 50, RISK % 0, True),
        (BAND % 0, "", True),
        (BAND % 1, "", False),
    ],
)
def test_a_share_of_nothing_waits_for_no_charge(rate: str, more: str, nothing: bool) -> None:
    assert waits(level(rate), more) is not nothing
    assert waits(level(rate, NONE), more) is False
    assert waits(level(rate, more="factors: [{kind: constant, factor: 0}]"), more) is False


def test_the_amount_is_the_same_when_the_charge_comes() -> None:
    text = level(RATE.replace("10", "0"))
    given, missing = (
        outcomes(terms(level=text), [evaluation("2025-01", 98, fee=fee)])[0] for fee in (500, None)
    )
    assert isinstance(given, SettlementStatement)
    assert isinstance(missing, SettlementStatement)
    assert given.total_minor == missing.total_minor == 0
    assert given.figures["base/fee/2025-01"] == 500
    assert given.lines[0].steps[-1].text == "0 % of 500.00 (fee) = 0.00"
    assert missing.lines[0].steps[-1].text == "0 % of fee = 0.00"


def test_a_ceiling_over_nothing_waits_for_no_charge() -> None:
    limit = "at_most: {kind: percent_of, percent: %s, base: fee}"
    amount = "{kind: amount, amount: %s}"
    assert waits(level(amount % 0, more=limit % 10)) is False
    assert waits(level(amount % 5, more=limit % 10)) is True
    assert waits(level(amount % 5, more=limit % 0)) is False
    days = "at_most: {kind: days_of, days: %s, base: fee}"
    assert waits(level(amount % 5, more=days % 3)) is True


def test_a_cap_over_nothing_waits_for_no_charge() -> None:
    cap = "caps: [{cap: all, window: period, limit: {kind: percent_of, percent: %s, base: fee}}]\n"
    assert waits(level("{kind: amount, amount: 5}"), cap % 10, uptime=98) is True
    assert waits(level("{kind: amount, amount: 5}"), cap % 0, uptime=98) is False
    assert waits(level("{kind: amount, amount: 5}"), cap % 10, uptime=99) is False


FEE = "fees: [{fee: shared, cost: fee, target_cost: 100, target_fee: 0, share_of_overrun: %s, "
FEE += "share_of_underrun: %s, at_least: %s, at_most: %s}]\n"


def test_a_fee_that_no_cost_changes_waits_for_none() -> None:
    text = level("{kind: amount, amount: 0}")
    assert waits(text, FEE % (10, 0, "null", "null")) is True
    assert waits(text, FEE % (0, 0, "null", "null")) is False
    assert waits(text, FEE % (10, 10, 0, 0)) is False


def test_what_is_payable_of_nothing_waits_for_no_charge() -> None:
    text = level("{kind: amount, amount: 0}")
    payable = "payable: {base: fee, percent: %s, at_least_zero: false}\n"
    assert waits(text, payable % 50) is True
    assert waits(text, payable % 0) is False
