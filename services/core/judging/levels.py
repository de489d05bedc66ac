"""How each level stood: the figure, what is done to it first, the comparison, the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import takewhile
from typing import Any

from schemas.absence import CountsAs
from schemas.bands import Rounding
from schemas.evaluation import ExcludedTime, MetricFigure
from schemas.level import (
    BelowMinimumOnly,
    EveryMiss,
    Level,
    LowVolume,
    Misses,
    NeverDefaults,
)
from schemas.period import next_label
from schemas.statement import LevelResult, Standing, Step
from services.core.calendar.windows import parts_of
from services.core.exact.arithmetic import HUNDRED, ZERO, listed, number_text, rounded
from services.core.inputs.absence import half_text, halves_awaited
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import EarlierResults
from services.core.inputs.worksheet import Worksheet, step
from services.core.judging.attribution import attributed
from services.core.judging.moving_levels import LevelInForce, UnderSameTerm, in_force, word_of
from services.core.judging.relief import excuses

MISSED: frozenset[Standing] = frozenset({"below_expected", "below_minimum"})


@dataclass(frozen=True, slots=True)
class LevelReading:
    """A level's result in the making, with the steps so far.

    ``nothing``: there was nothing to count, which is no period without data.
    """

    value: Fraction | None
    steps: tuple[Step, ...] = ()
    nothing: bool = False

    def becomes(self, value: Fraction | None, made: Step) -> LevelReading:
        """The reading after one more step."""
        return replace(self, value=value, steps=(*self.steps, made))


def judge(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Every level's result in every measurement period of the settlement period, in order."""
    halves_awaited(context)
    found: list[LevelResult] = []
    for index, level in enumerate(context.version.levels):
        for subject in _subjects(context, level):
            own: list[LevelResult] = []
            for period in parts_of(context.period, level.measured or context.version.settled):
                context.budget.spend()
                own.append(_judged(context, index, subject, period, tuple(own)))
            found.extend(own)
            worksheet = _noting_next_level(context, worksheet, level, subject, own)
    return replace(worksheet, results=tuple(found))


def _noting_next_level(
    context: PeriodContext,
    worksheet: Worksheet,
    level: Level,
    subject: str | None,
    own: list[LevelResult],
) -> Worksheet:
    """What a moving level asks for from the next period on."""
    if level.moves is None:
        return worksheet
    after = in_force(level, UnderSameTerm(context, level, subject, own))
    name = level.level if subject is None else f"{level.level}/{subject}"
    figures: dict[str, Fraction | str | bool | None] = {
        f"next-level/{name}": after.expected.limit if after.expected else None,
        f"next-minimum/{name}": after.minimum.limit if after.minimum else None,
    }
    if after.expected is not None and own[-1].expected != after.expected.limit:
        figures[f"next-level-from/{name}"] = next_label(own[-1].period)
    return worksheet.with_figures(figures)


def _subjects(context: PeriodContext, level: Level) -> tuple[str | None, ...]:
    if not level.each_subject:
        return (level.subject,)
    return tuple(sorted({*context.inputs.subjects(level.metric), *level.subjects}))


def _judged(
    context: PeriodContext,
    index: int,
    subject: str | None,
    period: str,
    own: tuple[LevelResult, ...],
) -> LevelResult:
    level = context.version.levels[index]
    term = f"levels[{index}]"
    earlier = context.earlier_results(level.level, subject, own)
    pricing = in_force(level, UnderSameTerm(context, level, subject, own))
    figure = context.inputs.figure(level.metric, subject, period)
    if figure is None and not level.each_subject:
        context.blockers.add(
            f"the evaluation of {context.period} holds no figure of {level.metric}"
        )
    reading = _read(context, level, term, figure, earlier, period)
    standing, compared = _compared(level, pricing, term, reading)
    if standing in MISSED and level.relief:
        excused, why = excuses(context, level, subject, period, term)
        standing, compared = ("excused" if excused else standing), (*compared, *why)
    result = LevelResult(
        level=level.level,
        metric=level.metric,
        subject=subject,
        period=period,
        figure=figure.value if figure else None,
        result=reading.value,
        expected=pricing.expected.limit if pricing.expected else None,
        expected_tie=word_of(pricing.expected) if pricing.expected else None,
        minimum=pricing.minimum.limit if pricing.minimum else None,
        minimum_tie=word_of(pricing.minimum) if pricing.minimum else None,
        standing=standing,
        defaulted=False,
        evidence=figure.evidence if figure else None,
        steps=(*reading.steps, *compared),
    )
    defaulted, why = _DEFAULTS[type(level.defaults)](level.defaults, result, earlier, term)
    return result.model_copy(update={"defaulted": defaulted, "steps": (*result.steps, *why)})


