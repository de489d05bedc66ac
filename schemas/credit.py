"""What a level costs or earns: quantity x rate x factors, each a small term of its own.

``amount = sum over occurrences (quantity x rate x factors)``. A quantity says how much went wrong,
a rate what one unit of it is worth, factors what raises or lowers it. No formula is written in a
contract, and none is evaluated.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import IfAbsentCount, IfAbsentNumber, IfAbsentYesNo
from schemas.bands import BandTable, Rounding, Threshold
from schemas.base import AcrossPeriods, Name, Noun, Number
from schemas.condition import Condition
from schemas.money import Currency

PartOfUnit = Literal["counts_in_full", "does_not_count", "in_proportion"]
"""What a part of a step, hour, day or block is worth: ceiling, floor, or its share."""

NO_FIGURE = "Where the figure is not there. nothing: no units. counts_as: it is taken as N."

# --- quantities ---------------------------------------------------------------------------------


class One(Noun):
    """One, whenever the credit is due."""

    kind: Literal["one"]


class FigureQuantity(Noun):
    """The figure of a metric: failures, occurrences, kilograms, deduction periods."""

    kind: Literal["figure"]
    metric: Name
    if_absent: IfAbsentCount = Field("wait", description=NO_FIGURE)


class CircumstanceQuantity(Noun):
    """A number stated by a circumstance of the period."""

    kind: Literal["circumstance"]
    circumstance: Name
    if_absent: IfAbsentCount = Field(
        "wait", description="Where no value is stated. nothing: no units. counts_as: taken as N."
    )


class Shortfall(Noun):
    """How far the result lies under a stated starting point, in steps. Never below zero.

    ``counted_from`` has no default: 99.00 and 100 give different money for one result.
    """

    kind: Literal["shortfall"]
    metric: Name | None = Field(None, description="Absent: the level's own result, as judged.")
    counted_from: Number
    step: Annotated[Number, Field(gt=0)]
    part_step: PartOfUnit
    if_absent: IfAbsentCount = Field("wait", description=NO_FIGURE)


class Excess(Noun):
    """How far the result lies over a stated starting point, in steps. Never below zero.

    ``in_percent_of_start``: the distance is first divided by the starting point and taken in
    percent of it.
    """

    kind: Literal["excess"]
    metric: Name | None = Field(None, description="Absent: the level's own result, as judged.")
    counted_from: Number
    in_percent_of_start: bool
    step: Annotated[Number, Field(gt=0)]
    part_step: PartOfUnit
    if_absent: IfAbsentCount = Field("wait", description=NO_FIGURE)


class OutsideRange(Noun):
    """Distance of the reading farthest outside a range, from a maximum and a minimum metric."""

    kind: Literal["outside_range"]
    highest: Name = Field(description="Metric of the largest reading.")
    lowest: Name = Field(description="Metric of the smallest reading.")
    at_least: Number
    at_most: Number
    if_absent: IfAbsentCount = Field(
        "wait",
        description="Where a reading is not there. nothing: it is not outside. counts_as: it is "
        "taken as N.",
    )


class Grace(Noun):
    """Time that costs nothing: ``deductible`` for good, ``threshold`` only until it is passed."""

    units: Annotated[Number, Field(ge=0)]
    kind: Literal["deductible", "threshold"]


class Duration(Noun):
    """Time of the occurrences of a metric (outages, repairs, delays), in units.

    ``of`` ``each``: every occurrence is counted alone and the units are added. ``total``: the
    metric's figure is taken as one duration. ``unit``: length of a unit in the metric's unit.
    ``shorter_than_a_unit``: what an occurrence shorter than one unit counts.
    """

    kind: Literal["duration"]
    metric: Name | None = Field(None, description="Absent: the level's own metric.")
    of: Literal["each", "total"]
    across_periods: AcrossPeriods | None = Field(
        None,
        description="With of: each, where an occurrence over a period's end counts. Absent: as the "
        "metric says.",
    )
    counted: Literal["elapsed", "calendar_days"] = Field(
        description="calendar_days: the date of the end minus the date of the start, in the "
        "programme's time zone; the unit is then a number of days."
    )
    unit: Annotated[Number, Field(gt=0)]
    part_unit: PartOfUnit
    grace: Grace | None = None
    shorter_than_a_unit: Literal["as_part", "only_if_asked", "nothing"] = "as_part"
    asked: Name | None = Field(None, description="Circumstance that says the buyer asked.")
    block: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Units per block, where the rate is per several units."
    )
    part_block: PartOfUnit | None = None
    if_absent: Literal["wait", "nothing"] = Field(
        "wait", description="Where the figure is not there. nothing: no units."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.across_periods is not None and self.of == "total":
            raise ValueError(
                "across_periods is about single occurrences; write of: each, or leave it out"
            )
        if self.counted == "calendar_days" and self.of == "total":
            raise ValueError("calendar days are counted per occurrence; write of: each")
        if (self.block is None) != (self.part_block is None):
            raise ValueError("block and part_block go together: say what a part of a block counts")
        if (self.shorter_than_a_unit == "only_if_asked") != (self.asked is not None):
            raise ValueError(
                "only_if_asked needs 'asked', the circumstance by which the buyer asks"
            )
        return self


class AgainstBenchmark(Noun):
    """The result against a neutral benchmark, per so many units of a volume, in both directions.

    ``(result x per / volume - benchmark) x volume / per``: above zero is worse, below better,
    equal is nothing.
    """

    kind: Literal["against_benchmark"]
    benchmark: Number
    per: Annotated[Number, Field(gt=0)]
    metric: Name = Field(description="The volume, such as miles.")
    if_absent: IfAbsentCount = Field(
        "wait",
        description="Where the result or the volume is not there. nothing: nobody owes. "
        "counts_as: the volume is taken as N.",
    )


Quantity = Annotated[
    One
    | FigureQuantity
    | CircumstanceQuantity
    | Shortfall
    | Excess
    | OutsideRange
    | Duration
    | AgainstBenchmark,
    Field(discriminator="kind"),
]

# --- rates --------------------------------------------------------------------------------------


class PercentOf(Noun):
    """A percentage of a charge. ``over`` ``run``: of the charges of all periods of the run."""

    kind: Literal["percent_of"]
    percent: Number
    base: Name
    over: Literal["period", "run"] = "period"


class FractionOf(Noun):
    """A stated fraction of a charge, such as 1/30 or 1/720 in every month."""

    kind: Literal["fraction_of"]
    fraction: Number
    base: Name


class DayOf(Noun):
    """One day's charge: the charge divided by the number of days of its period."""

    kind: Literal["day_of"]
    base: Name


