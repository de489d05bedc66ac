"""Money in whole minor units: rounded once, where the agreement says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from schemas.money import exponent
from services.core.exact.arithmetic import ZERO, rounded
from services.core.exact.sharing import largest_remainder
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import OWED_BY_VENDOR, DraftLine, Worksheet, step


def round_when_made(context: PeriodContext, worksheet: Worksheet, first: int) -> Worksheet:
    """Where every line is rounded on its own, it is rounded when it is made, before any cap.

    ``first``: position of the first new line.
    """
    if context.version.conventions.rounded_at != "line":
        return worksheet
    made = (_rounded(context, amount) for amount in worksheet.amounts[first:])
    return replace(worksheet, amounts=(*worksheet.amounts[:first], *made))


def _rounded(context: PeriodContext, amount: DraftLine) -> DraftLine:
    mode = context.version.conventions.money_rounding
    value = rounded(amount.value, exponent(context.version.currency), mode)
    if value == amount.value:
        return amount
    how = f"rounded {mode.replace('_', ' ')} (line)"
    text = f"{context.money(amount.value)} {how}: {context.money(value)}"
    return amount.becomes(value, step("rounding", "conventions", text, value))


def whole_units_of(context: PeriodContext, worksheet: Worksheet) -> list[int]:
    """Each line in minor units. What is rounded together adds up to its rounded sum.

    ``total``: all lines together. ``line``: lines are whole already, except credits that a cap has
    cut; those share what the cap leaves.
    """
    scale = 10 ** exponent(context.version.currency)
    exact = [amount.value * scale for amount in worksheet.amounts]
    if context.version.conventions.rounded_at == "total":
        return _shared(context, exact)
    credits = [amount.kind in OWED_BY_VENDOR for amount in worksheet.amounts]
    cut = iter(_shared(context, [value for value, own in zip(exact, credits, strict=True) if own]))
    mode = context.version.conventions.money_rounding
    return [
        next(cut) if own else int(rounded(value, 0, mode))
        for value, own in zip(exact, credits, strict=True)
    ]


def _shared(context: PeriodContext, exact: Sequence[Fraction]) -> list[int]:
    mode = context.version.conventions.money_rounding
    return largest_remainder(exact, int(rounded(sum(exact, ZERO), 0, mode)))
