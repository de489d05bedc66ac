"""From results to amounts: each credit that is due, as quantity times rate times factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from schemas.credit import (
    Credit,
    EveryPeriod,
    Limit,
    OnDefault,
    OnRun,
    OnTrigger,
    WorthOf,
    WorthOfEach,
)
from schemas.evaluation import EventRef
from schemas.statement import LevelResult, LineKind, Step
from services.core.exact.arithmetic import ZERO, number_text, percent_of, rounded
from services.core.inputs.banking import put_by
from services.core.inputs.blockers import Blockers
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import DraftLine, PointsScored, Worksheet, step
from services.core.judging.levels import consecutive_misses
from services.core.pricing.ceilings import limit_amount
from services.core.pricing.condition_values import condition_holds
from services.core.pricing.evidence import asked_for_nothing, events_behind, halves_behind
from services.core.pricing.factors import factor
from services.core.pricing.quantities import PricedUnits, PricingContext, quantity
from services.core.pricing.rates import Price, name_of, price, worth

_KINDS: dict[str, tuple[LineKind, int]] = {
    "service_credit": ("service_credit", 1),
    "penalty": ("penalty", 1),
    "bonus": ("bonus", -1),
    "fee": ("fee", -1),
}
"""The kind of line that a consequence makes, and which way its amount counts."""


def price_results(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Every credit of every level that is due, as lines and points; why others are not."""
    not_due: dict[ResultKey, list[Step]] = {}
    for result, index, number in _priced_results(context, worksheet):
        context.budget.spend()
        credit = context.version.levels[index].credits[number]
        term = f"levels[{index}].credits[{number}]"
        pricing = PricingContext(context, result, credit, term, worksheet.results)
        if _DUE[type(credit.due)](pricing, credit.due):
            due, said = condition_holds(pricing.within("when"), credit.when)
            if due:
                worksheet = _with_price(worksheet, pricing, credit, said)
            else:
                not_due.setdefault(_key(result), []).extend(said)
    return replace(worksheet, results=_with_reasons(worksheet, not_due))


ResultKey = tuple[str, str | None, str]
"""What tells a period's results apart: level, subject, measurement period."""


def _key(result: LevelResult | PointsScored) -> ResultKey:
    return result.level, result.subject, result.period


def _priced_results(
    context: PeriodContext, worksheet: Worksheet
) -> Iterator[tuple[LevelResult, int, int]]:
    """Each result with the position of its level and of each of the level's credits."""
    position = {level.level: index for index, level in enumerate(context.version.levels)}
    for result in worksheet.results:
        index = position[result.level]
        for number in range(len(context.version.levels[index].credits)):
            yield result, index, number


def _with_price(
    worksheet: Worksheet, pricing: PricingContext, credit: Credit, conditions: tuple[Step, ...]
) -> Worksheet:
    result, seen = pricing.result, pricing.context.seen
    priced, steps = _priced(pricing, credit)
    if priced is None:
        return worksheet
    steps = (*conditions, *steps)
    if priced.unit == "points":
        scored = PointsScored(result.level, result.subject, result.period, priced.value, steps)
        return replace(worksheet, points=(*worksheet.points, scored))
    if credit.bank is not None:
        return put_by(pricing.context, worksheet, credit.bank, priced.value)
    kind, sign = _kind_of(credit, priced.value)
    return worksheet.adding(
        DraftLine(
            line=line_name(pricing.context.period, result, credit),
            kind=kind,
            level=result.level,
            for_period=pricing.context.period,
            value=priced.value * sign,
            steps=steps,
            subject=result.subject,
            measured=result.period,
            weight=priced.weight,
            events=_events(pricing, seen),
        )
    )


def _events(pricing: PricingContext, seen: int) -> tuple[EventRef, ...]:
    """What the line rests on, and the rates at which its amounts were converted."""
    rates = (one.event for one in pricing.context.conversions_since(seen))
    return tuple(dict.fromkeys((*events_behind(pricing), *filter(None, rates))))


def _kind_of(credit: Credit, value: Fraction) -> tuple[LineKind, int]:
    """Money that flows both ways is a penalty above zero and a bonus below."""
    if credit.is_a == "two_way":
        return ("penalty" if value >= 0 else "bonus"), 1
    return _KINDS[credit.is_a]


def line_name(settled: str, result: LevelResult, credit: Credit) -> str:
    """The line's name: level, consequence, subject and measurement period, where there are any.

    ``settled``: the label of the settlement period.
    """
    parts = [result.level]
    if credit.name is not None:
        parts.append(credit.name)
    if result.subject is not None:
        parts.append(result.subject)
    if result.period != settled:
        parts.append(result.period)
    return "/".join(parts)


def _priced(pricing: PricingContext, credit: Credit) -> tuple[Price | None, tuple[Step, ...]]:
    """Quantity x rate x factors, under the credit's own ceiling."""
    counts = quantity(pricing.within("quantity"), credit.quantity)
    if credit.rounded_quantity is not None:
        counts = tuple(_rounded_count(pricing, credit, count) for count in counts)
    steps = [*halves_behind(pricing), *asked_for_nothing(pricing)]
    steps += (made for count in counts for made in count.steps)
    pricing = replace(pricing, for_nothing=_for_nothing(pricing, credit))
    seen = pricing.context.seen
    priced = price(pricing.within("rate"), credit.rate, counts)
    steps += (*pricing.context.steps_since(seen), *priced.steps)
    value = priced.value
    for number, term in enumerate(credit.factors):
        times, said = factor(pricing.within(f"factors[{number}]"), term)
        value *= times
        steps += said
    if credit.factors:
        unit = (
            pricing.context.money(value)
            if priced.unit == "money"
            else f"{number_text(value)} points"
        )
        steps.append(step("priced", pricing.term, f"with its factors: {unit}", value))
    if credit.at_most is not None and priced.unit == "money":
        seen = pricing.context.seen
        value, said = _under_ceiling(pricing, credit.at_most, counts, value)
        steps += (*pricing.context.steps_since(seen), *said)
    return replace(priced, value=value), tuple(steps)