def _read(
    context: PeriodContext,
    level: Level,
    term: str,
    figure: MetricFigure | None,
    earlier: EarlierResults,
    period: str,
) -> LevelReading:
    value = figure.value if figure else None
    said = "no data" if value is None else f"{level.metric} is {number_text(value)}"
    reading = LevelReading(value, (step("figure", f"{term}.metric", f"{said} in {period}", value),))
    if level.attributed is not None and figure is not None and figure.value is not None:
        found = attributed(context, level, figure, term)
        figure = found.figure
        reading = LevelReading(figure.value, (*reading.steps, *found.steps))
    if figure is not None:
        reading = _as_counted(context, figure, reading, term)
    if level.low_volume is not None and figure is not None:
        reading = _without_few(level.low_volume, figure, reading, term)
    if reading.value is None and not reading.nothing and isinstance(level.no_data, CountsAs):
        worth = level.no_data.counts_as
        text = f"no data counts as {number_text(worth)}"
        reading = reading.becomes(worth, step("no-data", f"{term}.no_data", text, worth))
    if level.averaged is not None:
        reading = _mean_with_earlier(level, reading, earlier, period, term)
    if isinstance(level.judged, Rounding) and reading.value is not None:
        reading = _rounded(level.judged, reading, term)
    return reading


def _as_counted(
    context: PeriodContext, figure: MetricFigure, reading: LevelReading, term: str
) -> LevelReading:
    """What must be known of how a figure came about: halves, unknown time, nothing to count."""
    path, period = f"{term}.metric", figure.period
    name_of = context.inputs.references.occurrence
    for half in figure.incomplete:
        reading = reading.becomes(reading.value, step("incomplete", path, half_text(context, half)))
    if not_over := [name_of(one) for one in figure.parts if one.whole and one.whole.end is None]:
        text = f"not over at the end of {period}: {listed(not_over)}"
        reading = reading.becomes(reading.value, step("not-over", path, text))
    if figure.counted_seconds is not None:
        text = f"{number_text(figure.counted_seconds / 60)} minutes of {period} count"
        made = step("counted-time", path, text, figure.counted_seconds)
        reading = reading.becomes(reading.value, made)
    if figure.bad_slices is not None:
        text = f"{figure.bad_slices} slices of the clock are downtime"
        made = step("bad-slices", path, text, Fraction(figure.bad_slices))
        reading = reading.becomes(reading.value, made)
    for one in figure.excluded:
        made = step("excluded-time", path, _excluded_text(figure, one), one.bad_seconds)
        reading = reading.becomes(reading.value, made)
    if figure.short_interruptions:
        text = f"{figure.short_interruptions} too short to count"
        made = step("short-interruptions", path, text, Fraction(figure.short_interruptions))
        reading = reading.becomes(reading.value, made)
    if figure.unknown_seconds:
        text = f"{number_text(figure.unknown_seconds / 60)} minutes are unknown"
        text += ", so there is no figure" if figure.value is None else " and left out"
        made = step("unknown-time", path, text, figure.unknown_seconds)
        reading = reading.becomes(reading.value, made)
    if figure.nothing_to_count not in ("no_result", "counts_as"):
        return reading
    text = f"there was nothing to count in {period}"
    text += "" if figure.value is None else f", which counts as {number_text(figure.value)}"
    made = step("nothing-to-count", path, text, figure.value)
    return replace(reading.becomes(figure.value, made), nothing=figure.value is None)


