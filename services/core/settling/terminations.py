"""Rights to end the agreement that a period's results open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from schemas.bands import Threshold
from schemas.evaluation import MetricFigure, Part, WholeOccurrence
from schemas.period import Window, first_day, next_label
from schemas.remedy import ByCap, ByMean, ByMisses, ByOccurrence
from schemas.statement import LevelResult, TerminationRight
from services.core.calendar.days import local_day
from services.core.exact.arithmetic import ZERO, number_text
from services.core.inputs.absence import no_figure, wait_for
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import Worksheet
from services.core.judging.attribution import attributed
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


def _windows(
    context: PeriodContext, worksheet: Worksheet, level: str, periods: int
) -> Iterator[list[LevelResult]]:
    """The results of a level in so many of its last periods, the latest first, for each subject
    that it is judged for."""
    now = [one for one in worksheet.results if one.level == level]
    for subject in dict.fromkeys(one.subject for one in now):
        own = [one for one in now if one.subject == subject]
        window = [next_label(own[-1].period, -back) for back in range(periods)]
        results = context.earlier_results(level, subject, own).since(window[-1])
        yield [one for one in results if one.period in window]


def _by_mean(context: PeriodContext, worksheet: Worksheet, term: ByMean) -> str | None:
    for results in _windows(context, worksheet, term.level, term.of_last):
        values = [one.result for one in results if one.result is not None]
        if not values or (len(values) < term.of_last and term.missing_period == "not_opened"):
            continue
        mean: Fraction = sum(values, ZERO) / len(values)
        if term.region.met_by(mean):
            return f"the mean of {len(values)} periods is {number_text(mean)}, {term.region.text()}"
    return None


def _by_misses(context: PeriodContext, worksheet: Worksheet, term: ByMisses) -> str | None:
    for results in _windows(context, worksheet, term.level, term.of_last):
        missed = [one.period for one in results if one.standing in MISSED]
        if len(missed) >= term.misses:
            return f"{len(missed)} misses in {term.of_last} periods: {', '.join(reversed(missed))}"
    return None


def _by_occurrence(context: PeriodContext, _: Worksheet, term: ByOccurrence) -> str | None:
    known = context.inputs.figure(term.metric, None, context.period)
    unknown = known is None or not (
        known.value is not None or known.unfinished or known.nothing_to_count
    )
    if unknown and term.if_absent == "wait":
        what = no_figure(term.metric, None, context.period, known)
        wait_for(context, what, f"the right {term.term}", f"send events of {term.metric}")
    for measured in context.inputs.evaluation.figures:
        its_own = (measured.metric, measured.subject, measured.period)
        if its_own != (term.metric, None, context.period):
            continue
        figure = _attributed(context, measured)
        goes_on = term.across_periods == "goes_on"
        for part in (*figure.parts, *figure.touching) if goes_on else figure.parts:
            if goes_on and part.whole is not None:
                said = _reached(context, part, part.whole, figure.window, term.region)
            else:
                said = _took(context, part, term.region)
            if said is not None:
                return said
    return None


def _took(context: PeriodContext, part: Part, region: Threshold) -> str | None:
    if not region.met_by(part.amount):
        return None
    name = context.inputs.references.occurrence(part)
    return f"{name} took {number_text(part.amount)}, {region.text()}"


def _reached(
    context: PeriodContext,
    part: Part,
    whole: WholeOccurrence,
    window: Window,
    region: Threshold,
) -> str | None:
    """What is said where the time of an occurrence comes to lie in the region in this window.

    A time that must be short enough is known at its end; one that must be long enough, at the
    moment it is, and it stays so: a later window does not open the right again.
    """
    ended = whole.end is not None and whole.end < window.end
    if not region.higher_is_met:
        ended_here = ended and whole.end is not None and whole.end >= window.start
        all_of_it = part.model_copy(update={"amount": whole.amount})
        return _took(context, all_of_it, region) if ended_here else None
    was_met = whole.start < window.start and region.met_by(whole.before)
    if was_met or not region.met_by(whole.so_far):
        return None
    time_zone = context.time_zone
    last = local_day(window.end - timedelta(microseconds=1), time_zone)
    until = "" if ended else f" by the end of {last}"
    since = "" if part.vendor else f" since {_day_reached(whole, window, region, time_zone)}"
    name = context.inputs.references.occurrence(part)
    return f"{name} took {number_text(whole.so_far)}{until}, {region.text()}{since}"


def _day_reached(whole: WholeOccurrence, window: Window, region: Threshold, time_zone: str) -> date:
    """The day on which the time came to the limit; it runs evenly but for a vendor's clock."""
    until = window.end if whole.end is None else min(whole.end, window.end)
    passed = Fraction((until - whole.start) // timedelta(microseconds=1))
    share = max(region.limit, ZERO) / whole.so_far if whole.so_far else ZERO
    reached = whole.start + timedelta(microseconds=int(passed * share))
    return local_day(min(reached, window.end - timedelta(microseconds=1)), time_zone)


def _attributed(context: PeriodContext, figure: MetricFigure) -> MetricFigure:
    """What the levels of that metric count of it; contracts of which two differ are refused."""
    for index, level in enumerate(context.version.levels):
        if level.metric == figure.metric:
            return attributed(context, level, figure, f"levels[{index}]").figure
    return figure


def _by_cap(_: PeriodContext, worksheet: Worksheet, term: ByCap) -> str | None:
    """Reached: the credits of the period that it limits are all that the cap had left."""
    return f"cap {term.cap} is reached" if term.cap in worksheet.full else None


_RIGHTS: dict[type, Callable[[PeriodContext, Worksheet, Any], str | None]] = {
    ByMean: _by_mean,
    ByMisses: _by_misses,
    ByOccurrence: _by_occurrence,
    ByCap: _by_cap,
}