class WorthOf(Noun):
    """A percentage of the worth that the occurrence itself states, such as late goods."""

    kind: Literal["worth_of"]
    percent: Number


class Amount(Noun):
    """A fixed amount in main units of the currency."""

    kind: Literal["amount"]
    amount: Number
    currency: Currency | None = Field(None, description="Absent: the agreement's own.")


class AtRiskShare(Noun):
    """A product of shares of an amount at risk: weighting factor, or pool times allocation.

    An empty ``shares`` with ``unallocated`` says that the parties have given the level no share
    yet: it counts nothing until they do.
    """

    kind: Literal["at_risk_share"]
    at_risk: Name
    shares: tuple[Number, ...] = Field(description="In percent; multiplied with each other.")
    category: Name | None = None
    unallocated: bool = False

    @model_validator(mode="after")
    def _some_share(self) -> Self:
        if not self.shares and not self.unallocated:
            raise ValueError(
                "state the shares in percent, or 'unallocated: true' where the parties have given "
                "the level no share yet"
            )
        return self


class ByBand(BandTable):
    """The band of a value decides: a percentage of a charge, an amount, or points."""

    kind: Literal["by_band"]
    of: Literal["result", "quantity"]
    gives: Literal["percent", "amount", "points"]
    base: Name | None = None
    if_absent: IfAbsentCount = Field(
        "wait",
        description="Where the level has no result to look up. nothing: the table gives nothing. "
        "counts_as: N is looked up.",
    )

    @model_validator(mode="after")
    def _base_for_percent(self) -> Self:
        if (self.gives == "percent") != (self.base is not None):
            raise ValueError("gives: percent needs a base; amounts and points have none")
        return self


class ByRun(Noun):
    """Amounts that grow with the run of failing periods; the last one stays."""

    kind: Literal["by_run"]
    amounts: Annotated[tuple[Number, ...], Field(min_length=1)]
    no_data: Literal["ends_the_run", "is_passed_over"]


class ByDirection(Noun):
    """An amount per unit that depends on the direction: vendor owes, or buyer owes."""

    kind: Literal["by_direction"]
    vendor_owes: Number
    buyer_owes: Number


class PointsEach(Noun):
    """So many service points for each unit."""

    kind: Literal["points"]
    points: Number


Rate = Annotated[
    PercentOf
    | FractionOf
    | DayOf
    | WorthOf
    | Amount
    | AtRiskShare
    | ByBand
    | ByRun
    | ByDirection
    | PointsEach,
    Field(discriminator="kind"),
]

# --- factors ------------------------------------------------------------------------------------


class Constant(Noun):
    """A fixed factor, such as an area's weighting factor."""

    kind: Literal["constant"]
    factor: Number


class Repeat(Noun):
    """A factor when the same level also failed in the period directly before. Never compounds."""

    kind: Literal["repeat"]
    factor: Number
    no_data: Literal["ends_the_run", "is_passed_over"]


class When(Noun):
    """A factor when a circumstance of the period is true."""

    kind: Literal["when"]
    circumstance: Name
    factor: Number
    otherwise: Number
    if_absent: IfAbsentYesNo = Field(
        "does_not_hold", description="Where it is not stated: it did not happen, unless said here."
    )


