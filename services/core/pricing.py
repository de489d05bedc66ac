"""From results to amounts: each credit that is due, as quantity times rate times factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from schemas.credit import (
    AmountLimit,
    AtRiskLimit,
    Credit,
    DaysLimit,
    EveryPeriod,
    OnDefault,
    OnRun,
    OnTrigger,
    PercentLimit,
    WorthLimit,
    WorthOf,
    WorthOfEach,
)
from schemas.evaluation import EventRef
from schemas.statement import LevelResult, LineKind, Step
from services.core.arithmetic import ZERO, number_text, percent_of, rounded
from services.core.balances import put_by
from services.core.case import Amount, Case, PointsScored, Sheet, step
from services.core.condition_values import condition_holds
from services.core.evidence import events_behind
from services.core.factors import factor
from services.core.judging import consecutive_misses
from services.core.quantities import Asked, Count, quantity
from services.core.rates import Price, name_of, price, worth
from services.core.windows import days_in

_KINDS: dict[str, tuple[LineKind, int]] = {
    "service_credit": ("service_credit", 1),
    "penalty": ("penalty", 1),
    "bonus": ("bonus", -1),
    "fee": ("fee", -1),
}
"""The kind of line that a consequence makes, and which way its amount counts."""


def price_results(case: Case, sheet: Sheet) -> Sheet:
    """Every credit of every level that is due, as lines and points."""
    for result, index, number in _priced_results(case, sheet):
        credit = case.version.levels[index].credits[number]
        term = f"levels[{index}].credits[{number}]"
        asked = Asked(case, result, credit, term, sheet.results)
        if _DUE[type(credit.due)](asked, credit.due):
            said = condition_holds(asked.within("when"), credit.when)
            if said is not None:
                sheet = _with_price(sheet, asked, credit, said)
    return replace(sheet, results=_with_points(sheet))


def _priced_results(case: Case, sheet: Sheet) -> Iterator[tuple[LevelResult, int, int]]:
    """Each result with the position of its level and of each of the level's credits."""
    position = {level.level: index for index, level in enumerate(case.version.levels)}
    for result in sheet.results:
        index = position[result.level]
        for number in range(len(case.version.levels[index].credits)):
            yield result, index, number


def _with_price(sheet: Sheet, asked: Asked, credit: Credit, conditions: tuple[Step, ...]) -> Sheet:
    result, seen = asked.result, asked.case.seen
    priced, steps = _priced(asked, credit)
    if priced is None:
        return sheet
    steps = (*conditions, *steps)
    if priced.unit == "points":
        scored = PointsScored(result.level, result.subject, result.period, priced.value, steps)
        return replace(sheet, points=(*sheet.points, scored))
    if credit.bank is not None:
        return put_by(asked.case, sheet, credit.bank, priced.value)
    kind, sign = _kind_of(credit, priced.value)
    return sheet.adding(
        Amount(
            line=line_name(asked.case, result, credit),
            kind=kind,
            level=result.level,
            for_period=asked.case.period,
            value=priced.value * sign,
            steps=steps,
            subject=result.subject,
            weight=priced.weight,
            events=_events(asked, seen),
        )
    )


def _events(asked: Asked, seen: int) -> tuple[EventRef, ...]:
    """What the line rests on, and the rates at which its amounts were converted."""
    rates = (one.event for one in asked.case.conversions_since(seen))
    return tuple(dict.fromkeys((*events_behind(asked), *filter(None, rates))))


def _kind_of(credit: Credit, value: Fraction) -> tuple[LineKind, int]:
    """Money that flows both ways is a penalty above zero and a bonus below."""
    if credit.is_a == "two_way":
        return ("penalty" if value >= 0 else "bonus"), 1
    return _KINDS[credit.is_a]


def line_name(case: Case, result: LevelResult, credit: Credit) -> str:
    """The line's name: level, consequence, subject and measurement period, where there are any."""
    parts = [result.level]
    if credit.name is not None:
        parts.append(credit.name)
    if result.subject is not None:
        parts.append(result.subject)
    if result.period != case.period:
        parts.append(result.period)
    return "/".join(parts)


def _priced(asked: Asked, credit: Credit) -> tuple[Price | None, tuple[Step, ...]]:
    """Quantity x rate x factors, under the credit's own ceiling."""
    counts = quantity(asked.within("quantity"), credit.quantity)
    if credit.rounded_quantity is not None:
        counts = tuple(_rounded_count(asked, credit, count) for count in counts)
    steps = [made for count in counts for made in count.steps]
    seen = asked.case.seen
    priced = price(asked.within("rate"), credit.rate, counts)
    steps += (*asked.case.steps_since(seen), *priced.steps)
    value = priced.value
    for number, term in enumerate(credit.factors):
        times, said = factor(asked.within(f"factors[{number}]"), term)
        value *= times
        steps += said
    if credit.factors:
        unit = asked.case.money(value) if priced.unit == "money" else f"{number_text(value)} points"
        steps.append(step("priced", asked.term, f"with its factors: {unit}", value))
    if credit.at_most is not None and priced.unit == "money":
        seen = asked.case.seen
        value, said = _under_ceiling(asked, credit, counts, value)
        steps += (*asked.case.steps_since(seen), *said)
    return replace(priced, value=value), tuple(steps)


