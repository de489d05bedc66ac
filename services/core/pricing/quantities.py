"""How much went wrong: each kind of quantity as a list of counts, one per occurrence it priced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from schemas.credit import (
    AgainstBenchmark,
    CircumstanceQuantity,
    Credit,
    Duration,
    Excess,
    FigureQuantity,
    Grace,
    One,
    OutsideRange,
    Shortfall,
)
from schemas.evaluation import CircumstanceFact, MetricFigure, Part
from schemas.period import Window, first_day
from schemas.statement import LevelResult, Step
from services.core.calendar.days import days_between
from services.core.exact.arithmetic import (
    HUNDRED,
    ONE,
    ZERO,
    number_text,
    part_words,
    percent_of,
    whole_units,
)
from services.core.inputs.absence import no_figure, number_or_wait
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import EarlierResults
from services.core.inputs.known import says_yes
from services.core.inputs.occurrences import occurrences, waits_for
from services.core.inputs.worksheet import step
from services.core.judging.attribution import AttributedFigure, attributed


@dataclass(frozen=True, slots=True)
class PricedUnits:
    """Units of one occurrence; ``part`` is the occurrence, where the quantity has any."""

    units: Fraction
    steps: tuple[Step, ...] = ()
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class PricingContext:
    """What a quantity, rate or factor may look at: the case, the result, and its own path.

    ``for_nothing``: a factor makes the amount nothing, whatever its base is.
    """

    context: PeriodContext
    result: LevelResult
    credit: Credit
    term: str
    same_period: tuple[LevelResult, ...] = ()
    for_nothing: bool = False

    def within(self, part: str) -> PricingContext:
        """The same, one step deeper in the term's path."""
        return replace(self, term=f"{self.term}.{part}")

    def earlier(self) -> EarlierResults:
        """The level's results before this one, the latest first."""
        result = self.result
        own = [
            one
            for one in self.same_period
            if (one.level, one.subject) == (result.level, result.subject)
            and first_day(one.period) < first_day(result.period)
        ]
        return self.context.earlier_results(result.level, result.subject, own)

    def measured(self, metric: str) -> MetricFigure | None:
        """A metric's figure in the result's window: of its subject, else of all together."""
        inputs, result = self.context.inputs, self.result
        own = inputs.figure(metric, result.subject, result.period)
        return own if own is not None else inputs.figure(metric, None, result.period)

    def circumstance(self, name: str) -> CircumstanceFact | None:
        """What is stated for the result's window, level and subject."""
        result = self.result
        return self.context.inputs.circumstance(name, result.period, result.level, result.subject)

    def amount_stated(self, name: str) -> CircumstanceFact | None:
        """The same for what states an amount: it is of the result's window and no longer one."""
        result = self.result
        return self.context.inputs.amount_stated(name, result.period, result.level, result.subject)

    def attributed(self, metric: str) -> AttributedFigure | None:
        """The same as the level's terms see it: of its own metric, what is attributed."""
        figure = self.measured(metric)
        level = self.context.version.level_named(self.result.level)
        assert level is not None, "a result is one of a level of the version"
        place = self.context.version.levels.index(level)
        if figure is None:
            return None
        return attributed(self.context, level, figure, f"levels[{place}]")

    def figure(self, metric: str) -> MetricFigure | None:
        """The figure that the level's terms read, with its attributed parts alone."""
        found = self.attributed(metric)
        return found.figure if found is not None else None

    def value(self, metric: str | None) -> Fraction | None:
        """A metric's value, or the level's own result where none is named."""
        if metric is None:
            return self.result.result
        figure = self.figure(metric)
        if figure is None:
            self.context.blockers.add(
                f"the evaluation of {self.context.period} holds no figure of {metric}"
            )
        return figure.value if figure else None

    def read(self, metric: str | None, if_absent: object) -> Fraction | None:
        """A metric's value, or the number that the term states where it has none.

        None where nothing counts, or the period waits.
        """
        value = self.value(metric)
        if value is not None or (metric is not None and self.figure(metric) is None):
            return value  # the period waits already for what its evaluation does not hold
        return self.absent(metric, if_absent)

    def absent(self, metric: str | None, if_absent: object) -> Fraction | None:
        """What the term states for a figure that is not there, as `read`."""
        result = self.result
        if metric is None:
            what = f"the level {result.level} has no result of {result.period}"
            metric = result.metric
        else:
            what = no_figure(metric, result.subject, result.period, self.figure(metric))
        send = f"send events of {metric}"
        return number_or_wait(self.context, if_absent, what, self.term, send)


