"""Balances: earned-back or banked money, set off against later credits, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor

from schemas.earn_back import Bank
from schemas.money import exponent
from schemas.period import first_day, next_label
from services.core.arithmetic import ZERO
from services.core.case import Amount, Balance, Case, Sheet, counts, step


def minor_to_main(case: Case, minor: int) -> Fraction:
    """Minor units in main units of the agreement's currency."""
    return Fraction(minor, 10 ** exponent(case.version.currency))


def main_to_minor(case: Case, amount: Fraction) -> int:
    """Whole minor units of an amount; a part of one is left out."""
    scaled: Fraction = amount * 10 ** exponent(case.version.currency)
    return floor(scaled)


def put_by(case: Case, sheet: Sheet, name: str, amount: Fraction) -> Sheet:
    """Add what a period banks to its balance."""
    bank = next(bank for bank in case.version.banks if bank.bank == name)
    return _with_balance(case, sheet, bank, amount)


def _with_balance(case: Case, sheet: Sheet, bank: Bank, amount: Fraction) -> Sheet:
    usable = case.period if bank.usable == "same_period" else next_label(case.period)
    last = None if bank.lasts is None else next_label(usable, bank.lasts - 1)
    minor = main_to_minor(case, amount)
    if minor <= 0:
        return sheet
    balance = Balance(bank.bank, case.period, minor, usable, last, bank.pays_for)
    return replace(sheet, balances=(*sheet.balances, balance))


def set_off(case: Case, sheet: Sheet) -> Sheet:
    """Balances pay for this period's credits, as far as they reach."""
    sheet = _with_openings(case, sheet)
    held = case.past[-1].balances if case.past else ()
    kept: list[Balance] = []
    for balance in (*held, *sheet.balances):
        used = _used(case, sheet, balance)
        if used:
            sheet = _with_line(sheet, _line(case, balance, used))
        kept.append(replace(balance, left=balance.left - used))
    return replace(sheet, balances=tuple(kept))


def _with_line(sheet: Sheet, line: Amount) -> Sheet:
    """With a set-off; two balances of one name and period (of two levels) share one line."""
    if all(one.line != line.line for one in sheet.amounts):
        return sheet.adding(line)
    (made,) = line.steps
    amounts = tuple(
        one.becomes(one.value + line.value, made) if one.line == line.line else one
        for one in sheet.amounts
    )
    return replace(sheet, amounts=amounts)


def _with_openings(case: Case, sheet: Sheet) -> Sheet:
    """A balance that the buyer brings along is stated by a circumstance."""
    for bank in case.version.banks:
        fact = case.known.circumstance(bank.opening) if bank.opening else None
        if fact is not None and fact.circumstance.value is not None:
            sheet = _opened(case, sheet, bank, fact.circumstance.value)
    return sheet


def _opened(case: Case, sheet: Sheet, bank: Bank, amount: Fraction) -> Sheet:
    """An opening balance is usable at once: it was earned before."""
    at_once = bank.model_copy(update={"usable": "same_period"})
    return _with_balance(case, sheet, at_once, amount)


def _used(case: Case, sheet: Sheet, balance: Balance) -> int:
    if first_day(balance.usable_from) > first_day(case.period):
        return 0
    room = sum(
        (one.value for one in sheet.amounts if counts(one, balance.pays_for)), ZERO
    ) + _already(sheet, balance.pays_for)
    return min(balance.left, max(main_to_minor(case, room), 0))


def _already(sheet: Sheet, levels: Sequence[str]) -> Fraction:
    """What is set off already against the same credits. Negative."""
    return sum(
        (
            one.value
            for one in sheet.amounts
            if one.kind == "set_off" and (not levels or one.level in (None, *levels))
        ),
        ZERO,
    )


def _line(case: Case, balance: Balance, used: int) -> Amount:
    amount = minor_to_main(case, used)
    text = (
        f"{case.money(amount)} of the balance {balance.name} from {balance.for_period} "
        f"({case.money(minor_to_main(case, balance.left))}) is set off"
    )
    return Amount(
        line=f"set-off/{balance.name}/{balance.for_period}",
        kind="set_off",
        level=balance.pays_for[0] if len(balance.pays_for) == 1 else None,
        for_period=balance.for_period,
        value=-amount,
        steps=(step("set-off", "banks", text, -amount),),
    )


def close_balances(case: Case, sheet: Sheet) -> Sheet:
    """Balances left after this period; what can no longer be used has expired."""
    ends = case.ends_with == case.period
    left: dict[str, Fraction] = {}
    expired: dict[str, Fraction] = {}
    kept: list[Balance] = []
    for balance in sheet.balances:
        over = ends or balance.last_period == case.period
        book = expired if over else left
        book[balance.name] = book.get(balance.name, ZERO) + minor_to_main(case, balance.left)
        if not over and balance.left:
            kept.append(balance)
    names = {*left, *expired}
    figures: dict[str, Fraction | str | bool | None] = {
        f"balance/{name}": left.get(name, ZERO) for name in names
    }
    figures |= {f"expired/{name}": amount for name, amount in expired.items() if amount}
    return replace(sheet.with_figures(figures), balances=tuple(kept))
