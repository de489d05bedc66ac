"""What raises or lowers a price: each kind of factor as one number with its reason."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from schemas.credit import Constant, FactorByBand, FactorOfFigure, Repeat, When
from schemas.statement import Step
from services.core.exact.arithmetic import ONE, ZERO, number_text
from services.core.inputs.absence import said_or_wait
from services.core.inputs.worksheet import step
from services.core.judging.levels import consecutive_misses
from services.core.pricing.quantities import PricingContext
from services.core.pricing.rates import looked_up


def factor(pricing: PricingContext, term: Any) -> tuple[Fraction, tuple[Step, ...]]:
    """The factor and the steps that explain it."""
    return _FACTORS[type(term)](pricing, term)


def _said(pricing: PricingContext, value: Fraction, why: str) -> tuple[Fraction, tuple[Step, ...]]:
    return value, (step("factor", pricing.term, f"x {number_text(value)} ({why})", value),)


def _constant(pricing: PricingContext, term: Constant) -> tuple[Fraction, tuple[Step, ...]]:
    return _said(pricing, term.factor, "fixed")


def _repeat(pricing: PricingContext, term: Repeat) -> tuple[Fraction, tuple[Step, ...]]:
    """The stated factor once, however long the run is: it never compounds."""
    run = consecutive_misses(pricing.result, pricing.earlier(), term.no_data)
    if len(run) > 1:
        return _said(pricing, term.factor, f"also failed in {run[1].period}")
    return _said(pricing, ONE, "did not fail in the period before")


def _when(pricing: PricingContext, term: When) -> tuple[Fraction, tuple[Step, ...]]:
    fact, period = pricing.circumstance(term.circumstance), pricing.result.period
    name = f"{term.circumstance} of {period}"
    if said_or_wait(pricing.context, fact, term.if_absent, name, pricing.term):
        return _said(pricing, term.factor, term.circumstance)
    return _said(pricing, term.otherwise, f"not {term.circumstance}")


def _by_figure(pricing: PricingContext, term: FactorByBand) -> tuple[Fraction, tuple[Step, ...]]:
    value = pricing.read(term.metric, term.if_absent) or ZERO
    gives, found = looked_up(term, value, pricing.term)
    _, steps = _said(pricing, gives, f"{term.metric} is {number_text(value)}")
    return gives, (found, *steps)


def _figure(pricing: PricingContext, term: FactorOfFigure) -> tuple[Fraction, tuple[Step, ...]]:
    return _said(pricing, pricing.read(term.metric, term.if_absent) or ZERO, term.metric)


_FACTORS: dict[type, Callable[[PricingContext, Any], tuple[Fraction, tuple[Step, ...]]]] = {
    Constant: _constant,
    Repeat: _repeat,
    When: _when,
    FactorByBand: _by_figure,
    FactorOfFigure: _figure,
}
