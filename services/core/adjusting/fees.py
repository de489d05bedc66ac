"""Fees that share cost, and the deposit for deductions that come late."""

from __future__ import annotations

from fractions import Fraction

from schemas.payment import IncentiveFee
from schemas.period import next_label
from schemas.statement import LineKind
from services.core.exact.arithmetic import ZERO, number_text, percent_of
from services.core.inputs.banking import minor_to_main
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import OWED_BY_VENDOR, DraftLine, Worksheet, step

_DEDUCTED: frozenset[LineKind] = OWED_BY_VENDOR | {"set_off", "earn_back"}


def apply_fees(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Each incentive fee as a line that the buyer owes."""
    for index, term in enumerate(context.version.fees):
        seen = context.seen
        fee, text = _fee(context, term)
        steps = (*context.steps_since(seen), step("fee", f"fees[{index}]", text, fee))
        line = DraftLine(f"fee/{term.fee}", "fee", None, context.period, -fee, steps)
        worksheet = worksheet.adding(line).with_figures({f"fee/{term.fee}": fee})
    return worksheet


def _fee(context: PeriodContext, term: IncentiveFee) -> tuple[Fraction, str]:
    """The share formula first; minimum and maximum bind after it."""
    fixed = _fixed(term)
    cost = context.base_where(fixed is None, term.cost)
    if cost is None:
        assert fixed is not None, "else its cost is waited for"
        return fixed, f"{context.money(fixed)}, whatever the cost is"
    difference = cost - term.target_cost
    share = term.share_of_overrun if difference > 0 else term.share_of_underrun
    shared = term.target_fee - percent_of(share, difference)
    fee = shared if term.at_least is None else max(shared, term.at_least)
    fee = fee if term.at_most is None else min(fee, term.at_most)
    money = context.money
    bound = "" if fee == shared else f", bound to {money(fee)}"
    text = (
        f"{money(term.target_fee)} - {number_text(share)} % of ({money(cost)} - "
        f"{money(term.target_cost)}) = {money(shared)}{bound}"
    )
    return fee, text


def _fixed(term: IncentiveFee) -> Fraction | None:
    """The fee, where no cost can change it."""
    if term.at_least is not None and term.at_least == term.at_most:
        return term.at_least
    if term.share_of_overrun or term.share_of_underrun:
        return None
    fee = term.target_fee if term.at_least is None else max(term.target_fee, term.at_least)
    return fee if term.at_most is None else min(fee, term.at_most)


def apply_deposit(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Taken in the last period but one, given back in the last."""
    term = context.version.deposit
    if context.ends_with is None:
        return worksheet
    if term is not None and next_label(context.period) == context.ends_with:
        return _taken(context, worksheet, term.periods)
    if context.period == context.ends_with and (term is not None or _held(context)):
        return _given_back(context, worksheet)
    return worksheet


def _held(context: PeriodContext) -> int:
    """The deposit that was taken and is not given back yet, in minor units."""
    last = context.history.last
    return 0 if last is None else last.amount_so_far(frozenset({"deposit"}))


def _taken(context: PeriodContext, worksheet: Worksheet, periods: int) -> Worksheet:
    window = context.window(periods)
    before = [
        minor_to_main(context, settled.amount(_DEDUCTED))
        for settled in context.history.since(window[0])
    ]
    now = sum((one.value for one in worksheet.amounts if one.kind in _DEDUCTED), ZERO)
    deposit = sum((*before, now), ZERO) / periods
    listed = " + ".join(context.money(value) for value in (*before, now))
    text = f"mean of {periods} periods: ({listed}) / {periods} = {context.money(deposit)}"
    made = step("deposit", "deposit", text, deposit)
    line = DraftLine("deposit", "deposit", None, context.period, deposit, (made,))
    return worksheet.adding(line).with_figures({"deposit": deposit})


def _given_back(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    value = -minor_to_main(context, _held(context))
    taken_in = next_label(context.period, -1)
    text = f"the deposit of {context.money(-value)} taken in {taken_in} is settled"
    made = step("deposit", "deposit", text, value)
    return worksheet.adding(DraftLine("deposit", "deposit", None, context.period, value, (made,)))
