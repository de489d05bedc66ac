"""Service points into money: by percentage, by table, or by marginal bands."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from schemas.points import MarginalPoints, PercentPerPoint, PointTable
from schemas.statement import Step
from services.core.arithmetic import ZERO, number_text, percent_of
from services.core.case import Amount, Case, Sheet, step
from services.core.rates import looked_up


def convert_points(case: Case, sheet: Sheet) -> Sheet:
    """The period's points as one line, or as one per subject where the term says so."""
    total = sum((scored.points for scored in sheet.points), ZERO)
    if case.version.points is None:
        return sheet.with_figures({"points": total}) if sheet.points else sheet
    sheet = sheet.with_figures({"points": total})
    return _CONVERSIONS[type(case.version.points)](case, sheet, case.version.points)


def _line(case: Case, name: str, value: Fraction, steps: tuple[Step, ...]) -> Amount:
    return Amount(name, "service_credit", None, case.period, value, steps)


def _summed(sheet: Sheet, subject: str | None, per_subject: bool) -> tuple[Fraction, Step]:
    own = [one for one in sheet.points if not per_subject or one.subject == subject]
    total = sum((one.points for one in own), ZERO)
    parts = " + ".join(f"{number_text(one.points)} ({one.level})" for one in own) or "none"
    whose = f" of {subject}" if per_subject and subject else ""
    return total, step("points", "points", f"points{whose}: {parts} = {number_text(total)}", total)


def _percent_per_point(case: Case, sheet: Sheet, term: PercentPerPoint) -> Sheet:
    total, summed = _summed(sheet, None, False)
    percent = total * term.percent
    return _of_charge(case, sheet, percent, term.base, (summed,))


def _of_charge(
    case: Case, sheet: Sheet, percent: Fraction, base: str, steps: tuple[Step, ...]
) -> Sheet:
    seen = case.seen
    charge = case.base(base)
    value = percent_of(percent, charge)
    charged = case.charges.charged_period(case.version, base, case.period)
    text = (
        f"{number_text(percent)} % of {case.money(charge)} ({base} of {charged}) = "
        f"{case.money(value)}"
    )
    made = (
        *steps,
        *case.steps_since(seen),
        step("percent", "points", f"{number_text(percent)} % of the charge", percent),
        step("points-to-money", "points", text, value),
    )
    line = _line(case, "points", value, made)
    return sheet.adding(line).with_figures({"credit-percent": percent, "applied-to": charged})


def _point_table(case: Case, sheet: Sheet, term: PointTable) -> Sheet:
    total, summed = _summed(sheet, None, False)
    gives, found = looked_up(term.table, total, "points.table")
    if term.table.gives == "percent":
        assert term.table.base is not None
        return _of_charge(case, sheet, gives, term.table.base, (summed, found))
    return sheet.adding(_line(case, "points", gives, (summed, found)))


def _marginal(case: Case, sheet: Sheet, term: MarginalPoints) -> Sheet:
    per_subject = term.per == "subject"
    subjects = sorted({one.subject for one in sheet.points}, key=lambda name: name or "")
    for subject in subjects if per_subject else [None]:
        total, summed = _summed(sheet, subject, per_subject)
        value, steps = _band_by_band(case, term, total)
        name = f"points/{subject}" if subject is not None else "points"
        sheet = sheet.adding(_line(case, name, value, (summed, *steps)))
    return sheet


def _band_by_band(
    case: Case, term: MarginalPoints, total: Fraction
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
            f"{number_text(inside)} x {case.money(term.point_value)} x "
            f"{number_text(band.factor)} = {case.money(amount)}"
        )
        steps.append(step("points-to-money", f"points.bands[{number}]", text, amount))
        value += amount
    return value, tuple(steps)


_CONVERSIONS: dict[type, Callable[[Case, Sheet, Any], Sheet]] = {
    PercentPerPoint: _percent_per_point,
    PointTable: _point_table,
    MarginalPoints: _marginal,
}
