"""A critical failure replaces the ordinary credits; the buyer may withhold charges instead."""

from __future__ import annotations

from fractions import Fraction

from schemas.remedy import CriticalFailure
from services.core.adjusting.caps import before_caps, scaled
from services.core.exact.arithmetic import ZERO
from services.core.inputs.context import PeriodContext
from services.core.inputs.known import says_yes
from services.core.inputs.worksheet import DraftLine, Worksheet, step
from services.core.pricing.ceilings import limit_amount

TERM = "critical_failure"


def apply_critical_failure(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """In a period with a critical failure ordinary credits do not accrue."""
    term = context.version.critical_failure
    if term is None or not _failed(context, worksheet, term):
        return worksheet
    worksheet = before_caps(worksheet)
    text = "a critical failure: ordinary credits of the period do not accrue"
    worksheet = scaled(worksheet, term.replaces, ZERO, "critical-failure", TERM, text)
    return _withheld(context, worksheet, term)


def _failed(context: PeriodContext, worksheet: Worksheet, term: CriticalFailure) -> bool:
    if term.circumstance is not None:
        return says_yes(context.inputs.circumstance(term.circumstance))
    return any(
        one.level == term.level and one.standing == "below_minimum" for one in worksheet.results
    )


def _withheld(context: PeriodContext, worksheet: Worksheet, term: CriticalFailure) -> Worksheet:
    """What the buyer decides to withhold, at most the ceiling; nothing without a decision."""
    decision = context.inputs.circumstance(term.decision)
    decided = decision.circumstance.value if decision is not None else None
    if decided is None:
        return worksheet.with_figures({"withheld": ZERO})
    seen = context.seen
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


def _ceiling(context: PeriodContext, term: CriticalFailure, decided: Fraction) -> Fraction | None:
    """The most that may be withheld; None where it is not known and nothing is withheld."""
    if decided > 0:
        return limit_amount(context, term.withheld_at_most)
    return context.where_known(lambda known: limit_amount(known, term.withheld_at_most))
