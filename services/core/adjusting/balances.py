"""Balances: earned-back or banked money, set off against later credits, the oldest first."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from schemas.earn_back import Bank
from schemas.period import first_day, next_label
from services.core.adjusting.credit_room import CreditRoom
from services.core.exact.arithmetic import ZERO
from services.core.inputs.banking import main_to_minor, minor_to_main, with_balance
from services.core.inputs.context import PeriodContext
from services.core.inputs.openings import LookBack, bank_openings, is_stated, money_of, unstated
from services.core.inputs.worksheet import Balance, DraftLine, Worksheet, step


def set_off(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Balances pay for this period's credits, as far as they reach."""
    worksheet = _with_openings(context, worksheet)
    last = context.history.last
    held = () if last is None else last.balances
    kept: list[Balance] = []
    room = CreditRoom.of((one.kind, one.level, one.value) for one in worksheet.amounts)
    for balance in (*held, *worksheet.balances):
        used = _used(context, room, balance)
        if used:
            worksheet = _with_line(worksheet, _line(context, balance, used))
        kept.append(replace(balance, left=balance.left - used))
    _await_openings(context, room)
    return replace(worksheet, balances=tuple(kept))


def _with_line(worksheet: Worksheet, line: DraftLine) -> Worksheet:
    """With a set-off; two balances of one name and period (of two levels) share one line."""
    if all(one.line != line.line for one in worksheet.amounts):
        return worksheet.adding(line)
    (made,) = line.steps
    amounts = tuple(
        one.becomes(one.value + line.value, made) if one.line == line.line else one
        for one in worksheet.amounts
    )
    return replace(worksheet, amounts=amounts)


def _with_openings(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """A balance that the buyer brings along is stated by a circumstance."""
    for bank in context.version.banks:
        if bank.opening is None:
            continue
        facts = bank_openings(context.charges, bank.opening, context.period, context.begins)
        amount = money_of(context.charges, context.version, context.blockers, facts, "value")
        worksheet = _opened(context, worksheet, bank, amount)
    return worksheet


def _await_openings(context: PeriodContext, room: CreditRoom) -> None:
    """Note each opening that nobody states, where the balances leave credits it could pay for."""
    for index, bank in enumerate(context.version.banks):
        if bank.opening is None or bank.if_absent == "nothing" or not room.left(bank.pays_for):
            continue
        if _is_over(context, bank) or is_stated(context.charges, bank.opening, context.period):
            continue
        begins = first_day(context.begins)
        look = LookBack("term", context.period, context.begins, begins, begins)
        context.blockers.add(unstated(bank.opening, f"banks[{index}]", "'value'", look))


def _is_over(context: PeriodContext, bank: Bank) -> bool:
    """Whether what was banked before the agreement can no longer be used."""
    if bank.lasts is None:
        return False
    return first_day(context.period) >= first_day(next_label(context.begins, bank.lasts))


def _opened(
    context: PeriodContext, worksheet: Worksheet, bank: Bank, amount: Fraction
) -> Worksheet:
    """An opening balance is usable at once: it was earned before."""
    at_once = bank.model_copy(update={"usable": "same_period"})
    return with_balance(context, worksheet, at_once, amount)


def _used(context: PeriodContext, room: CreditRoom, balance: Balance) -> int:
    if first_day(balance.usable_from) > first_day(context.period):
        return 0
    used = min(balance.left, main_to_minor(context, room.left(balance.pays_for)))
    room.take(balance.pays_for, minor_to_main(context, used))
    return used


def _line(context: PeriodContext, balance: Balance, used: int) -> DraftLine:
    amount = minor_to_main(context, used)
    text = (
        f"{context.money(amount)} of the balance {balance.name} from {balance.for_period} "
        f"({context.money(minor_to_main(context, balance.left))}) is set off"
    )
    return DraftLine(
        line=f"set-off/{balance.name}/{balance.for_period}",
        kind="set_off",
        level=balance.pays_for[0] if len(balance.pays_for) == 1 else None,
        for_period=balance.for_period,
        value=-amount,
        steps=(step("set-off", "banks", text, -amount),),
    )


def close_balances(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Balances left after this period; what can no longer be used has expired."""
    ends = context.ends_with == context.period
    left: dict[str, Fraction] = {}
    expired: dict[str, Fraction] = {}
    kept: list[Balance] = []
    for balance in worksheet.balances:
        over = ends or balance.last_period == context.period
        book = expired if over else left
        book[balance.name] = book.get(balance.name, ZERO) + minor_to_main(context, balance.left)
        if not over and balance.left:
            kept.append(balance)
    names = {*left, *expired}
    figures: dict[str, Fraction | str | bool | None] = {
        f"balance/{name}": left.get(name, ZERO) for name in names
    }
    figures |= {f"expired/{name}": amount for name, amount in expired.items() if amount}
    return replace(worksheet.with_figures(figures), balances=tuple(kept))
