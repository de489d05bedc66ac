"""Ceilings of credits and caps, in main units."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from schemas.credit import AmountLimit, AtRiskLimit, DaysLimit, PercentLimit, WorthLimit
from services.core.calendar.windows import days_of_charge
from services.core.exact.arithmetic import ZERO, percent_of
from services.core.inputs.context import PeriodContext
from services.core.pricing.quantities import PricedUnits
from services.core.pricing.rates import worth


def limit_amount(
    context: PeriodContext,
    limit: Any,
    subject: str | None = None,
    counts: tuple[PricedUnits, ...] = (),
    period: str | None = None,
) -> Fraction:
    """A ceiling in main units; of the case's own period unless another is named."""
    return _LIMITS[type(limit)](context, limit, subject, counts, period)


Limiter = Callable[[PeriodContext, Any, str | None, tuple[PricedUnits, ...], str | None], Fraction]


def _percent_limit(
    context: PeriodContext, limit: PercentLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    base = context.base_where(limit.percent != 0, limit.base, subject, period)
    return ZERO if base is None else percent_of(limit.percent, base)


def _amount_limit(context: PeriodContext, limit: AmountLimit, *_: object) -> Fraction:
    return context.own(limit.amount, limit.currency)


def _at_risk_limit(
    context: PeriodContext, limit: AtRiskLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    return context.at_risk(limit.at_risk, subject, period)


def _worth_limit(
    context: PeriodContext,
    limit: WorthLimit,
    _: object,
    counts: tuple[PricedUnits, ...],
    __: object,
) -> Fraction:
    together = sum((worth(context, count) for count in counts if count.units), ZERO)
    return percent_of(limit.percent, together)


def _days_limit(
    context: PeriodContext, limit: DaysLimit, subject: str | None, _: object, period: str | None
) -> Fraction:
    charged = context.charges.charged_period(context.version, limit.base, period or context.period)
    base = context.base_where(limit.days != 0, limit.base, subject, period)
    days = days_of_charge(charged, context.version.conventions.days_of_month)
    return limit.days * (base or ZERO) / days


_LIMITS: dict[type, Limiter] = {
    PercentLimit: _percent_limit,
    AmountLimit: _amount_limit,
    AtRiskLimit: _at_risk_limit,
    WorthLimit: _worth_limit,
    DaysLimit: _days_limit,
}
