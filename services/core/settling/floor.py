"""What is payable is never below zero: what would go beyond that is not owed, and not booked."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from schemas.money import exponent
from services.core.exact.arithmetic import ZERO
from services.core.exact.sharing import largest_remainder
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import DraftLine, step
from services.core.settling.payment import share_of_charge

RoundedLine = tuple[DraftLine, int]
"""A line and what it comes to in whole minor units."""


def floored(context: PeriodContext, lines: Sequence[RoundedLine]) -> list[RoundedLine]:
    """With what the vendor owes cut, where it is more than the charge that it is taken from.

    Every line in the vendor's debit is cut by the same share, in whole minor units.
    """
    term = context.version.payable
    if term is None or not term.at_least_zero:
        return list(lines)
    scale = 10 ** exponent(context.version.currency)
    most = floor(max(share_of_charge(context, term), ZERO) * scale)
    over = sum(minor for _, minor in lines) - most
    if over <= 0:
        return list(lines)
    owed = [max(minor, 0) for _, minor in lines]
    kept = max(sum(owed) - over, 0)
    shares = largest_remainder([Fraction(one * kept, sum(owed)) for one in owed], kept)
    return [
        (_cut(context, line, Fraction(share, scale)), share) if minor > 0 else (line, minor)
        for (line, minor), share in zip(lines, shares, strict=True)
    ]


def _cut(context: PeriodContext, line: DraftLine, value: Fraction) -> DraftLine:
    text = (
        f"what is payable is at least zero: {context.money(line.value)} cut to "
        f"{context.money(value)}"
    )
    return line.becomes(value, step("floor", "payable", text, value))
