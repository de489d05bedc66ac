"""Fees that share cost, and the deposit for deductions that come late."""

from __future__ import annotations

from fractions import Fraction

from schemas.payment import IncentiveFee
from schemas.period import next_label
from schemas.statement import LineKind
from services.core.arithmetic import ZERO, number_text, percent_of
from services.core.balances import minor_to_main
from services.core.case import OWED_BY_VENDOR, Amount, Case, Sheet, step

_DEDUCTED: frozenset[LineKind] = OWED_BY_VENDOR | {"set_off", "earn_back"}


def apply_fees(case: Case, sheet: Sheet) -> Sheet:
    """Each incentive fee as a line that the buyer owes."""
    for index, term in enumerate(case.version.fees):
        seen = case.seen
        fee, text = _fee(case, term)
        steps = (*case.steps_since(seen), step("fee", f"fees[{index}]", text, fee))
        line = Amount(f"fee/{term.fee}", "fee", None, case.period, -fee, steps)
        sheet = sheet.adding(line).with_figures({f"fee/{term.fee}": fee})
    return sheet


def _fee(case: Case, term: IncentiveFee) -> tuple[Fraction, str]:
    """The share formula first; minimum and maximum bind after it."""
    cost = case.base(term.cost)
    difference = cost - term.target_cost
    share = term.share_of_overrun if difference > 0 else term.share_of_underrun
    shared = term.target_fee - percent_of(share, difference)
    fee = shared if term.at_least is None else max(shared, term.at_least)
    fee = fee if term.at_most is None else min(fee, term.at_most)
    money = case.money
    bound = "" if fee == shared else f", bound to {money(fee)}"
    text = (
        f"{money(term.target_fee)} - {number_text(share)} % of ({money(cost)} - "
        f"{money(term.target_cost)}) = {money(shared)}{bound}"
    )
    return fee, text


def apply_deposit(case: Case, sheet: Sheet) -> Sheet:
    """Taken in the last period but one, given back in the last."""
    if case.version.deposit is None or case.ends_with is None:
        return sheet
    if next_label(case.period) == case.ends_with:
        return _taken(case, sheet, case.version.deposit.periods)
    if case.period == case.ends_with:
        return _given_back(case, sheet)
    return sheet


def _taken(case: Case, sheet: Sheet, periods: int) -> Sheet:
    window = case.window(periods)
    before = [
        minor_to_main(case, settled.amount(_DEDUCTED))
        for settled in case.past
        if settled.period in window
    ]
    now = sum((one.value for one in sheet.amounts if one.kind in _DEDUCTED), ZERO)
    deposit = sum((*before, now), ZERO) / periods
    listed = " + ".join(case.money(value) for value in (*before, now))
    text = f"mean of {periods} periods: ({listed}) / {periods} = {case.money(deposit)}"
    made = step("deposit", "deposit", text, deposit)
    line = Amount("deposit", "deposit", None, case.period, deposit, (made,))
    return sheet.adding(line).with_figures({"deposit": deposit})


def _given_back(case: Case, sheet: Sheet) -> Sheet:
    held = case.past[-1].amount(frozenset({"deposit"})) if case.past else 0
    value = -minor_to_main(case, held)
    text = f"the deposit of {case.money(-value)} taken in {next_label(case.period, -1)} is settled"
    made = step("deposit", "deposit", text, value)
    return sheet.adding(Amount("deposit", "deposit", None, case.period, value, (made,)))