def _rounded_count(asked: Asked, credit: Credit, count: Count) -> Count:
    how = credit.rounded_quantity
    assert how is not None
    units = rounded(count.units, how.decimals, how.mode)
    text = f"rounded {how.mode.replace('_', ' ')} to {how.decimals} decimals: {number_text(units)}"
    made = step("quantity-rounded", f"{asked.term}.rounded_quantity", text, units)
    return replace(count, units=units, steps=(*count.steps, made))


def _under_ceiling(
    asked: Asked, credit: Credit, counts: tuple[Count, ...], value: Fraction
) -> tuple[Fraction, tuple[Step, ...]]:
    term = f"{asked.term}.at_most"
    if isinstance(credit.at_most, WorthOfEach):
        return _each_under_its_worth(asked.within("at_most"), credit.at_most, counts, value)
    ceiling = limit_amount(asked.case, credit.at_most, asked.result.subject, counts)
    money = asked.case.money
    if value <= ceiling:
        text = f"{money(value)} is within its ceiling of {money(ceiling)}"
        return value, (step("ceiling", term, text, value),)
    text = f"cut from {money(value)} to its ceiling of {money(ceiling)}"
    return ceiling, (step("ceiling", term, text, ceiling),)


def _each_under_its_worth(
    asked: Asked, limit: WorthOfEach, counts: tuple[Count, ...], value: Fraction
) -> tuple[Fraction, tuple[Step, ...]]:
    """Each occurrence cut by itself. Its part of the value is by its units, and by its worth where
    that is priced: `worth_check` lets no other rate have this ceiling.
    """
    case, rate = asked.case, asked.credit.rate
    worths = [worth(case, count) for count in counts]
    by_worth = isinstance(rate, WorthOf)
    weights = [
        count.units * (own if by_worth else 1) for count, own in zip(counts, worths, strict=True)
    ]
    whole, total, steps = sum(weights, ZERO), ZERO, []
    for count, own, weight in zip(counts, worths, weights, strict=True):
        one = value * weight / whole if whole else ZERO
        ceiling = percent_of(limit.percent, own)
        if one > ceiling:
            text = f"cut from {case.money(one)} to its ceiling of {case.money(ceiling)}"
            steps.append(step("ceiling", asked.term, f"{name_of(count)}: {text}", ceiling))
        total += min(one, ceiling)
    text = f"none above {number_text(limit.percent)} % of its worth: {case.money(total)}"
    return total, (*steps, step("ceiling", asked.term, text, total))


def limit_amount(
    case: Case,
    limit: Any,
    subject: str | None = None,
    counts: tuple[Count, ...] = (),
    period: str | None = None,
) -> Fraction:
    """A ceiling in main units; of the case's own period unless another is named."""
    return _LIMITS[type(limit)](case, limit, subject, counts, period)


Limiter = Callable[[Case, Any, str | None, tuple[Count, ...], str | None], Fraction]


def _percent_limit(
    case: Case, limit: PercentLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    return percent_of(limit.percent, case.base(limit.base, subject, period))


def _amount_limit(case: Case, limit: AmountLimit, *_: object) -> Fraction:
    return case.own(limit.amount, limit.currency)


def _at_risk_limit(
    case: Case, limit: AtRiskLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    return case.at_risk(limit.at_risk, subject, period)


def _worth_limit(
    case: Case, limit: WorthLimit, _: object, counts: tuple[Count, ...], __: object
) -> Fraction:
    together = sum((worth(case, count) for count in counts if count.units), ZERO)
    return percent_of(limit.percent, together)


def _days_limit(
    case: Case, limit: DaysLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    charged = case.charges.charged_period(case.version, limit.base, period or case.period)
    return limit.days * case.base(limit.base, subject, period) / days_in(charged)


_LIMITS: dict[type, Limiter] = {
    PercentLimit: _percent_limit,
    AmountLimit: _amount_limit,
    AtRiskLimit: _at_risk_limit,
    WorthLimit: _worth_limit,
    DaysLimit: _days_limit,
}


def _on_default(asked: Asked, _: OnDefault) -> bool:
    return asked.result.defaulted


def _every_period(asked: Asked, _: EveryPeriod) -> bool:
    return asked.result.standing not in ("no_result", "excused")


def _on_trigger(asked: Asked, due: OnTrigger) -> bool:
    result = asked.result
    excused = result.standing == "excused"
    return result.result is not None and not excused and due.result.met_by(result.result)


def _on_run(asked: Asked, due: OnRun) -> bool:
    """The count starts anew once it is full: due at every n-th miss of an unbroken run."""
    run = len(consecutive_misses(asked.result, asked.earlier(), due.no_data))
    missed_now = asked.result.standing in ("below_expected", "below_minimum")
    return missed_now and run % due.misses == 0


_DUE: dict[type, Callable[[Asked, Any], bool]] = {
    OnDefault: _on_default,
    EveryPeriod: _every_period,
    OnTrigger: _on_trigger,
    OnRun: _on_run,
}


def _with_points(sheet: Sheet) -> tuple[LevelResult, ...]:
    """The results with the points that they scored and how."""
    found = []
    for result in sheet.results:
        own = [
            scored
            for scored in sheet.points
            if (scored.level, scored.subject, scored.period)
            == (result.level, result.subject, result.period)
        ]
        if own:
            total = sum((scored.points for scored in own), ZERO)
            made = tuple(one for scored in own for one in scored.steps)
            result = result.model_copy(update={"points": total, "steps": (*result.steps, *made)})
        found.append(result)
    return tuple(found)
