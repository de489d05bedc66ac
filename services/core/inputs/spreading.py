"""A charge for more than one settlement period, as parts that add up to it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from schemas.period import period_length
from services.core.calendar.windows import days_in, parts_of
from services.core.exact.sharing import largest_remainder

SpreadRule = Literal["by_days", "equal_parts"]


@dataclass(frozen=True, slots=True)
class SpreadCharge:
    """How a charge is spread over the settlement periods of its time.

    ``charged``: its period. ``period``: the settlement period whose part is asked for.
    """

    rule: SpreadRule
    charged: str
    period: str

    @property
    def periods(self) -> tuple[str, ...]:
        """All settlement periods of its time, in order."""
        return parts_of(self.charged, period_length(self.period))

    def part(self, amount: Fraction, decimals: int) -> Fraction:
        """The period's part of an amount that has at most so many decimals.

        Parts have as many decimals. What is left over goes to those with the largest remainder.
        """
        scale = 10**decimals
        weights = [self._weight(label) for label in self.periods]
        whole, together = amount * scale, sum(weights)
        exact = [Fraction(weight, together) * whole for weight in weights]
        shares = largest_remainder(exact, int(whole))
        return Fraction(shares[self.periods.index(self.period)], scale)

    def said(self) -> str:
        """``by days, 30 of 91`` or ``in 3 equal parts``."""
        if self.rule == "equal_parts":
            return f"in {len(self.periods)} equal parts"
        return f"by days, {days_in(self.period)} of {days_in(self.charged)}"

    def _weight(self, label: str) -> int:
        return days_in(label) if self.rule == "by_days" else 1


def decimals_of(amount: Fraction, at_least: int) -> int:
    """How many decimals an amount has that ends, at least so many."""
    decimals = at_least
    while (amount * 10**decimals).denominator != 1:
        decimals += 1
    return decimals
