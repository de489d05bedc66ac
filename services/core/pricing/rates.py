"""What one unit is worth: each kind of rate as money, points or nothing, for one count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from schemas.bands import BandTable
from schemas.base import written
from schemas.credit import (
    Amount,
    AtRiskShare,
    ByBand,
    ByDirection,
    ByRun,
    DayOf,
    FractionOf,
    OnRun,
    PercentOf,
    PointsEach,
    WorthOf,
)
from schemas.period import first_day, label_of
from schemas.statement import Step
from services.core.calendar.windows import days_of_charge
from services.core.exact.arithmetic import HUNDRED, ONE, ZERO, number_text, percent_of, rounded
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import step
from services.core.judging.levels import consecutive_misses
from services.core.pricing.quantities import PricedUnits, PricingContext


@dataclass(frozen=True, slots=True)
class Price:
    """What some counts come to. ``weight``: the share by which a single event may choose."""

    value: Fraction
    unit: Literal["money", "points"]
    steps: tuple[Step, ...]
    weight: Fraction | None = None


def price(pricing: PricingContext, term: Any, counts: Sequence[PricedUnits]) -> Price:
    """Counts times the rate, in main units or points."""
    return _RATES[type(term)](pricing, term, counts)


def _units(counts: Sequence[PricedUnits]) -> Fraction:
    return sum((count.units for count in counts), ZERO)


def _times(units: Fraction) -> str:
    return "" if units == 1 else f"{number_text(units)} x "


def _percent_step(pricing: PricingContext, percent: Fraction) -> Step:
    return step("percent", pricing.term, f"{number_text(percent)} % of the charge", percent)


def _percent_of(pricing: PricingContext, term: PercentOf, counts: Sequence[PricedUnits]) -> Price:
    units = _units(counts)
    charge, of_what = _charge(pricing, term, units * term.percent != 0)
    value = ZERO if charge is None else percent_of(units * term.percent, charge)
    told = _told(pricing, charge, of_what)
    text = (
        f"{_times(units)}{number_text(term.percent)} % of {told} = {pricing.context.money(value)}"
    )
    made = (_percent_step(pricing, units * term.percent), step("rate", pricing.term, text, value))
    return Price(value, "money", made, term.percent)


def _base(
    pricing: PricingContext, name: str, counts: bool, period: str | None = None
) -> Fraction | None:
    """A base; None where it is not known and the amount is nothing whatever it is."""
    counts = counts and not pricing.for_nothing
    return pricing.context.base_where(counts, name, pricing.result.subject, period)


def _told(pricing: PricingContext, amount: Fraction | None, name: str) -> str:
    return name if amount is None else f"{pricing.context.money(amount)} ({name})"


def _charge(pricing: PricingContext, term: PercentOf, counts: bool) -> tuple[Fraction | None, str]:
    """The charge that a percentage is of: this period's, or those of the whole run of misses."""
    context, result = pricing.context, pricing.result
    if term.over == "period":
        return _base(pricing, term.base, counts), term.base
    due = pricing.credit.due
    assert isinstance(due, OnRun), "only a credit due on a run is priced over it"
    run = consecutive_misses(result, pricing.earlier(), due.no_data)[: due.misses]
    periods = sorted({settled_period(context, one.period) for one in run})
    bases = [_base(pricing, term.base, counts, period) for period in periods]
    total = None if None in bases else sum(filter(None, bases), ZERO)
    return total, f"{term.base} of {', '.join(periods)}"


def settled_period(context: PeriodContext, measured: str) -> str:
    """The settlement period that a measurement period lies in."""
    return label_of(first_day(measured), context.version.settled)


def _fraction_of(pricing: PricingContext, term: FractionOf, counts: Sequence[PricedUnits]) -> Price:
    units = _units(counts)
    charge = _base(pricing, term.base, units * term.fraction != 0)
    value = units * term.fraction * (charge or ZERO)
    told = _told(pricing, charge, term.base)
    money = pricing.context.money
    text = f"{_times(units)}{written(term.fraction)} of {told} = {money(value)}"
    return Price(value, "money", (step("rate", pricing.term, text, value),))


def _day_of(pricing: PricingContext, term: DayOf, counts: Sequence[PricedUnits]) -> Price:
    units, context = _units(counts), pricing.context
    charge = _base(pricing, term.base, units != 0)
    charged = context.charges.charged_period(context.version, term.base, context.period)
    days = days_of_charge(charged, context.version.conventions.days_of_month)
    value = units * (charge or ZERO) / days
    told = _told(pricing, charge, term.base)
    text = f"{_times(units)}a day's charge, {told} / {days} days = {context.money(value)}"
    return Price(value, "money", (step("rate", pricing.term, text, value),))


def worth(context: PeriodContext, count: PricedUnits, *, needed: bool = True) -> Fraction:
    """What an occurrence is worth; zero, and noted as missing where it counts, if nobody says."""
    stated = count.part.value if count.part else None
    if stated is None and count.units and needed:
        context.blockers.add(
            f"the worth of {name_of(context, count)} is not known; correct its event with a 'value'"
        )
    return stated or ZERO


def name_of(context: PeriodContext, count: PricedUnits) -> str:
    """The occurrence by its name, or by its reference, where it is one."""
    return context.inputs.references.occurrence(count.part) if count.part else "it"


def _worth_of(pricing: PricingContext, term: WorthOf, counts: Sequence[PricedUnits]) -> Price:
    value, steps = ZERO, []
    for count in counts:
        needed = term.percent != 0 and not pricing.for_nothing
        own = worth(pricing.context, count, needed=needed)
        one = percent_of(count.units * term.percent, own)
        text = (
            f"{_times(count.units)}{number_text(term.percent)} % of {pricing.context.money(own)} "
            f"({name_of(pricing.context, count)}) = {pricing.context.money(one)}"
        )
        steps.append(step("rate", pricing.term, text, one))
        value += one
    return Price(value, "money", tuple(steps))


