"""What a credit's condition reads, and what follows from it."""

from __future__ import annotations

from fractions import Fraction

from schemas.condition import CircumstanceRead, Condition, FigureRead, StatedRead, TextRead
from schemas.statement import Step
from services.core.calendar.days import counted_on
from services.core.calendar.windows import labels_between
from services.core.contracts.conditions import Value, holds, used
from services.core.exact.arithmetic import number_text
from services.core.inputs.known import says_yes
from services.core.inputs.worksheet import step
from services.core.pricing.quantities import PricingContext

ConditionVerdict = tuple[bool, tuple[Step, ...]]
"""Whether the credit is due, and the step that says why."""


def condition_holds(pricing: PricingContext, condition: Condition | None) -> ConditionVerdict:
    """Whether a credit's condition holds, with the reason; without a condition it does.

    Where a name has no value yet, ``unknown`` decides; a period that waits is noted as such.
    """
    if condition is None:
        return True, ()
    found = {name: _value(pricing, condition, name) for name in used(condition)}
    known = {name: value for name, value in found.items() if value is not None}
    unknown = [name for name in found if name not in known]
    if unknown:
        return _unknown(pricing, condition, ", ".join(unknown))
    listed = ", ".join(f"{name} is {_said(value)}" for name, value in known.items())
    if not holds(condition, known):
        why = f": {listed}" if listed else ""
        return _not_due(pricing, f"'{condition.holds}' does not hold{why}")
    text = f"'{condition.holds}' holds: {listed or 'always'}"
    return True, (step("condition", pricing.term, text),)


def _not_due(pricing: PricingContext, why: str) -> ConditionVerdict:
    credit = pricing.credit
    name = f" '{credit.name}'" if credit.name else ""
    text = f"{credit.is_a.replace('_', ' ')}{name} is not due: {why}"
    return False, (step("condition", pricing.term, text),)


def _unknown(pricing: PricingContext, condition: Condition, names: str) -> ConditionVerdict:
    if condition.unknown == "due":
        text = f"'{condition.holds}': {names} not known, which counts as due"
        return True, (step("condition", pricing.term, text),)
    if condition.unknown == "wait":
        result = pricing.result
        pricing.context.blockers.add(
            f"the condition of a credit of {result.level} needs {names} of {result.period}"
        )
    return _not_due(pricing, f"'{condition.holds}': {names} not known, which counts as not due")


def _value(pricing: PricingContext, condition: Condition, name: str) -> Value | None:
    read = next((one for one in condition.reads if one.name == name), None)
    if read is None:
        return _given(pricing, name)
    if isinstance(read, FigureRead):
        figure = pricing.figure(read.metric)
        return figure.value if figure is not None else None
    return _of_circumstance(pricing, read)


def _of_circumstance(
    pricing: PricingContext, read: CircumstanceRead | StatedRead | TextRead
) -> Value | None:
    if isinstance(read, CircumstanceRead):
        fact = pricing.amount_stated(read.circumstance)
        return fact.circumstance.value if fact is not None else None
    fact = pricing.circumstance(read.circumstance)
    if isinstance(read, StatedRead):
        return says_yes(fact)
    stated = fact.circumstance.values.get(read.value) if fact is not None else None
    return stated if isinstance(stated, str) else None


def _given(pricing: PricingContext, name: str) -> Value | None:
    context, result = pricing.context, pricing.result
    day = counted_on(context.period, context.version.conventions.period_belongs_to)
    settlement = len(list(labels_between(context.begins, context.period)))
    given: dict[str, Value | None] = {
        "result": result.result,
        "standing": result.standing,
        "subject": result.subject or "",
        "period": context.period,
        "year": Fraction(day.year),
        "month": Fraction(day.month),
        "settlement": Fraction(settlement),
    }
    return given[name]


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, Fraction) else f"'{value}'"