def quantity(pricing: PricingContext, term: Any) -> tuple[PricedUnits, ...]:
    """The counts of a quantity. Empty where there is nothing to count."""
    return _QUANTITIES[type(term)](pricing, term)


def _one(_: PricingContext, __: One) -> tuple[PricedUnits, ...]:
    return (PricedUnits(ONE),)


def _figure(pricing: PricingContext, term: FigureQuantity) -> tuple[PricedUnits, ...]:
    value = pricing.read(term.metric, term.if_absent)
    units = ZERO if value is None else value
    said = number_text(units)
    if pricing.value(term.metric) is None:
        said = f"no data, so {said}" if units else "no data"
    return (PricedUnits(units, (step("quantity", pricing.term, f"{term.metric}: {said}", units),)),)


def _circumstance(pricing: PricingContext, term: CircumstanceQuantity) -> tuple[PricedUnits, ...]:
    fact = pricing.amount_stated(term.circumstance)
    stated = fact.circumstance.value if fact else None
    if stated is None:
        units = _unstated(pricing, term, fact) or ZERO
        said = f"not stated, so {number_text(units)}"
    else:
        units, said = stated, number_text(stated)
    text = f"{term.circumstance}: {said}"
    return (PricedUnits(units, (step("quantity", pricing.term, text, units),)),)


def _unstated(
    pricing: PricingContext, term: CircumstanceQuantity, fact: CircumstanceFact | None
) -> Fraction | None:
    name, subject = term.circumstance, pricing.result.subject
    whose = f" of {subject}" if subject is not None else ""
    period = pricing.result.period
    what = f"the circumstance {name}{whose} of {period} "
    what += "is not stated" if fact is None else f"states no value (event {fact.event.id})"
    send = f"state {name} of {period} with its value"
    return number_or_wait(pricing.context, term.if_absent, what, pricing.term, send)


def _shortfall(pricing: PricingContext, term: Shortfall) -> tuple[PricedUnits, ...]:
    value = pricing.read(term.metric, term.if_absent)
    if value is None:
        return ()
    return (_steps(pricing, term.counted_from - value, value, term, "under"),)


def _excess(pricing: PricingContext, term: Excess) -> tuple[PricedUnits, ...]:
    value = pricing.read(term.metric, term.if_absent)
    if value is None:
        return ()
    distance = value - term.counted_from
    if not term.in_percent_of_start:
        return (_steps(pricing, distance, value, term, "over"),)
    if not term.counted_from:
        raise InvalidDeclaration(
            f"{pricing.term} counts in percent of its start, which is 0; state another counted_from"
        )
    percent = HUNDRED * distance / term.counted_from
    return (_steps(pricing, percent, value, term, "percent over"),)


def _steps(
    pricing: PricingContext,
    distance: Fraction,
    value: Fraction,
    term: Shortfall | Excess,
    side: str,
) -> PricedUnits:
    """``99.64 is 0.26 under 99.9: 3 steps of 0.1``."""
    distance = max(distance, ZERO)
    units = whole_units(distance / term.step, term.part_step)
    text = (
        f"{number_text(value)} is {number_text(distance)} {side} {number_text(term.counted_from)}; "
        f"{number_text(units)} steps of {number_text(term.step)} ({part_words(term.part_step)})"
    )
    return PricedUnits(units, (step("quantity", pricing.term, text, units),))


def _outside_range(pricing: PricingContext, term: OutsideRange) -> tuple[PricedUnits, ...]:
    highest = pricing.read(term.highest, term.if_absent)
    lowest = pricing.read(term.lowest, term.if_absent)
    over = ZERO if highest is None else max(highest - term.at_most, ZERO)
    under = ZERO if lowest is None else max(term.at_least - lowest, ZERO)
    units = max(over, under)
    text = (
        f"readings farthest outside {number_text(term.at_least)} to {number_text(term.at_most)}: "
        f"{number_text(over)} over, {number_text(under)} under; the farther counts"
    )
    return (PricedUnits(units, (step("quantity", pricing.term, text, units),)),)


def _duration(pricing: PricingContext, term: Duration) -> tuple[PricedUnits, ...]:
    metric = term.metric or pricing.result.metric or ""
    found = pricing.attributed(metric)
    if found is None or (found.figure.value is None and not found.figure.unfinished):
        if found is None or found.figure.nothing_to_count is None:
            pricing.absent(metric, term.if_absent)
        return ()
    figure = found.figure
    if term.of == "each":
        counted = occurrences(figure, term.across_periods)
        for name in counted.unfinished:
            pricing.context.blockers.add(waits_for(pricing.context.inputs.references.name(name)))
        return tuple(
            _one_duration(pricing, term, _length(pricing, term, part, found, figure.window), part)
            for part in counted.parts
        )
    return () if figure.value is None else (_one_duration(pricing, term, figure.value / term.unit),)


