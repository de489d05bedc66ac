"""A critical failure replaces the ordinary credits; the buyer may withhold charges instead."""

from __future__ import annotations

from schemas.remedy import CriticalFailure
from services.core.arithmetic import ZERO
from services.core.caps import before_caps, scaled
from services.core.case import Amount, Case, Sheet, step
from services.core.known import says_yes
from services.core.pricing import limit_amount

TERM = "critical_failure"


def apply_critical_failure(case: Case, sheet: Sheet) -> Sheet:
    """In a period with a critical failure ordinary credits do not accrue."""
    term = case.version.critical_failure
    if term is None or not _failed(case, sheet, term):
        return sheet
    sheet = before_caps(sheet)
    text = "a critical failure: ordinary credits of the period do not accrue"
    sheet = scaled(sheet, term.replaces, ZERO, "critical-failure", TERM, text)
    return _withheld(case, sheet, term)


def _failed(case: Case, sheet: Sheet, term: CriticalFailure) -> bool:
    if term.circumstance is not None:
        return says_yes(case.known.circumstance(term.circumstance))
    return any(one.level == term.level and one.standing == "below_minimum" for one in sheet.results)


def _withheld(case: Case, sheet: Sheet, term: CriticalFailure) -> Sheet:
    """What the buyer decides to withhold, at most the ceiling; nothing without a decision."""
    decision = case.known.circumstance(term.decision)
    decided = decision.circumstance.value if decision is not None else None
    if decided is None:
        return sheet.with_figures({"withheld": ZERO})
    seen = case.seen
    ceiling = limit_amount(case, term.withheld_at_most)
    value = max(min(decided, ceiling), ZERO)
    text = (
        f"the buyer decides to withhold {case.money(decided)}, at most {case.money(ceiling)}: "
        f"{case.money(value)}"
    )
    steps = (*case.steps_since(seen), step("withheld", TERM, text, value))
    line = Amount("withheld", "penalty", None, case.period, value, steps)
    return sheet.adding(line).with_figures({"withheld": value})
