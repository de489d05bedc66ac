"""Money in whole minor units: rounded once, where the agreement says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from schemas.money import exponent
from services.core.arithmetic import ZERO, rounded
from services.core.case import OWED_BY_VENDOR, Amount, Case, Sheet, step
from services.core.sharing import largest_remainder


def round_when_made(case: Case, sheet: Sheet, first: int) -> Sheet:
    """Where every line is rounded on its own, it is rounded when it is made, before any cap.

    ``first``: position of the first new line.
    """
    if case.version.conventions.rounded_at != "line":
        return sheet
    made = (_rounded(case, amount) for amount in sheet.amounts[first:])
    return replace(sheet, amounts=(*sheet.amounts[:first], *made))


def _rounded(case: Case, amount: Amount) -> Amount:
    mode = case.version.conventions.money_rounding
    value = rounded(amount.value, exponent(case.version.currency), mode)
    if value == amount.value:
        return amount
    text = (
        f"{case.money(amount.value)} rounded {mode.replace('_', ' ')} (line): {case.money(value)}"
    )
    return amount.becomes(value, step("rounding", "conventions", text, value))


def whole_units_of(case: Case, sheet: Sheet) -> list[int]:
    """Each line in minor units. What is rounded together adds up to its rounded sum.

    ``total``: all lines together. ``line``: lines are whole already, except credits that a cap has
    cut; those share what the cap leaves.
    """
    scale = 10 ** exponent(case.version.currency)
    exact = [amount.value * scale for amount in sheet.amounts]
    if case.version.conventions.rounded_at == "total":
        return _shared(case, exact)
    credits = [amount.kind in OWED_BY_VENDOR for amount in sheet.amounts]
    cut = iter(_shared(case, [value for value, own in zip(exact, credits, strict=True) if own]))
    mode = case.version.conventions.money_rounding
    return [
        next(cut) if own else int(rounded(value, 0, mode))
        for value, own in zip(exact, credits, strict=True)
    ]


def _shared(case: Case, exact: Sequence[Fraction]) -> list[int]:
    mode = case.version.conventions.money_rounding
    return largest_remainder(exact, int(rounded(sum(exact, ZERO), 0, mode)))
