"""Terms of a level and its credits that can never do anything, or never be met."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.agreement import Agreement
from schemas.bands import BandTable, Threshold
from schemas.credit import (
    AtRiskShare,
    ByBand,
    ByRun,
    Credit,
    Duration,
    Excess,
    FactorByBand,
    One,
    OnTrigger,
    OutsideRange,
    PointsEach,
    Repeat,
    Shortfall,
    When,
)
from schemas.level import Baseline, BelowMinimumOnly, Level
from schemas.programme import Metric, Programme
from services.core.contracts.references import metrics_in, names_used
from services.core.contracts.wording import FieldPath, Finding

_LEAVE_OUT = "leave it out"


def idle_level_terms(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """Everything stated of the levels that never has an effect."""
    for index, level in enumerate(agreement.levels):
        path: FieldPath = ("levels", index)
        yield from _of_level(path, level)
        yield from _missing_figures(path, level)
        metric = programme.metric(level.metric)
        for number, credit in enumerate(level.credits):
            at: FieldPath = (*path, "credits", number)
            for look in _OF_CREDIT:
                yield from look(at, level, credit, metric)


def can_be_missed(level: Level) -> bool:
    """Whether it ever asks for anything: a level that it states, or one that it finds."""
    return level.expected is not None or level.moves is not None


def has_minimum(level: Level) -> bool:
    """Whether a result can ever be below its minimum: one that is stated, or that is found."""
    found = isinstance(level.moves, Baseline) and level.moves.minimum == "worst"
    return level.minimum is not None or found


def _of_level(path: FieldPath, level: Level) -> Iterator[Finding]:
    if level.relief and not can_be_missed(level):
        reason = f"level {level.level} has no expected level, so no miss is ever excused"
        remedy = "state expected, or make the excuse a condition (when) of the credit"
        yield Finding((*path, "relief"), reason, remedy)
    if isinstance(level.defaults, BelowMinimumOnly) and not has_minimum(level):
        reason = f"level {level.level} has no minimum, so it never defaults"
        remedy = "let the baseline find one (minimum: worst), or state other defaults"
        yield Finding((*path, "defaults"), reason, remedy)
    if level.low_volume is not None and level.low_volume.below_total <= 1:
        reason = "fewer than 1 in all is none, of which nothing can be left out"
        yield Finding((*path, "low_volume", "below_total"), reason, "state a higher number")


# --- no data ------------------------------------------------------------------------------------


def _missing_figures(path: FieldPath, level: Level) -> Iterator[Finding]:
    """A missing figure that counts as a miss, and a price that reads that very figure."""
    if level.no_data != "miss":
        return
    for number, credit in enumerate(level.credits):
        reads = _reads_own_figure(credit, level.metric)
        if reads is not None:
            reason = (
                f"no_data: miss leaves open which figure a missing one counts as, and {reads} of "
                f"this credit reads it"
            )
            remedy = "write no_data with counts_as, such as 0, or price it otherwise"
            yield Finding((*path, "credits", number, reads), reason, remedy)


def _reads_own_figure(credit: Credit, metric: str) -> str | None:
    """The field of a credit that reads the figure of its level; the schema sees to the result."""
    quantity = credit.quantity
    if isinstance(quantity, Duration) and quantity.metric in (None, metric):
        return "quantity"
    for field in ("quantity", "factors", "when"):
        if metric in {name for _, name in metrics_in(getattr(credit, field))}:
            return field
    if "result" in names_used(credit):
        return "when"
    return None


# --- credits ------------------------------------------------------------------------------------


def _needs_misses(
    path: FieldPath, level: Level, credit: Credit, _: Metric | None
) -> Iterator[Finding]:
    if can_be_missed(level):
        return
    reason = f"level {level.level} has no expected level, so no run of misses ever begins"
    if isinstance(credit.rate, ByRun):
        yield Finding((*path, "rate"), reason, "state expected, or use another rate")
    for number, factor in enumerate(credit.factors):
        if isinstance(factor, Repeat):
            yield Finding((*path, "factors", number), reason, "state expected, or leave it out")


def _regions(path: FieldPath, _: Level, credit: Credit, metric: Metric | None) -> Iterator[Finding]:
    """Where a result or figure would have to lie that is always a percentage."""
    if metric is None or metric.figure_unit != "percent":
        return
    if isinstance(credit.due, OnTrigger) and never_a_percentage(credit.due.result):
        reason = f"no percentage is ever {credit.due.result.text()}"
        yield Finding((*path, "due", "result"), reason, "correct the limit")
    quantity = credit.quantity
    if isinstance(quantity, Shortfall) and quantity.metric is None and quantity.counted_from <= 0:
        reason = "no percentage is ever less than 0, so nothing is short"
        yield Finding((*path, "quantity", "counted_from"), reason, "correct the number")
    if isinstance(quantity, Excess) and quantity.metric is None and quantity.counted_from >= 100:
        reason = "no percentage is ever more than 100, so nothing is in excess"
        yield Finding((*path, "quantity", "counted_from"), reason, "correct the number")


def never_a_percentage(region: Threshold) -> bool:
    """Whether no value from 0 to 100 lies in a region."""
    edge = 100 if region.higher_is_met else 0
    beyond = region.limit > edge if region.higher_is_met else region.limit < edge
    return beyond or (region.limit == edge and not region.met_by(region.limit))


def _quantities(path: FieldPath, _: Level, credit: Credit, __: Metric | None) -> Iterator[Finding]:
    quantity = credit.quantity
    at: FieldPath = (*path, "quantity")
    if isinstance(quantity, Excess) and quantity.in_percent_of_start and not quantity.counted_from:
        reason = "a distance in percent of 0 does not exist"
        remedy = "state another counted_from, or in_percent_of_start: false"
        yield Finding((*at, "counted_from"), reason, remedy)
    if isinstance(quantity, OutsideRange) and quantity.at_least > quantity.at_most:
        reason = "the range ends before it begins, so every reading is outside"
        yield Finding((*at, "at_most"), reason, "swap at_least and at_most, or correct one")
    if isinstance(quantity, Duration) and quantity.grace is not None and not quantity.grace.units:
        yield Finding((*at, "grace"), "0 free units leave nothing out", _LEAVE_OUT)
    if isinstance(quantity, One) and credit.rounded_quantity is not None:
        yield Finding((*path, "rounded_quantity"), "one is whole already", _LEAVE_OUT)


def _factors(path: FieldPath, _: Level, credit: Credit, __: Metric | None) -> Iterator[Finding]:
    for number, factor in enumerate(credit.factors):
        at: FieldPath = (*path, "factors", number)
        if isinstance(factor, When) and factor.factor == factor.otherwise:
            reason = "the factor is the same whether the circumstance holds or not"
            yield Finding(at, reason, "give two factors, or write a constant one")
        if isinstance(factor, Repeat) and factor.factor == 1:
            yield Finding(at, "times 1 changes nothing when a miss repeats", _LEAVE_OUT)
        if isinstance(factor, FactorByBand):
            yield from idle_in_table(at, factor)


def _rates(path: FieldPath, _: Level, credit: Credit, __: Metric | None) -> Iterator[Finding]:
    rate = credit.rate
    gives_points = isinstance(rate, PointsEach) or (
        isinstance(rate, ByBand) and rate.gives == "points"
    )
    if gives_points and credit.at_most is not None:
        reason = "a ceiling is one of money, and this credit gives points"
        yield Finding((*path, "at_most"), reason, "leave it out, or cap what the points come to")
    if isinstance(rate, AtRiskShare) and rate.unallocated and rate.shares:
        reason = "the level has been given no share yet, so the shares beside it count nothing"
        yield Finding(
            (*path, "rate", "shares"), reason, "write shares: [], or leave unallocated out"
        )
    if isinstance(rate, ByBand):
        yield from idle_in_table((*path, "rate"), rate)


def idle_in_table(path: FieldPath, table: BandTable) -> Iterator[Finding]:
    """What a table says of values that one of its bands holds already."""
    ordered = table.ordered()
    is_open = ordered[0].lower is None and ordered[-1].upper is None
    if is_open and table.otherwise is not None:
        reason = "the bands hold every value, so otherwise never applies"
        yield Finding((*path, "otherwise"), reason, _LEAVE_OUT)
    if table.domain is not None and (is_open or table.otherwise is not None):
        reason = "the table has an answer for every value, so its domain is never looked at"
        yield Finding((*path, "domain"), reason, _LEAVE_OUT)
    if not table.otherwise and not any(band.gives for band in table.bands):
        yield Finding(path, "every band gives 0", "correct the bands, or leave the table out")


_OF_CREDIT: tuple[Callable[[FieldPath, Level, Credit, Metric | None], Iterator[Finding]], ...] = (
    _needs_misses,
    _regions,
    _quantities,
    _factors,
    _rates,
)
