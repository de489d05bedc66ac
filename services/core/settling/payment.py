"""How a period's total is paid: what is payable, off which invoice, and what becomes of the rest.

Nothing here changes what is owed; it is shown as figures of the statement. Where what is payable
has a floor, `floored` has cut what is owed before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from schemas.payment import Carried, InCash, Invoicing, Lapses, Payable
from schemas.period import first_day, next_label
from services.core.exact.arithmetic import ZERO, percent_of
from services.core.inputs.absence import wait_for
from services.core.inputs.context import PeriodContext
from services.core.inputs.openings import stated_money
from services.core.inputs.stated import stated_day

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
    charge = share_of_charge(context, term)
    value = charge - total
    return {"payable": max(value, ZERO) if term.at_least_zero else value}


def share_of_charge(context: PeriodContext, term: Payable) -> Fraction:
    """What the period's total is taken from, in main units."""
    if term.base is None:
        return ZERO
    base = context.base_where(term.percent != 0, term.base)
    return ZERO if base is None else percent_of(term.percent, base)


def invoiced(context: PeriodContext, total: Fraction) -> tuple[Figures, Fraction]:
    """The invoice of the period after deduction, and the credit that later ones are to take.

    That is what is carried, and the period's own credit where the next invoice takes it.
    """
    last = context.history.last
    carried = ZERO if last is None else last.carried
    term = context.version.invoicing
    if term is None:  # an earlier version carried it; it stays on the books
        return ({"carried": carried} if carried else {}), carried
    due, waiting = carried + total, ZERO
    if term.deducted_from == "next_period":
        due, waiting = carried, total
    fact = context.inputs.whole_amount(term.invoice, context.period)
    ends = context.period == context.ends_with
    if fact is None:
        if term.if_absent == "wait":
            what = f"the invoice {term.invoice} of {context.period} is not stated"
            wait_for(context, what, "invoicing", "state it with its date and charges")
        if not ends:
            return {"carried": due}, due + waiting
        return _at_end(context, term, due, waiting, None).figures, ZERO
    charges = stated_money(context.charges, context.version, context.blockers, fact, "charges")
    dated = stated_day(fact, "date")
    deducted = min(due, charges)
    figures: Figures = {
        "invoice-charges": charges,
        "invoice-deducted": deducted,
        "invoice": charges - deducted,
    }
    if ends:
        return figures | _at_end(context, term, due - deducted, waiting, dated).figures, ZERO
    rest = _REST[type(term.rest)](term, due - deducted, dated)
    return figures | rest.figures, rest.carried + waiting


def _at_end(
    context: PeriodContext, term: Invoicing, rest: Fraction, waiting: Fraction, dated: date | None
) -> Rest:
    """What becomes of all that the last invoice has not taken.

    ``rest``: what it could not take. ``waiting``: what the next one would have taken. Without an
    invoice days are counted from the period's last day.
    """
    day = dated or first_day(next_label(context.period)) - timedelta(days=1)
    if isinstance(term.rest, Carried):
        ended = _ended(rest + waiting, term.rest.at_end, term.rest.cash_within_days, day)
        return Rest({"carried": ZERO, **ended.figures}) if term.rest.at_end == "lapses" else ended
    left = Rest({"cash": rest}) if rest < 0 else _REST[type(term.rest)](term, rest, day)
    if term.at_end is None or not waiting:
        return left
    return _together(left, _ended(waiting, term.at_end, term.cash_within_days, day))


def _ended(left: Fraction, at_end: str, days: int | None, dated: date) -> Rest:
    """What is left when there is no later invoice. Below zero the buyer owes it, and pays it."""
    if at_end == "lapses" and left >= 0:
        return Rest({"lapsed": left})
    if left < 0:
        return Rest({"cash": left})
    assert days is not None, "the schema asks for it"
    return _paid(left, dated, days)


def _together(one: Rest, other: Rest) -> Rest:
    """Both: amounts are added up, and of two days the later one stands."""
    figures = dict(one.figures)
    for name, value in other.figures.items():
        held = figures.get(name)
        if isinstance(held, Fraction) and isinstance(value, Fraction):
            figures[name] = held + value
        else:
            figures[name] = value if held is None else max(str(held), str(value))
    return Rest(figures)


def _in_cash(term: Invoicing, rest: Fraction, dated: date) -> Rest:
    assert isinstance(term.rest, InCash)
    return _paid(rest, dated, term.rest.within_days)


def _paid(rest: Fraction, dated: date, days: int) -> Rest:
    if rest <= 0:
        return Rest({"cash": ZERO})
    return Rest({"cash": rest, "cash-due": (dated + timedelta(days=days)).isoformat()})


def _lapses(_: Invoicing, rest: Fraction, __: date) -> Rest:
    return Rest({"lapsed": rest})


def _carried(_: Invoicing, rest: Fraction, __: date) -> Rest:
    return Rest({"carried": rest}, rest)


_REST: dict[type, Callable[[Any, Fraction, date], Rest]] = {
    InCash: _in_cash,
    Lapses: _lapses,
    Carried: _carried,
}
