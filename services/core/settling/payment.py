"""How a period's total is paid: what is payable, off which invoice, and what becomes of the rest.

Nothing here changes what is owed; it is shown as figures of the statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from schemas.payment import Carried, InCash, Invoicing, Lapses
from services.core.exact.arithmetic import ZERO, percent_of
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import SettledPeriod
from services.core.inputs.stated import stated_day, stated_number

Figures = dict[str, Fraction | str | bool | None]


@dataclass(frozen=True, slots=True)
class Rest:
    """What an invoice could not take: the figures that say so, and what is carried on."""

    figures: Figures
    carried: Fraction = ZERO


def payable(context: PeriodContext, total: Fraction) -> Figures:
    """What is paid for the period: a share of a charge, less the statement's total."""
    term = context.version.payable
    if term is None:
        return {}
    charge = ZERO if term.base is None else percent_of(term.percent, context.base(term.base))
    value = charge - total
    return {"payable": max(value, ZERO) if term.at_least_zero else value}


def invoiced(context: PeriodContext, total: Fraction) -> tuple[Figures, Fraction]:
    """The invoice of the period after deduction, and the credit that is carried on."""
    term = context.version.invoicing
    if term is None:
        return {}, ZERO
    last: SettledPeriod | None = context.history[-1] if context.history else None
    carried = last.carried if last else ZERO
    before = last.total(context.version.currency) if last else ZERO
    due = carried + (total if term.deducted_from == "same_period" else before)
    fact = context.inputs.circumstance(term.invoice)
    if fact is None:
        return {"carried": due}, due
    charges = stated_number(fact, "charges")
    dated = stated_day(fact, "date")
    deducted = min(due, charges)
    figures: Figures = {
        "invoice-charges": charges,
        "invoice-deducted": deducted,
        "invoice": charges - deducted,
    }
    rest = _REST[type(term.rest)](context, term, due - deducted, dated)
    return figures | rest.figures, rest.carried


def _in_cash(_: PeriodContext, term: Invoicing, rest: Fraction, dated: date) -> Rest:
    assert isinstance(term.rest, InCash)
    return _paid(rest, dated, term.rest.within_days)


def _paid(rest: Fraction, dated: date, days: int) -> Rest:
    if rest <= 0:
        return Rest({"cash": ZERO})
    return Rest({"cash": rest, "cash-due": (dated + timedelta(days=days)).isoformat()})


def _lapses(_: PeriodContext, __: Invoicing, rest: Fraction, ___: date) -> Rest:
    return Rest({"lapsed": rest})


def _carried(context: PeriodContext, term: Invoicing, rest: Fraction, dated: date) -> Rest:
    assert isinstance(term.rest, Carried)
    if context.period != context.ends_with:
        return Rest({"carried": rest}, rest)
    if term.rest.at_end == "lapses":
        return Rest({"carried": ZERO, "lapsed": rest})
    assert term.rest.cash_within_days is not None
    return _paid(rest, dated, term.rest.cash_within_days)


_REST: dict[type, Callable[[PeriodContext, Any, Fraction, date], Rest]] = {
    InCash: _in_cash,
    Lapses: _lapses,
    Carried: _carried,
}