def _one_duration(
    pricing: PricingContext, term: Duration, length: Fraction, part: Part | None = None
) -> PricedUnits:
    """Units of one duration. ``length``: in units, before grace."""
    name = f"{pricing.context.inputs.references.occurrence(part)}: " if part else ""
    said: list[str] = [f"{name}{number_text(length)} units of {number_text(term.unit)}"]
    if length <= 0 or _is_free(pricing, term, length, part, said):
        return PricedUnits(ZERO, (step("quantity", pricing.term, "; ".join(said), ZERO),), part)
    if term.shorter_than_a_unit == "only_if_asked":
        length = max(length, ONE)  # what is shorter and is asked for counts as a whole one
    units = whole_units(_after_grace(term.grace, length, said), term.part_unit)
    said.append(f"{number_text(units)} count ({part_words(term.part_unit)})")
    counted = step("units", pricing.term, "; ".join(said), units)
    if term.block is None or term.part_block is None:
        return PricedUnits(units, (counted,), part)
    blocks = whole_units(units / term.block, term.part_block)
    text = (
        f"{number_text(blocks)} blocks of {number_text(term.block)} ({part_words(term.part_block)})"
    )
    return PricedUnits(blocks, (counted, step("quantity", pricing.term, text, blocks)), part)


def _length(
    pricing: PricingContext, term: Duration, part: Part, found: AttributedFigure, window: Window
) -> Fraction:
    """The occurrence in units, before grace: elapsed time, or dates of the calendar.

    The part's amount is what is attributed of it; dates are taken by the same share. While it is
    open it lasts to the window's end.
    """
    if term.counted == "elapsed":
        return part.amount / term.unit
    days = days_between(part.start, part.end or window.end, pricing.context.time_zone)
    return percent_of(found.share_of(part), Fraction(days)) / term.unit


def _is_free(
    pricing: PricingContext, term: Duration, length: Fraction, part: Part | None, said: list[str]
) -> bool:
    """Whether an occurrence shorter than one unit counts nothing at all."""
    if length >= 1 or term.shorter_than_a_unit == "as_part":
        return False
    if term.shorter_than_a_unit == "nothing":
        said.append("shorter than a unit: nothing")
        return True
    assert term.asked is not None
    name = part.part if part else pricing.result.subject
    result = pricing.result
    asked = pricing.context.inputs.circumstance(term.asked, result.period, result.level, name)
    asking = says_yes(asked)
    said.append("shorter than a unit" + (", asked for" if asking else ", not asked for: nothing"))
    return not asking


def _after_grace(grace: Grace | None, length: Fraction, said: list[str]) -> Fraction:
    """``deductible`` takes the grace off; ``threshold`` takes nothing off once it is passed."""
    if grace is None:
        return length
    if length <= grace.units:
        said.append(f"within the {number_text(grace.units)} free units")
        return ZERO
    if grace.kind == "threshold":
        said.append(f"past the {number_text(grace.units)} free units, which count as well")
        return length
    said.append(f"less the {number_text(grace.units)} free units")
    return length - grace.units


def _against_benchmark(pricing: PricingContext, term: AgainstBenchmark) -> tuple[PricedUnits, ...]:
    """Above zero: worse than the benchmark. A volume of nothing has no benchmark to hold to."""
    result, volume = pricing.result.result, pricing.read(term.metric, term.if_absent)
    if result is None:
        pricing.absent(None, "nothing" if term.if_absent == "nothing" else "wait")
    if result is None or volume is None:
        return ()
    allowed = term.benchmark * volume / term.per
    units = result - allowed
    text = (
        f"{number_text(result)} against {number_text(term.benchmark)} per "
        f"{number_text(term.per)} on {number_text(volume)} ({term.metric}), which allows "
        f"{number_text(allowed)}: {number_text(units)}"
    )
    return (PricedUnits(units, (step("quantity", pricing.term, text, units),)),)


_QUANTITIES: dict[type, Callable[[PricingContext, Any], tuple[PricedUnits, ...]]] = {
    One: _one,
    FigureQuantity: _figure,
    CircumstanceQuantity: _circumstance,
    Shortfall: _shortfall,
    Excess: _excess,
    OutsideRange: _outside_range,
    Duration: _duration,
    AgainstBenchmark: _against_benchmark,
}
