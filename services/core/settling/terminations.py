"""Rights to end the agreement that a period's results open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from schemas.period import first_day, next_label
from schemas.remedy import ByCap, ByMean, ByMisses, ByOccurrence
from schemas.statement import LevelResult, TerminationRight
from services.core.exact.arithmetic import ZERO, number_text
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import Worksheet
from services.core.judging.levels import MISSED


def open_rights(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """The rights that this period opens, with the last day to exercise them."""
    found = []
    for term in context.version.terminations:
        because = _RIGHTS[type(term)](context, worksheet, term)
        if because is not None:
            until = None
            if term.exercise_days is not None:
                last = first_day(next_label(context.period)) + timedelta(
                    days=term.exercise_days - 1
                )
                until = last.isoformat()
            right = TerminationRight(term=term.term, because=because, exercise_until=until)
            found.append(right)
    return replace(worksheet, rights=tuple(found))


def _rows(context: PeriodContext, worksheet: Worksheet, level: str) -> list[list[LevelResult]]:
    """The results of a level, the latest first, for each subject that it is judged for."""
    now = [one for one in worksheet.results if one.level == level]
    subjects = list(dict.fromkeys(one.subject for one in now))
    return [
        [
            *(one for one in reversed(now) if one.subject == subject),
            *context.earlier_results(level, subject),
        ]
        for subject in subjects
    ]


def _by_mean(context: PeriodContext, worksheet: Worksheet, term: ByMean) -> str | None:
    for results in _rows(context, worksheet, term.level):
        window = {next_label(results[0].period, -back) for back in range(term.of_last)}
        values = [one.result for one in results if one.period in window and one.result is not None]
        if not values or (len(values) < term.of_last and term.missing_period == "not_opened"):
            continue
        mean: Fraction = sum(values, ZERO) / len(values)
        if term.region.met_by(mean):
            return f"the mean of {len(values)} periods is {number_text(mean)}, {term.region.text()}"
    return None


def _by_misses(context: PeriodContext, worksheet: Worksheet, term: ByMisses) -> str | None:
    for results in _rows(context, worksheet, term.level):
        window = {next_label(results[0].period, -back) for back in range(term.of_last)}
        missed = [one.period for one in results if one.period in window and one.standing in MISSED]
        if len(missed) >= term.misses:
            return f"{len(missed)} misses in {term.of_last} periods: {', '.join(reversed(missed))}"
    return None


def _by_occurrence(context: PeriodContext, _: Worksheet, term: ByOccurrence) -> str | None:
    for figure in context.inputs.evaluation.figures:
        if figure.metric != term.metric or figure.subject is not None:
            continue
        for part in figure.parts:
            if term.region.met_by(part.amount):
                return f"{part.part} took {number_text(part.amount)}, {term.region.text()}"
    return None


def _by_cap(_: PeriodContext, worksheet: Worksheet, term: ByCap) -> str | None:
    """Reached: the credits of the period that it limits are all that the cap had left."""
    return f"cap {term.cap} is reached" if term.cap in worksheet.full else None


_RIGHTS: dict[type, Callable[[PeriodContext, Worksheet, Any], str | None]] = {
    ByMean: _by_mean,
    ByMisses: _by_misses,
    ByOccurrence: _by_occurrence,
    ByCap: _by_cap,
}
