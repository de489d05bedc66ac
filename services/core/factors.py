"""What raises or lowers a price: each kind of factor as one number with its reason."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from schemas.credit import Constant, FactorByBand, FactorOfFigure, Repeat, When
from schemas.statement import Step
from services.core.arithmetic import ONE, ZERO, number_text
from services.core.case import step
from services.core.judging import consecutive_misses
from services.core.known import says_yes
from services.core.quantities import Asked
from services.core.rates import looked_up


def factor(asked: Asked, term: Any) -> tuple[Fraction, tuple[Step, ...]]:
    """The factor and the steps that explain it."""
    return _FACTORS[type(term)](asked, term)


def _said(asked: Asked, value: Fraction, why: str) -> tuple[Fraction, tuple[Step, ...]]:
    return value, (step("factor", asked.term, f"x {number_text(value)} ({why})", value),)


def _constant(asked: Asked, term: Constant) -> tuple[Fraction, tuple[Step, ...]]:
    return _said(asked, term.factor, "fixed")


def _repeat(asked: Asked, term: Repeat) -> tuple[Fraction, tuple[Step, ...]]:
    """The stated factor once, however long the run is: it never compounds."""
    run = consecutive_misses(asked.result, asked.earlier(), term.no_data)
    if len(run) > 1:
        return _said(asked, term.factor, f"also failed in {run[1].period}")
    return _said(asked, ONE, "did not fail in the period before")


def _when(asked: Asked, term: When) -> tuple[Fraction, tuple[Step, ...]]:
    fact = asked.case.known.circumstance(
        term.circumstance, asked.result.level, asked.result.subject
    )
    if says_yes(fact):
        return _said(asked, term.factor, term.circumstance)
    return _said(asked, term.otherwise, f"not {term.circumstance}")


def _by_figure(asked: Asked, term: FactorByBand) -> tuple[Fraction, tuple[Step, ...]]:
    value = asked.value(term.metric) or ZERO
    gives, found = looked_up(term, value, asked.term)
    _, steps = _said(asked, gives, f"{term.metric} is {number_text(value)}")
    return gives, (found, *steps)


def _figure(asked: Asked, term: FactorOfFigure) -> tuple[Fraction, tuple[Step, ...]]:
    return _said(asked, asked.value(term.metric) or ZERO, term.metric)


_FACTORS: dict[type, Callable[[Asked, Any], tuple[Fraction, tuple[Step, ...]]]] = {
    Constant: _constant,
    Repeat: _repeat,
    When: _when,
    FactorByBand: _by_figure,
    FactorOfFigure: _figure,
}
