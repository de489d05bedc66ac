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
from services.core.arithmetic import HUNDRED, ONE, ZERO, number_text, percent_of, rounded
from services.core.case import Case, step
from services.core.judging import consecutive_misses
from services.core.quantities import Asked, Count
from services.core.windows import days_in


@dataclass(frozen=True, slots=True)
class Price:
    """What some counts come to. ``weight``: the share by which a single event may choose."""

    value: Fraction
    unit: Literal["money", "points"]
    steps: tuple[Step, ...]
    weight: Fraction | None = None


def price(asked: Asked, term: Any, counts: Sequence[Count]) -> Price:
    """Counts times the rate, in main units or points."""
    return _RATES[type(term)](asked, term, counts)


def _units(counts: Sequence[Count]) -> Fraction:
    return sum((count.units for count in counts), ZERO)


def _times(units: Fraction) -> str:
    return "" if units == 1 else f"{number_text(units)} x "


def _percent_step(asked: Asked, percent: Fraction) -> Step:
    return step("percent", asked.term, f"{number_text(percent)} % of the charge", percent)


def _percent_of(asked: Asked, term: PercentOf, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    charge, of_what = _charge(asked, term)
    value = percent_of(units * term.percent, charge)
    money = asked.case.money
    text = (
        f"{_times(units)}{number_text(term.percent)} % of {money(charge)} ({of_what}) = "
        f"{money(value)}"
    )
    made = (_percent_step(asked, units * term.percent), step("rate", asked.term, text, value))
    return Price(value, "money", made, term.percent)


def _charge(asked: Asked, term: PercentOf) -> tuple[Fraction, str]:
    """The charge that a percentage is of: this period's, or those of the whole run of misses."""
    case, result = asked.case, asked.result
    if term.over == "period":
        return case.base(term.base, result.subject), term.base
    due = asked.credit.due
    assert isinstance(due, OnRun), "only a credit due on a run is priced over it"
    run = consecutive_misses(result, asked.earlier(), due.no_data)[: due.misses]
    periods = sorted({settled_period(case, one.period) for one in run})
    total = sum((case.base(term.base, result.subject, period) for period in periods), ZERO)
    return total, f"{term.base} of {', '.join(periods)}"


def settled_period(case: Case, measured: str) -> str:
    """The settlement period that a measurement period lies in."""
    return label_of(first_day(measured), case.version.settled)


def _fraction_of(asked: Asked, term: FractionOf, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    charge = asked.case.base(term.base, asked.result.subject)
    value = units * term.fraction * charge
    money = asked.case.money
    text = (
        f"{_times(units)}{written(term.fraction)} of {money(charge)} ({term.base}) = {money(value)}"
    )
    return Price(value, "money", (step("rate", asked.term, text, value),))


def _day_of(asked: Asked, term: DayOf, counts: Sequence[Count]) -> Price:
    units, case = _units(counts), asked.case
    charge = case.base(term.base, asked.result.subject)
    charged = case.charges.charged_period(case.version, term.base, case.period)
    days = days_in(charged)
    value = units * charge / days
    text = (
        f"{_times(units)}a day's charge, {case.money(charge)} ({term.base}) / {days} days = "
        f"{case.money(value)}"
    )
    return Price(value, "money", (step("rate", asked.term, text, value),))


def worth(case: Case, count: Count) -> Fraction:
    """What an occurrence is worth; zero, and noted as missing where it counts, if nobody says."""
    stated = count.part.value if count.part else None
    if stated is None and count.units:
        case.missing.add(
            f"the worth of {name_of(count)} is not known; correct its event with a 'value'"
        )
    return stated or ZERO


def name_of(count: Count) -> str:
    """The occurrence by its name, where it is one."""
    return count.part.part if count.part else "it"


def _worth_of(asked: Asked, term: WorthOf, counts: Sequence[Count]) -> Price:
    value, steps = ZERO, []
    for count in counts:
        own = worth(asked.case, count)
        one = percent_of(count.units * term.percent, own)
        text = (
            f"{_times(count.units)}{number_text(term.percent)} % of {asked.case.money(own)} "
            f"({name_of(count)}) = {asked.case.money(one)}"
        )
        steps.append(step("rate", asked.term, text, one))
        value += one
    return Price(value, "money", tuple(steps))


def _amount(asked: Asked, term: Amount, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    each = asked.case.own(term.amount, term.currency)
    value = units * each
    money = asked.case.money
    text = f"{_times(units)}{money(each)} = {money(value)}"
    return Price(value, "money", (step("rate", asked.term, text, value),))


def _at_risk_share(asked: Asked, term: AtRiskShare, counts: Sequence[Count]) -> Price:
    if term.unallocated:
        text = "the level has been given no share yet: it counts nothing"
        return Price(ZERO, "money", (step("rate", asked.term, text, ZERO),), weight=ZERO)
    at_risk = asked.case.at_risk(term.at_risk, asked.result.subject)
    share = ONE
    for percent in term.shares:
        share *= percent / HUNDRED
    units = _units(counts)
    value = units * share * at_risk
    shares = " x ".join(f"{number_text(percent)} %" for percent in term.shares)
    money = asked.case.money
    text = f"{_times(units)}{shares} x {money(at_risk)} at risk ({term.at_risk}) = {money(value)}"
    return Price(value, "money", (step("rate", asked.term, text, value),), weight=share)


def looked_up(table: BandTable, value: Fraction, path: str) -> tuple[Fraction, Step]:
    """What a table gives for a value, with the step that says which band it is."""
    if table.rounded is not None:
        value = rounded(value, table.rounded.decimals, table.rounded.mode)
    band = table.find(value)
    if band is None:
        assert table.otherwise is not None, f"{value} belongs to no band of a checked table"
        text = f"{number_text(value)} is outside the bands: gives {number_text(table.otherwise)}"
        return table.otherwise, step("band", path, text, table.otherwise)
    name = f" ({band.name})" if band.name else ""
    text = f"{number_text(value)} is in '{band.text()}'{name}: gives {number_text(band.gives)}"
    index = table.bands.index(band)
    return band.gives, step("band", f"{path}.bands[{index}]", text, band.gives)


def _by_band(asked: Asked, term: ByBand, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    value = units if term.of == "quantity" else asked.result.result
    if value is None or (term.of == "quantity" and not counts):
        return Price(ZERO, "money", ())
    gives, found = looked_up(term, value, asked.term)
    times = ONE if term.of == "quantity" else units
    if term.gives == "points":
        return Price(times * gives, "points", (found,))
    if term.gives == "amount":
        money = asked.case.money(times * gives)
        text = f"{_times(times)}{asked.case.money(gives)} = {money}"
        made = (found, step("rate", asked.term, text, times * gives))
        return Price(times * gives, "money", made)
    assert term.base is not None
    flat = PercentOf(kind="percent_of", percent=gives, base=term.base)
    priced = _percent_of(asked, flat, (Count(times),))
    return Price(priced.value, "money", (found, *priced.steps), gives)


def _by_run(asked: Asked, term: ByRun, counts: Sequence[Count]) -> Price:
    result = asked.result
    run = len(consecutive_misses(result, asked.earlier(), term.no_data))
    if run == 0:
        return Price(ZERO, "money", ())
    each = term.amounts[min(run, len(term.amounts)) - 1]
    units = _units(counts)
    value = units * each
    money = asked.case.money
    text = f"failing period {run} of the run: {_times(units)}{money(each)} = {money(value)}"
    return Price(value, "money", (step("rate", asked.term, text, value),))


def _by_direction(asked: Asked, term: ByDirection, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    each = term.vendor_owes if units > 0 else term.buyer_owes
    value = units * each
    payer = "the vendor owes" if units > 0 else "the buyer owes" if units < 0 else "nobody owes"
    money = asked.case.money
    text = f"{number_text(abs(units))} x {money(each)} = {money(abs(value))}: {payer}"
    return Price(value, "money", (step("rate", asked.term, text, value),))


def _points(asked: Asked, term: PointsEach, counts: Sequence[Count]) -> Price:
    units = _units(counts)
    value = units * term.points
    text = f"{_times(units)}{number_text(term.points)} points = {number_text(value)} points"
    return Price(value, "points", (step("rate", asked.term, text, value),))


_RATES: dict[type, Callable[[Asked, Any, Sequence[Count]], Price]] = {
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
