"""A critical failure replaces the ordinary credits; the buyer may withhold charges instead."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from schemas.remedy import CriticalFailure
from services.core.adjusting.caps import before_caps
from services.core.adjusting.narrowing import of_line
from services.core.exact.arithmetic import ZERO
from services.core.inputs.absence import number_or_wait
from services.core.inputs.context import PeriodContext
from services.core.inputs.known import says_yes
from services.core.inputs.openings import stated_money
from services.core.inputs.worksheet import DraftLine, Worksheet, counts, step
from services.core.pricing.ceilings import limit_amount

TERM = "critical_failure"


def apply_critical_failure(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """In a period with a critical failure ordinary credits do not accrue.

    Where its circumstance names a level or a subject, those of that one do not.
    """
    term = context.version.critical_failure
    if term is None or not _failed(context, worksheet, term):
        return worksheet
    worksheet = before_caps(worksheet)
    text = "a critical failure: ordinary credits of the period do not accrue"
    made = step("critical-failure", TERM, text, ZERO)
    amounts = tuple(
        line.becomes(ZERO, made) if _is_replaced(context, worksheet, term, line) else line
        for line in worksheet.amounts
    )
    return _withheld(context, replace(worksheet, amounts=amounts), term)


def _failed(context: PeriodContext, worksheet: Worksheet, term: CriticalFailure) -> bool:
    if term.circumstance is not None:
        stated = [fact.circumstance for fact in context.inputs.stated(term.circumstance)]
        places = {(one.level, one.subject): None for one in stated}
        return True in [_holds(context, term.circumstance, *place) for place in places]
    return any(
        one.level == term.level and one.standing == "below_minimum" for one in worksheet.results
    )


def _is_replaced(
    context: PeriodContext, worksheet: Worksheet, term: CriticalFailure, line: DraftLine
) -> bool:
    if not counts(line, term.replaces):
        return False
    name = term.circumstance
    if name is None:
        return True
    return of_line(
        context,
        worksheet,
        line,
        name,
        lambda _, level, subject: _holds(context, name, level, subject),
    )


def _holds(context: PeriodContext, name: str, level: str | None, subject: str | None) -> bool:
    """Whether it is stated of the period as a whole: a critical failure is never of a part."""
    return says_yes(context.inputs.circumstance(name, context.period, level, subject))


def _withheld(context: PeriodContext, worksheet: Worksheet, term: CriticalFailure) -> Worksheet:
    """What the buyer decides to withhold, at most the ceiling."""
    seen = context.seen
    decided = _decided(context, term)
    if decided is None:
        what = f"the decision {term.decision} of {context.period} states no amount"
        send = "state it with its value, 0 where nothing is withheld"
        decided = number_or_wait(context, term.if_absent, what, TERM, send)
        if not decided:
            return worksheet.with_figures({"withheld": ZERO})
    ceiling = _ceiling(context, term, decided)
    if ceiling is None:
        return worksheet.with_figures({"withheld": ZERO})
    value = max(min(decided, ceiling), ZERO)
    text = (
        f"the buyer decides to withhold {context.money(decided)}, "
        f"at most {context.money(ceiling)}: "
        f"{context.money(value)}"
    )
    steps = (*context.steps_since(seen), step("withheld", TERM, text, value))
    line = DraftLine("withheld", "penalty", None, context.period, value, steps)
    return worksheet.adding(line).with_figures({"withheld": value})


def _decided(context: PeriodContext, term: CriticalFailure) -> Fraction | None:
    """What is to be withheld, in the agreement's currency; None where nobody states an amount."""
    decision = context.inputs.whole_amount(term.decision, context.period)
    if decision is None or decision.circumstance.value is None:
        return None
    return stated_money(context.charges, context.version, context.blockers, decision, "value")


def _ceiling(context: PeriodContext, term: CriticalFailure, decided: Fraction) -> Fraction | None:
    """The most that may be withheld; None where it is not known and nothing is withheld."""
    if decided > 0:
        return limit_amount(context, term.withheld_at_most)
    return context.where_known(lambda known: limit_amount(known, term.withheld_at_most))
