"""What a credit's condition reads, and what follows from it."""

from __future__ import annotations

from fractions import Fraction

from schemas.condition import CircumstanceRead, Condition, FigureRead, StatedRead, TextRead
from schemas.period import first_day
from schemas.statement import Step
from services.core.arithmetic import number_text
from services.core.case import step
from services.core.conditions import Value, holds, used
from services.core.known import says_yes
from services.core.quantities import Asked
from services.core.windows import labels_between


def condition_holds(asked: Asked, condition: Condition | None) -> tuple[Step, ...] | None:
    """The steps that say why the credit is due; None where it is not.

    Where a name has no value yet, ``unknown`` decides; a period that waits is noted as such.
    """
    if condition is None:
        return ()
    found = {name: _value(asked, condition, name) for name in used(condition)}
    known = {name: value for name, value in found.items() if value is not None}
    unknown = [name for name in found if name not in known]
    if unknown:
        return _unknown(asked, condition, ", ".join(unknown))
    if not holds(condition, known):
        return None
    listed = ", ".join(f"{name} is {_said(value)}" for name, value in known.items())
    text = f"'{condition.holds}' holds: {listed or 'always'}"
    return (step("condition", asked.term, text),)


def _unknown(asked: Asked, condition: Condition, names: str) -> tuple[Step, ...] | None:
    if condition.unknown == "due":
        text = f"'{condition.holds}': {names} not known, which counts as due"
        return (step("condition", asked.term, text),)
    if condition.unknown == "wait":
        result = asked.result
        asked.case.missing.add(
            f"the condition of a credit of {result.level} needs {names} of {result.period}"
        )
    return None


def _value(asked: Asked, condition: Condition, name: str) -> Value | None:
    read = next((one for one in condition.reads if one.name == name), None)
    if read is None:
        return _given(asked, name)
    if isinstance(read, FigureRead):
        figure = asked.figure(read.metric)
        return figure.value if figure is not None else None
    return _of_circumstance(asked, read)


def _of_circumstance(asked: Asked, read: CircumstanceRead | StatedRead | TextRead) -> Value | None:
    result = asked.result
    fact = asked.case.known.circumstance(read.circumstance, result.level, result.subject)
    if isinstance(read, StatedRead):
        return says_yes(fact)
    if fact is None:
        return None
    if isinstance(read, CircumstanceRead):
        return fact.circumstance.value
    stated = fact.circumstance.values.get(read.value)
    return stated if isinstance(stated, str) else None


def _given(asked: Asked, name: str) -> Value | None:
    case, result = asked.case, asked.result
    day = first_day(case.period)
    settlement = len(list(labels_between(case.begins, case.period)))
    given: dict[str, Value | None] = {
        "result": result.result,
        "standing": result.standing,
        "subject": result.subject or "",
        "period": case.period,
        "year": Fraction(day.year),
        "month": Fraction(day.month),
        "settlement": Fraction(settlement),
    }
    return given[name]


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, Fraction) else f"'{value}'"
