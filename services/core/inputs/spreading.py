"""A charge for more than one settlement period, as parts that add up to it.

By days, a period that lies only partly in the charge's time has the days that do: the week over the
end of a month has some days of either month's charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from schemas.period import PeriodLength, first_day, label_of, next_label, period_length
from schemas.period_cycle import cycle_of
from services.core.calendar.windows import days_in, days_shared, labels_between
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
        return _periods(self.charged, period_length(self.period))

    def part(self, amount: Fraction, decimals: int) -> Fraction:
        """The period's part of an amount that has at most so many decimals.

        Parts have as many decimals. What is left over goes to those with the largest remainder.
        """
        shares = _parts(self.rule, self.charged, period_length(self.period), amount, decimals)
        return shares[self.period]

    def said(self) -> str:
        """``by days, 30 of 91`` or ``in 3 equal parts``."""
        if self.rule == "equal_parts":
            return f"in {len(self.periods)} equal parts"
        return f"by days, {days_shared(self.period, self.charged)} of {days_in(self.charged)}"


def is_spread(rule: SpreadRule, charged: str, length: PeriodLength) -> bool:
    """Whether a charge can be spread so: equal parts are of whole periods only."""
    return rule == "by_days" or cycle_of(period_length(charged)).made_of(cycle_of(length))


def _periods(charged: str, length: PeriodLength) -> tuple[str, ...]:
    """The settlement periods that have a day in common with the charge's time, in order."""
    last = first_day(next_label(charged)) - timedelta(days=1)
    return labels_between(label_of(first_day(charged), length), label_of(last, length))


# A year's charge settled by day is asked for 365 times: its parts are worked out once.
@lru_cache(maxsize=256)
def _parts(
    rule: SpreadRule, charged: str, length: PeriodLength, amount: Fraction, decimals: int
) -> Mapping[str, Fraction]:
    """Each settlement period's part of a charge."""
    periods = _periods(charged, length)
    weights = [days_shared(label, charged) if rule == "by_days" else 1 for label in periods]
    scale, together = 10**decimals, sum(weights)
    exact = [Fraction(weight, together) * amount * scale for weight in weights]
    shares = largest_remainder(exact, int(amount * scale))
    return {label: Fraction(share, scale) for label, share in zip(periods, shares, strict=True)}


def decimals_of(amount: Fraction, at_least: int) -> int:
    """How many decimals an amount has that ends, at least so many."""
    decimals = at_least
    while (amount * 10**decimals).denominator != 1:
        decimals += 1
    return decimals