def _excluded_text(figure: MetricFigure, one: ExcludedTime) -> str:
    """``patching, taken off counted time: 15 minutes of outage in 4 windows; without ... 93.5``."""
    off = one.taken_off.replace("_", " ")
    text = (
        f"{one.exclusion}, taken off {off}: {number_text(one.bad_seconds / 60)} minutes of outage"
    )
    if one.windows:
        text += f" in {len(one.windows)} window{'s' if len(one.windows) > 1 else ''}"
    without = figure.without_exclusions
    known = "no figure" if without is None else number_text(without)
    return f"{text}; without any exclusion: {known}"


def _without_few(
    term: LowVolume, figure: MetricFigure, reading: LevelReading, path: str
) -> LevelReading:
    """A ratio without so many bad ones, where there were few in all."""
    if figure.good is None or figure.total is None or figure.total == 0:
        return reading
    bad = figure.total - figure.good
    left_out = min(bad, Fraction(term.left_out)) if figure.total < term.below_total else ZERO
    total = figure.total - left_out
    value = HUNDRED * figure.good / total if total else None
    text = (
        f"{number_text(figure.total)} in all, fewer than {term.below_total}: "
        f"{number_text(left_out)} bad left out, "
        f"{number_text(figure.good)} good of {number_text(total)}"
        if left_out
        else f"{number_text(figure.total)} in all: none left out"
    )
    counted = (
        step("counted", f"{path}.low_volume", f"{number_text(total)} counted", total),
        step("in-time", f"{path}.low_volume", f"{number_text(figure.good)} good", figure.good),
    )
    reading = replace(reading, steps=(*reading.steps, *counted))
    reading = reading.becomes(value, step("low-volume", f"{path}.low_volume", text, value))
    if value is not None or term.nothing_left == "no_data":
        return reading
    left = term.nothing_left.counts_as if isinstance(term.nothing_left, CountsAs) else None
    text = "every one is left out: there is nothing to count"
    text += "" if left is None else f", which counts as {number_text(left)}"
    made = step("nothing-to-count", f"{path}.low_volume", text, left)
    return replace(reading.becomes(left, made), nothing=left is None)


def _mean_with_earlier(
    level: Level, reading: LevelReading, earlier: EarlierResults, period: str, term: str
) -> LevelReading:
    """The plain mean of this period's figure and those directly before it."""
    assert level.averaged is not None
    wanted = [next_label(period, -back) for back in range(1, level.averaged.periods)]
    by_period = {one.period: _before_mean(one) for one in earlier.since(wanted[-1])}
    before = [by_period.get(label) for label in wanted]
    values = [value for value in (reading.value, *before) if value is not None]
    short = None in before and level.averaged.missing_period == "no_result"
    mean = None if reading.value is None or short else sum(values, ZERO) / len(values)
    text = (
        "no mean: a period has no data"
        if mean is None
        else f"mean of {', '.join(map(number_text, values))} is {number_text(mean)}"
    )
    return reading.becomes(mean, step("averaged", f"{term}.averaged", text, mean))


_OWN_VALUE = ("figure", "attributed", "low-volume", "nothing-to-count", "no-data")
"""The steps that lead to a period's own value, before it is averaged with others."""


def _before_mean(result: LevelResult) -> Fraction | None:
    """An earlier period's own value: what was left of it before its mean was taken."""
    # Behind the mean may stand what a month without one counts as: nobody's own value.
    own = takewhile(lambda one: one.rule != "averaged", result.steps)
    values = [one.value for one in own if one.rule in _OWN_VALUE]
    return values[-1] if values else None


def _rounded(how: Rounding, reading: LevelReading, term: str) -> LevelReading:
    assert reading.value is not None
    value = rounded(reading.value, how.decimals, how.mode)
    text = f"rounded {how.mode.replace('_', ' ')} to {how.decimals} decimals: {number_text(value)}"
    return reading.becomes(value, step("result-rounded", f"{term}.judged", text, value))


