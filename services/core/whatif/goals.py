"""From a revenue target to the units owed: how many leads, calls or visits a target needs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from schemas.base import written


@dataclass(frozen=True, slots=True)
class Goal:
    """What a target comes to.

    ``units``: whole units owed. ``exact_units``: before rounding up. ``steps``: the calculation as
    a person would write it down.
    """

    deals: Fraction
    exact_units: Fraction
    units: int
    rounded_up: bool
    steps: tuple[str, ...]


def units_owed(
    revenue_target: Fraction, revenue_per_deal: Fraction, conversion_percent: Fraction
) -> Goal:
    """How many units reach the revenue target, when so many percent of them become deals.

    Revenue in main units of one currency; a part of a unit counts as a whole one. Raises ValueError
    for a target, revenue or rate that is not above zero, and for a rate over 100 %.
    """
    _above_zero("the revenue target", revenue_target)
    _above_zero("the revenue per deal", revenue_per_deal)
    _above_zero("the conversion rate", conversion_percent)
    if conversion_percent > 100:
        raise ValueError(
            f"the conversion rate is {written(conversion_percent)} %, but no more than all units "
            "become deals; state a percentage up to 100"
        )
    deals = revenue_target / revenue_per_deal
    exact = deals * 100 / conversion_percent
    units = ceil(exact)
    target, each = written(revenue_target), written(revenue_per_deal)
    steps = [
        f"{target} by {each} per deal = {written(deals)} deals",
        f"{written(deals)} deals by {written(conversion_percent)} % = {written(exact)} units",
    ]
    if units != exact:
        steps.append(f"{written(exact)} rounded up, a part counts as a whole unit: {units}")
    return Goal(deals, exact, units, units != exact, tuple(steps))


def _above_zero(what: str, value: Fraction) -> None:
    if value <= 0:
        raise ValueError(f"{what} is {written(value)}, not above zero; state what is aimed at")