def _for_nothing(pricing: PricingContext, credit: Credit) -> bool:
    """Whether a factor that is known makes the amount nothing."""
    for number, term in enumerate(credit.factors):
        aside = replace(pricing.context, blockers=Blockers())
        within = replace(pricing.within(f"factors[{number}]"), context=aside)
        times, _ = factor(within, term)
        if not times and not aside.blockers.reasons:
            return True
    return False


def _rounded_count(pricing: PricingContext, credit: Credit, count: PricedUnits) -> PricedUnits:
    how = credit.rounded_quantity
    assert how is not None
    units = rounded(count.units, how.decimals, how.mode)
    text = f"rounded {how.mode.replace('_', ' ')} to {how.decimals} decimals: {number_text(units)}"
    made = step("quantity-rounded", f"{pricing.term}.rounded_quantity", text, units)
    return replace(count, units=units, steps=(*count.steps, made))


def _under_ceiling(
    pricing: PricingContext,
    limit: Limit | WorthOfEach,
    counts: tuple[PricedUnits, ...],
    value: Fraction,
) -> tuple[Fraction, tuple[Step, ...]]:
    term = f"{pricing.term}.at_most"
    if isinstance(limit, WorthOfEach):
        return _each_under_its_worth(pricing.within("at_most"), limit, counts, value)
    ceiling = _ceiling(pricing, limit, counts, value)
    if ceiling is None:
        return value, ()
    money = pricing.context.money
    if value <= ceiling:
        text = f"{money(value)} is within its ceiling of {money(ceiling)}"
        return value, (step("ceiling", term, text, value),)
    text = f"cut from {money(value)} to its ceiling of {money(ceiling)}"
    return ceiling, (step("ceiling", term, text, ceiling),)


def _ceiling(
    pricing: PricingContext, limit: Limit, counts: tuple[PricedUnits, ...], value: Fraction
) -> Fraction | None:
    """A credit's ceiling; None where it is not known and nothing is owed that it could cut."""

    def amount(context: PeriodContext) -> Fraction:
        return limit_amount(context, limit, pricing.result.subject, counts)

    if value > 0:
        return amount(pricing.context)
    return pricing.context.where_known(amount)


def _each_under_its_worth(
    pricing: PricingContext, limit: WorthOfEach, counts: tuple[PricedUnits, ...], value: Fraction
) -> tuple[Fraction, tuple[Step, ...]]:
    """Each occurrence cut by itself. Its part of the value is by its units, and by its worth where
    that is priced: `worth_check` lets no other rate have this ceiling.
    """
    context, rate = pricing.context, pricing.credit.rate
    worths = [worth(context, count) for count in counts]
    by_worth = isinstance(rate, WorthOf)
    weights = [
        count.units * (own if by_worth else 1) for count, own in zip(counts, worths, strict=True)
    ]
    whole, total, steps = sum(weights, ZERO), ZERO, []
    for count, own, weight in zip(counts, worths, weights, strict=True):
        one = value * weight / whole if whole else ZERO
        ceiling = percent_of(limit.percent, own)
        if one > ceiling:
            text = f"cut from {context.money(one)} to its ceiling of {context.money(ceiling)}"
            text = f"{name_of(context, count)}: {text}"
            steps.append(step("ceiling", pricing.term, text, ceiling))
        total += min(one, ceiling)
    text = f"none above {number_text(limit.percent)} % of its worth: {context.money(total)}"
    return total, (*steps, step("ceiling", pricing.term, text, total))


def _on_default(pricing: PricingContext, _: OnDefault) -> bool:
    return pricing.result.defaulted


def _every_period(pricing: PricingContext, _: EveryPeriod) -> bool:
    return pricing.result.standing not in ("no_result", "excused")


def _on_trigger(pricing: PricingContext, due: OnTrigger) -> bool:
    result = pricing.result
    excused = result.standing == "excused"
    return result.result is not None and not excused and due.result.met_by(result.result)


def _on_run(pricing: PricingContext, due: OnRun) -> bool:
    """The count starts anew once it is full: due at every n-th miss of an unbroken run."""
    run = len(consecutive_misses(pricing.result, pricing.earlier(), due.no_data))
    missed_now = pricing.result.standing in ("below_expected", "below_minimum")
    return missed_now and run % due.misses == 0


_DUE: dict[type, Callable[[PricingContext, Any], bool]] = {
    OnDefault: _on_default,
    EveryPeriod: _every_period,
    OnTrigger: _on_trigger,
    OnRun: _on_run,
}


def _with_reasons(
    worksheet: Worksheet, not_due: Mapping[ResultKey, Sequence[Step]]
) -> tuple[LevelResult, ...]:
    """The results with the points that they scored and how, and with what is not due and why."""
    found = []
    for result in worksheet.results:
        own = [scored for scored in worksheet.points if _key(scored) == _key(result)]
        made = [one for scored in own for one in scored.steps]
        made += not_due.get(_key(result), ())
        if own:
            total = sum((scored.points for scored in own), ZERO)
            result = result.model_copy(update={"points": total})
        if made:
            result = result.model_copy(update={"steps": (*result.steps, *made)})
        found.append(result)
    return tuple(found)
