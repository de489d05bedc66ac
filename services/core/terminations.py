"""Rights to end the agreement that a period's results open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from schemas.agreement import Termination
from schemas.period import first_day, next_label
from schemas.statement import LevelResult, TerminationRight
from services.core.arithmetic import ZERO, number_text
from services.core.case import Case, Sheet
from services.core.judging import MISSED


def open_rights(case: Case, sheet: Sheet) -> Sheet:
    """The rights that this period's results open, with the last day to exercise them."""
    found = []
    for term in case.version.terminations:
        because = _because(case, sheet, term)
        if because is not None:
            until = None
            if term.exercise_days is not None:
                last = first_day(next_label(case.period)) + timedelta(days=term.exercise_days - 1)
                until = last.isoformat()
            right = TerminationRight(term=term.term, because=because, exercise_until=until)
            found.append(right)
    return replace(sheet, rights=tuple(found))


def _because(case: Case, sheet: Sheet, term: Termination) -> str | None:
    now = [one for one in sheet.results if one.level == term.level]
    if not now:
        return None
    results = [*reversed(now), *case.earlier_results(term.level, now[0].subject)]
    return _by_mean(term, results) if term.mean is not None else _by_misses(term, results)


def _by_mean(term: Termination, results: list[LevelResult]) -> str | None:
    assert term.mean is not None
    assert term.mean_of_last is not None
    values = [one.result for one in results[: term.mean_of_last]]
    known = [value for value in values if value is not None]
    if len(known) < term.mean_of_last:
        return None
    mean: Fraction = sum(known, ZERO) / len(known)
    if not term.mean.met_by(mean):
        return None
    return f"the mean of {term.mean_of_last} periods is {number_text(mean)}, {term.mean.text()}"


def _by_misses(term: Termination, results: list[LevelResult]) -> str | None:
    assert term.misses is not None
    assert term.of_last is not None
    window = {next_label(results[0].period, -back) for back in range(term.of_last)}
    missed = [one.period for one in results if one.period in window and one.standing in MISSED]
    if len(missed) < term.misses:
        return None
    return f"{len(missed)} misses in {term.of_last} periods: {', '.join(reversed(missed))}"
