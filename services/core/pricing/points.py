"""Service points into money: by percentage, by table, or by marginal bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from schemas.points import MarginalPoints, PercentPerPoint, PointTable
from schemas.statement import Step
from services.core.exact.arithmetic import ZERO, number_text, percent_of
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import DraftLine, Worksheet, step
from services.core.pricing.rates import looked_up


def convert_points(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """The period's points as one line, or as one per subject where the term says so."""
    total = sum((scored.points for scored in worksheet.points), ZERO)
    if context.version.points is None:
        return worksheet.with_figures({"points": total}) if worksheet.points else worksheet
    worksheet = worksheet.with_figures({"points": total})
    return _CONVERSIONS[type(context.version.points)](context, worksheet, context.version.points)


def _line(context: PeriodContext, name: str, value: Fraction, steps: tuple[Step, ...]) -> DraftLine:
    return DraftLine(name, "service_credit", None, context.period, value, steps)


def _summed(worksheet: Worksheet, subject: str | None, per_subject: bool) -> tuple[Fraction, Step]:
    own = [one for one in worksheet.points if not per_subject or one.subject == subject]
    total = sum((one.points for one in own), ZERO)
    parts = " + ".join(f"{number_text(one.points)} ({one.level})" for one in own) or "none"
    whose = f" of {subject}" if per_subject and subject else ""
    return total, step("points", "points", f"points{whose}: {parts} = {number_text(total)}", total)


def _percent_per_point(
    context: PeriodContext, worksheet: Worksheet, term: PercentPerPoint
) -> Worksheet:
    total, summed = _summed(worksheet, None, False)
    percent = total * term.percent
    return _of_charge(context, worksheet, percent, term.base, (summed,))


def _of_charge(
    context: PeriodContext,
    worksheet: Worksheet,
    percent: Fraction,
    base: str,
    steps: tuple[Step, ...],
) -> Worksheet:
    seen = context.seen
    charge = context.base_where(percent != 0, base)
    value = ZERO if charge is None else percent_of(percent, charge)
    charged = context.charges.charged_period(context.version, base, context.period)
    of_what = f"{base} of {charged}"
    told = of_what if charge is None else f"{context.money(charge)} ({of_what})"
    text = f"{number_text(percent)} % of {told} = {context.money(value)}"
    made = (
        *steps,
        *context.steps_since(seen),
        step("percent", "points", f"{number_text(percent)} % of the charge", percent),
        step("points-to-money", "points", text, value),
    )
    line = _line(context, "points", value, made)
    return worksheet.adding(line).with_figures({"credit-percent": percent, "applied-to": charged})


def _point_table(context: PeriodContext, worksheet: Worksheet, term: PointTable) -> Worksheet:
    total, summed = _summed(worksheet, None, False)
    gives, found = looked_up(term.table, total, "points.table")
    if term.table.gives == "percent":
        assert term.table.base is not None
        return _of_charge(context, worksheet, gives, term.table.base, (summed, found))
    return worksheet.adding(_line(context, "points", gives, (summed, found)))


def _marginal(context: PeriodContext, worksheet: Worksheet, term: MarginalPoints) -> Worksheet:
    per_subject = term.per == "subject"
    subjects = sorted({one.subject for one in worksheet.points}, key=lambda name: name or "")
    for subject in subjects if per_subject else [None]:
        total, summed = _summed(worksheet, subject, per_subject)
        value, steps = _band_by_band(context, term, total)
        name = f"points/{subject}" if subject is not None else "points"
        line = replace(_line(context, name, value, (summed, *steps)), subject=subject)
        worksheet = worksheet.adding(line)
    return worksheet


def _band_by_band(
    context: PeriodContext, term: MarginalPoints, total: Fraction
) -> tuple[Fraction, tuple[Step, ...]]:
    """Only the points inside a band are charged at that band's factor."""
    value, steps = ZERO, []
    for number, band in enumerate(term.bands):
        top = total if band.up_to is None else min(total, band.up_to)
        inside = max(top - band.above, ZERO)
        if not inside:
            continue
        amount = inside * term.point_value * band.factor
        text = (
            f"{number_text(inside)} points above {number_text(band.above)}: "
            f"{number_text(inside)} x {context.money(term.point_value)} x "
            f"{number_text(band.factor)} = {context.money(amount)}"
        )
        steps.append(step("points-to-money", f"points.bands[{number}]", text, amount))
        value += amount
    return value, tuple(steps)


_CONVERSIONS: dict[type, Callable[[PeriodContext, Worksheet, Any], Worksheet]] = {
    PercentPerPoint: _percent_per_point,
    PointTable: _point_table,
    MarginalPoints: _marginal,
}