def _compared(
    level: Level, pricing: LevelInForce, term: str, reading: LevelReading
) -> tuple[Standing, tuple[Step, ...]]:
    value = reading.value
    if value is None and reading.nothing:
        return "no_result", ()
    if value is None:
        return _standing_without_data(level, term)
    expected, minimum = pricing.expected, pricing.minimum
    if expected is None:
        return "reported", ()
    if expected.met_by(value):
        text = f"{number_text(value)} meets '{expected.text()}'"
        return "met", (step("compared", f"{term}.expected", text),)
    if minimum is not None and not minimum.met_by(value):
        text = f"{number_text(value)} misses the minimum '{minimum.text()}'"
        return "below_minimum", (step("compared", f"{term}.minimum", text),)
    text = f"{number_text(value)} misses '{expected.text()}'"
    return "below_expected", (step("compared", f"{term}.expected", text),)


_WITHOUT_DATA: dict[str, tuple[Standing, str]] = {
    "miss": ("below_expected", "a period without data counts as missed"),
    "met": ("met", "a period without data counts as met"),
    "no_result": ("no_result", "a period without data has no result"),
}


def _standing_without_data(level: Level, term: str) -> tuple[Standing, tuple[Step, ...]]:
    if not isinstance(level.no_data, str):
        return "no_result", ()  # a mean without enough data, although the period itself counts
    standing, text = _WITHOUT_DATA[level.no_data]
    return standing, (step("no-data", f"{term}.no_data", text),)


Judgement = tuple[bool, tuple[Step, ...]]


def _every_miss(
    _: EveryMiss, result: LevelResult, __: Iterable[LevelResult], ___: str
) -> Judgement:
    return result.standing in MISSED, ()


def _below_minimum(
    _: BelowMinimumOnly, result: LevelResult, __: Iterable[LevelResult], ___: str
) -> Judgement:
    return result.standing == "below_minimum", ()


def _never(_: NeverDefaults, __: LevelResult, ___: Iterable[LevelResult], ____: str) -> Judgement:
    return False, ()


def _nth_miss(rule: Misses, result: LevelResult, earlier: EarlierResults, term: str) -> Judgement:
    """Below the minimum at once; below expected from the n-th miss within the window."""
    path = f"{term}.defaults"
    if result.standing == "below_minimum":
        return True, (step("default", path, "below the minimum: a default at once"),)
    if result.standing != "below_expected":
        return False, ()
    kinds = MISSED if rule.below_minimum_counts else {"below_expected"}
    window = [next_label(result.period, -back) for back in range(rule.of_last)]
    misses = [
        one.period
        for one in (result, *earlier.since(window[-1]))
        if one.period in window and one.standing in kinds
    ]
    defaulted = len(misses) >= rule.misses
    text = (
        f"miss {len(misses)} in the {rule.of_last} periods that end with {result.period} "
        f"({', '.join(reversed(misses))}); a default from number {rule.misses} on"
    )
    return defaulted, (step("default", path, text, Fraction(len(misses))),)


_DEFAULTS: dict[type, Callable[[Any, LevelResult, EarlierResults, str], Judgement]] = {
    EveryMiss: _every_miss,
    BelowMinimumOnly: _below_minimum,
    Misses: _nth_miss,
    NeverDefaults: _never,
}


def consecutive_misses(
    result: LevelResult, earlier: Iterable[LevelResult], no_data: str
) -> list[LevelResult]:
    """The run of misses that ends with a result, the latest first; empty where it is no miss."""
    run: list[LevelResult] = []
    for one in _adjacent(result, earlier):
        if one.standing in MISSED:
            run.append(one)
        elif not (one.standing == "no_result" and no_data == "is_passed_over"):
            break
    return run


def _adjacent(result: LevelResult, earlier: Iterable[LevelResult]) -> Iterator[LevelResult]:
    """A result and those of the periods directly before it, without a hole."""
    yield result
    period = result.period
    for one in earlier:
        period = next_label(period, -1)
        if one.period != period:
            return
        yield one