class FactorByBand(BandTable):
    """A factor from a table over a metric's figure, such as the number of failures."""

    kind: Literal["by_figure"]
    metric: Name
    if_absent: IfAbsentNumber = Field(
        "wait", description="Where the figure is not there. counts_as: N is looked up."
    )


class FactorOfFigure(Noun):
    """The figure of a metric as a factor, such as the kilograms that a distance is charged for."""

    kind: Literal["figure"]
    metric: Name
    if_absent: IfAbsentNumber = Field(
        "wait", description="Where the figure is not there. counts_as: the factor is N."
    )


Factor = Annotated[
    Constant | Repeat | When | FactorByBand | FactorOfFigure, Field(discriminator="kind")
]

# --- when it is due -----------------------------------------------------------------------------


class OnDefault(Noun):
    """Due in each period whose miss counts as a service level default."""

    kind: Literal["on_default"]


class EveryPeriod(Noun):
    """Due in each period with a result; the quantity or the rate may come to nothing."""

    kind: Literal["every_period"]


class OnTrigger(Noun):
    """Due when the result lies in a stated region, independent of the expected level."""

    kind: Literal["on_trigger"]
    result: Threshold


class OnRun(Noun):
    """Due when the level was missed in so many consecutive periods; the count then starts anew."""

    kind: Literal["on_run"]
    misses: Annotated[int, Field(ge=2, le=120)]
    no_data: Literal["ends_the_run", "is_passed_over"]


Due = Annotated[OnDefault | EveryPeriod | OnTrigger | OnRun, Field(discriminator="kind")]


class PercentLimit(Noun):
    """At most so many percent of a charge."""

    kind: Literal["percent_of"]
    percent: Annotated[Number, Field(ge=0)]
    base: Name


class AmountLimit(Noun):
    """At most a fixed amount in main units of the currency."""

    kind: Literal["amount"]
    amount: Annotated[Number, Field(ge=0)]
    currency: Currency | None = Field(None, description="Absent: the agreement's own.")


class AtRiskLimit(Noun):
    """At most an amount at risk."""

    kind: Literal["at_risk"]
    at_risk: Name


class WorthLimit(Noun):
    """At most so many percent of the worth of the occurrences, all together."""

    kind: Literal["worth_of"]
    percent: Annotated[Number, Field(ge=0)]


class DaysLimit(Noun):
    """At most the charge of so many days: the charge by the number of days of its period."""

    kind: Literal["days_of"]
    days: Annotated[Number, Field(ge=0)]
    base: Name


class WorthOfEach(Noun):
    """Each occurrence at most so many percent of its own worth; none uses what another leaves."""

    kind: Literal["worth_of_each"]
    percent: Annotated[Number, Field(ge=0)]


Limit = Annotated[
    PercentLimit | AmountLimit | AtRiskLimit | WorthLimit | DaysLimit, Field(discriminator="kind")
]
CreditLimit = Annotated[
    PercentLimit | AmountLimit | AtRiskLimit | WorthLimit | DaysLimit | WorthOfEach,
    Field(discriminator="kind"),
]


class Credit(Noun):
    """One priced consequence of a level."""

    name: Name | None = Field(None, description="Tells several consequences of a level apart.")
    is_a: Literal["service_credit", "penalty", "bonus", "fee", "two_way", "banked"] = Field(
        description="Credits and penalties are owed by the vendor, bonuses and fees by the buyer, "
        "two_way by whom the quantity says. banked: put by in a bank, owed by nobody yet."
    )
    bank: Name | None = Field(None, description="Which bank a banked amount is put by in.")
    due: Due
    when: Condition | None = Field(None, description="What must hold as well for it to be due.")
    quantity: Quantity
    rate: Rate
    factors: tuple[Factor, ...] = ()
    at_most: CreditLimit | None = Field(None, description="A ceiling of this consequence alone.")
    rounded_quantity: Rounding | None = None

    @model_validator(mode="after")
    def _bank_and_direction(self) -> Self:
        if (self.is_a == "banked") != (self.bank is not None):
            raise ValueError("is_a: banked needs 'bank', and nothing else has one")
        two_way = isinstance(self.quantity, AgainstBenchmark)
        if two_way != isinstance(self.rate, ByDirection) or two_way != (self.is_a == "two_way"):
            raise ValueError(
                "against_benchmark, by_direction and is_a: two_way go together; state all three"
            )
        return self

    @property
    def looks_at_result(self) -> bool:
        """Whether the price depends on the level's result itself."""
        of_result = isinstance(self.rate, ByBand) and self.rate.of == "result"
        quantity = self.quantity
        distance = isinstance(quantity, AgainstBenchmark) or (
            isinstance(quantity, Shortfall | Excess) and quantity.metric is None
        )
        return of_result or distance or isinstance(self.due, OnTrigger)