def _amount(pricing: PricingContext, term: Amount, counts: Sequence[PricedUnits]) -> Price:
    units = _units(counts)
    each = pricing.context.own(term.amount, term.currency)
    value = units * each
    money = pricing.context.money
    text = f"{number_text(units)} x {money(each)} = {money(value)}"
    return Price(value, "money", (step("rate", pricing.term, text, value),))


def _at_risk_share(
    pricing: PricingContext, term: AtRiskShare, counts: Sequence[PricedUnits]
) -> Price:
    if term.unallocated:
        text = "the level has been given no share yet: it counts nothing"
        return Price(ZERO, "money", (step("rate", pricing.term, text, ZERO),), weight=ZERO)
    share = ONE
    for percent in term.shares:
        share *= percent / HUNDRED
    units = _units(counts)
    at_risk = pricing.context.at_risk_where(
        units * share != 0 and not pricing.for_nothing, term.at_risk, pricing.result.subject
    )
    value = units * share * (at_risk or ZERO)
    shares = " x ".join(f"{number_text(percent)} %" for percent in term.shares)
    money = pricing.context.money
    told = "" if at_risk is None else f"{money(at_risk)} "
    text = f"{_times(units)}{shares} x {told}at risk ({term.at_risk}) = {money(value)}"
    return Price(value, "money", (step("rate", pricing.term, text, value),), weight=share)


def looked_up(table: BandTable, value: Fraction, path: str) -> tuple[Fraction, Step]:
    """What a table gives for a value, with the step that says which band it is.

    Raises InvalidDeclaration for a value outside the table's domain.
    """
    if table.rounded is not None:
        value = rounded(value, table.rounded.decimals, table.rounded.mode)
    band = table.find(value)
    if band is None:
        if table.otherwise is None:
            raise InvalidDeclaration(_outside(table, value, path))
        text = f"{number_text(value)} is outside the bands: gives {number_text(table.otherwise)}"
        return table.otherwise, step("band", path, text, table.otherwise)
    name = f" ({band.name})" if band.name else ""
    text = f"{number_text(value)} is in '{band.text()}'{name}: gives {number_text(band.gives)}"
    index = table.bands.index(band)
    return band.gives, step("band", f"{path}.bands[{index}]", text, band.gives)


def _outside(table: BandTable, value: Fraction, path: str) -> str:
    """Only a domain leaves values out: the contract was refused otherwise."""
    domain = f" from {' to '.join(map(number_text, table.domain))}" if table.domain else ""
    return (
        f"{number_text(value)} is outside the domain{domain} of the table {path}, which gives it "
        "nothing; correct the fact that states it, or the table's domain"
    )


def _by_band(pricing: PricingContext, term: ByBand, counts: Sequence[PricedUnits]) -> Price:
    units = _units(counts)
    value = units if term.of == "quantity" else pricing.read(None, term.if_absent)
    if value is None or (term.of == "quantity" and not counts):
        return Price(ZERO, "money", ())
    gives, found = looked_up(term, value, pricing.term)
    times = ONE if term.of == "quantity" else units
    if term.gives == "points":
        return Price(times * gives, "points", (found,))
    if term.gives == "amount":
        money = pricing.context.money(times * gives)
        text = f"{_times(times)}{pricing.context.money(gives)} = {money}"
        made = (found, step("rate", pricing.term, text, times * gives))
        return Price(times * gives, "money", made)
    assert term.base is not None
    flat = PercentOf(kind="percent_of", percent=gives, base=term.base)
    priced = _percent_of(pricing, flat, (PricedUnits(times),))
    return Price(priced.value, "money", (found, *priced.steps), gives)


def _by_run(pricing: PricingContext, term: ByRun, counts: Sequence[PricedUnits]) -> Price:
    result = pricing.result
    run = len(consecutive_misses(result, pricing.earlier(), term.no_data))
    if run == 0:
        return Price(ZERO, "money", ())
    each = term.amounts[min(run, len(term.amounts)) - 1]
    units = _units(counts)
    value = units * each
    money = pricing.context.money
    text = f"failing period {run} of the run: {_times(units)}{money(each)} = {money(value)}"
    return Price(value, "money", (step("rate", pricing.term, text, value),))


def _by_direction(
    pricing: PricingContext, term: ByDirection, counts: Sequence[PricedUnits]
) -> Price:
    units = _units(counts)
    each = term.vendor_owes if units > 0 else term.buyer_owes
    value = units * each
    payer = "the vendor owes" if units > 0 else "the buyer owes" if units < 0 else "nobody owes"
    money = pricing.context.money
    text = f"{number_text(abs(units))} x {money(each)} = {money(abs(value))}: {payer}"
    return Price(value, "money", (step("rate", pricing.term, text, value),))


def _points(pricing: PricingContext, term: PointsEach, counts: Sequence[PricedUnits]) -> Price:
    units = _units(counts)
    value = units * term.points
    text = f"{_times(units)}{number_text(term.points)} points = {number_text(value)} points"
    return Price(value, "points", (step("rate", pricing.term, text, value),))


_RATES: dict[type, Callable[[PricingContext, Any, Sequence[PricedUnits]], Price]] = {
    PercentOf: _percent_of,
    FractionOf: _fraction_of,
    DayOf: _day_of,
    WorthOf: _worth_of,
    Amount: _amount,
    AtRiskShare: _at_risk_share,
    ByBand: _by_band,
    ByRun: _by_run,
    ByDirection: _by_direction,
    PointsEach: _points,
}
