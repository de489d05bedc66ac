"""An amount of another currency in the agreement's own: at which rate, of which day, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from schemas.conversion import AgreedRate, Conversion, EarlierRate, RateOfDay
from schemas.evaluation import EventRef
from schemas.period import first_day, next_label
from schemas.statement import Step
from services.core.exact.arithmetic import money_text, number_text, rounded


@dataclass(frozen=True, slots=True)
class Foreign:
    """An amount of another currency, in its main units.

    ``key``: its name among the statement's figures. ``said``: what it is, in words. ``period``: the
    settlement period it belongs to. ``dated``: the day of its invoice, where it has one.
    """

    key: str
    said: str
    amount: Fraction
    currency: str
    period: str
    dated: date | None = None


@dataclass(frozen=True, slots=True)
class AppliedRate:
    """A rate as its source quotes it, above zero.

    ``of``: the day or period it is of; None for one that is agreed. ``event``: what states it.
    """

    value: Fraction
    of: str | None = None
    event: EventRef | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """An amount that was converted, in main units of the agreement's currency, and how."""

    key: str
    value: Fraction
    step: Step
    event: EventRef | None


def converted(own: str, rules: Sequence[Conversion], rule: Conversion, foreign: Foreign,
              rate: AppliedRate) -> Converted:  # fmt: skip
    """The amount in the currency ``own``, exact or rounded as the rule says."""
    units = Fraction(rule.for_units)
    each = rate.value / units if rule.quoted == "own_for_foreign" else units / rate.value
    exact = foreign.amount * each
    value = exact
    ending = f" = {money_text(exact, own)} {own}"
    if rule.rounded != "exact":
        value = rounded(exact, rule.rounded.decimals, rule.rounded.mode)
        how = f"{rule.rounded.mode.replace('_', ' ')} to {rule.rounded.decimals} decimals"
        ending += f", rounded {how}: {money_text(value, own)}"
    amount = f"{money_text(foreign.amount, foreign.currency)} {foreign.currency}"
    text = f"{foreign.said}: {amount} at {_quoted(own, rule, rate)}{ending}"
    term = f"conversions[{rules.index(rule)}]"
    made = Step(rule="conversion", term=term, text=text[:2000], value=value)
    return Converted(foreign.key, value, made, rate.event)


def _quoted(own: str, rule: Conversion, rate: AppliedRate) -> str:
    """``1.0393 USD for 1 EUR (ecb-usd of 2025-01-31, European Central Bank)``."""
    priced, unit = (own, rule.currency)
    if rule.quoted == "foreign_for_own":
        priced, unit = unit, priced
    of = "agreed" if isinstance(rule, AgreedRate) else f"{rule.circumstance} of {rate.of}"
    return f"{number_text(rate.value)} {priced} for {rule.for_units} {unit} ({of}, {rule.source})"


def days_looked_at(rule: RateOfDay, foreign: Foreign) -> tuple[date, ...]:
    """The days whose rate may be taken, the wanted one first. None where the invoice has no day."""
    day = _wanted_day(rule, foreign)
    if day is None:
        return ()
    back = rule.no_rate.previous_within_days if isinstance(rule.no_rate, EarlierRate) else 0
    return tuple(day - timedelta(days=days) for days in range(back + 1))


def _wanted_day(rule: RateOfDay, foreign: Foreign) -> date | None:
    if rule.day == "invoice_date":
        return foreign.dated
    if rule.day == "period_start":
        return first_day(foreign.period)
    return first_day(next_label(foreign.period)) - timedelta(days=1)
