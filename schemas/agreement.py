"""The agreement: what one vendor owes one buyer, as terms that say every convention out loud.

An agreement is one version of one contract. Versions are effective-dated, begin with a settlement
period, and never change once applied.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.bands import Rounding, RoundingMode, Threshold
from schemas.base import Name, Noun, Number, Text
from schemas.credit import AtRiskShare, ByBand, Credit, Limit
from schemas.event import Subject
from schemas.money import Currency
from schemas.period import PeriodLength, first_day, label_of

AgreementType = Literal[
    "service", "customer", "corporate", "ola", "underpinning", "commitment", "target"
]
Percent = Annotated[Number, Field(ge=0)]


class Conventions(Noun):
    """What contracts leave open and money depends on. None of it has a default."""

    money_rounding: RoundingMode
    rounded_at: Literal["total", "line"] = Field(
        description="total: the period's sum is rounded once and lines share it by largest "
        "remainder. line: every line is rounded, then added."
    )


class Base(Noun):
    """A charge that percentages are taken of.

    ``of_period`` ``next``: the charge of the period after the failing one is the base.
    """

    base: Name
    of_period: Literal["same", "next"]
    if_missing: Literal["wait", "zero"] = Field(
        description="wait: the period is not settled until the charge is known."
    )
    per_subject: bool = Field(False, description="The charge of the level's own subject.")
    part_of_period: Literal["full_charge", "by_days_in_use"] = Field(
        description="by_days_in_use: the circumstance 'service_in_use' states days_in_use and "
        "days_in_period; cancelled: true makes the base zero."
    )


class AtRisk(Noun):
    """The most that can be lost in a period, as a share of a charge. There can be several."""

    at_risk: Name
    percent: Percent
    base: Name


class Category(Noun):
    """A pool of levels whose allocations are held to a total."""

    category: Name
    allocations_total: Literal["at_most", "exactly"]
    percent: Percent = Field(description="The total, in percent.")


class Misses(Noun):
    """Which misses count as a service level default.

    Below the minimum at once; below the expected level from the n-th miss within the window that
    ends with the period.
    """

    kind: Literal["misses_in_window"]
    misses: Annotated[int, Field(ge=1, le=120)]
    of_last: Annotated[int, Field(ge=1, le=120)]
    below_minimum_counts: bool = Field(
        description="Whether a period below the minimum also counts towards the misses."
    )


class EveryMiss(Noun):
    """Every miss of the expected level is a default."""

    kind: Literal["every_miss"]


class BelowMinimumOnly(Noun):
    """Only a result below the minimum level is a default."""

    kind: Literal["below_minimum"]


class NeverDefaults(Noun):
    """A key measurement: reported, never a default."""

    kind: Literal["never"]


Defaults = Annotated[
    EveryMiss | BelowMinimumOnly | Misses | NeverDefaults, Field(discriminator="kind")
]


class LowVolume(Noun):
    """So few events that one alone would miss the level: a bad one is left out of both counts."""

    below_total: Annotated[int, Field(ge=1)]
    left_out: Annotated[int, Field(ge=1)]


class Averaged(Noun):
    """The result is the plain mean with earlier periods."""

    periods: Annotated[int, Field(ge=2, le=60)] = Field(description="This one included.")
    missing_period: Literal["use_what_is_there", "no_result"]


class CountsAs(Noun):
    """A period without data is judged as if this were its result."""

    counts_as: Number


class Level(Noun):
    """One service level: what is promised about one metric, and what follows from missing it."""

    level: Name
    name: Text
    metric: Name
    subject: Subject | None = Field(None, description="One subject of the metric. Absent: all.")
    each_subject: bool = Field(
        False, description="Judged and priced for every subject of the metric on its own."
    )
    measured: PeriodLength | None = Field(
        None, description="Measurement period. Absent: the settlement period."
    )
    expected: Threshold | None = Field(None, description="Absent: priced by its table alone.")
    minimum: Threshold | None = None
    judged: Literal["exact"] | Rounding = Field(
        description="exact, or the decimals and mode by which the result is rounded first."
    )
    averaged: Averaged | None = None
    low_volume: LowVolume | None = None
    no_data: Literal["miss", "met", "no_result"] | CountsAs = Field(
        description="miss: below the expected level, never below the minimum."
    )
    defaults: Defaults
    credits: tuple[Credit, ...] = ()

    @model_validator(mode="after")
    def _no_data_has_one_price(self) -> Self:
        if self.subject is not None and self.each_subject:
            raise ValueError("state one subject or each_subject, not both")
        if self.no_data != "miss":
            return self
        decides = isinstance(self.defaults, BelowMinimumOnly | Misses)
        if decides or any(credit.looks_at_result for credit in self.credits):
            raise ValueError(
                "no_data: miss leaves open which result a missing one counts as, and the minimum "
                "level or a price depends on it; write no_data with counts_as, such as 0"
            )
        return self

    @model_validator(mode="after")
    def _same_direction(self) -> Self:
        if self.minimum is None:
            if isinstance(self.defaults, BelowMinimumOnly | Misses):
                raise ValueError(
                    f"defaults: {self.defaults.kind} needs a minimum level; state 'minimum'"
                )
            return self
        if self.expected is None:
            raise ValueError("a minimum level needs an expected level beside it")
        if self.expected.higher_is_met != self.minimum.higher_is_met:
            raise ValueError("expected and minimum point in different directions")
        return self


class PercentPerPoint(Noun):
    """Each point is worth so many percentage points of a charge."""

    kind: Literal["percent_per_point"]
    percent: Number
    base: Name


class PointTable(Noun):
    """The period's sum of points is looked up in a table."""

    kind: Literal["point_table"]
    table: ByBand


class PointBand(Noun):
    """One marginal band: the points above ``above`` up to ``up_to`` count at ``factor``."""

    above: Annotated[Number, Field(ge=0)]
    up_to: Number | None = None
    factor: Number


class MarginalPoints(Noun):
    """Points cost their value times the factor of the band they fall in; each band on its own."""

    kind: Literal["marginal_bands"]
    point_value: Number = Field(description="In main units of the currency.")
    per: Literal["agreement", "subject"]
    bands: Annotated[tuple[PointBand, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _bands_meet(self) -> Self:
        for low, high in pairwise(self.bands):
            if low.up_to is None or low.up_to != high.above:
                raise ValueError(
                    "the bands of points must meet: each begins 'above' where the one before "
                    "ends ('up_to')"
                )
        if self.bands[-1].up_to is not None:
            raise ValueError("the last band of points is open: leave out its up_to")
        return self


Points = Annotated[PercentPerPoint | PointTable | MarginalPoints, Field(discriminator="kind")]


class Cap(Noun):
    """A ceiling on the sum of service credits and penalties, in the order stated.

    ``window``: ``period`` resets with each settlement period; ``trailing`` looks at so many
    periods that end with this one; ``contract_year`` and ``term`` run from the agreement's first
    effective date.
    """

    cap: Name
    window: Literal["period", "trailing", "contract_year", "term"]
    periods: Annotated[int, Field(ge=2, le=120)] | None = None
    limit: Limit
    levels: tuple[Name, ...] = Field(default=(), description="Empty: all levels.")
    earned_back: Literal["still_counts", "frees_the_cap"] | None = Field(
        None, description="How earned-back credits count; needed where both meet in one window."
    )
    opening: Name | None = Field(
        None,
        description="Circumstance with 'charges' and 'credits' of the window's periods before the "
        "first one settled here.",
    )

    @model_validator(mode="after")
    def _earned_back_is_said(self) -> Self:
        if self.window == "period" and (self.earned_back is not None or self.opening is not None):
            raise ValueError(
                "a cap of one period looks at no other; leave out earned_back, opening"
            )
        return self

    @model_validator(mode="after")
    def _trailing_length(self) -> Self:
        if (self.window == "trailing") != (self.periods is not None):
            raise ValueError("a trailing cap states 'periods', the others do not")
        return self


class DropSmall(Noun):
    """A total credit that is not above the amount is dropped."""

    kind: Literal["drop"]
    only_above: Number
    compared: Literal["exact", "rounded"] = Field(
        description="rounded: the total is first rounded as money is."
    )


class RaiseSmall(Noun):
    """A total credit above zero but under the amount is raised to it."""

    kind: Literal["raise_to"]
    amount: Number
    compared: Literal["exact", "rounded"]


SmallAmounts = Annotated[DropSmall | RaiseSmall, Field(discriminator="kind")]


class EarnBackAfterRun(Noun):
    """A period's credit is earned back by good results in each of the periods directly after it.

    It falls into the last of these periods. ``better`` asks for more than the expected level;
    ``met`` is content with it; ``no_credit`` asks for periods in which no credit is due at all.
    """

    kind: Literal["after_good_run"]
    earn_back: Name
    levels: tuple[Name, ...] = Field(default=(), description="Empty: every level with a credit.")
    periods: Annotated[int, Field(ge=1, le=60)]
    asks: Literal["met", "better", "no_credit"]
    percent: Annotated[Number, Field(gt=0, le=100)]
    barred_below_minimum: bool
    no_data: Literal["breaks_the_run", "is_passed_over"]
    given_as: Literal["amount", "balance"] = Field(
        description="amount: booked back at once. balance: only set off against later credits, "
        "from the period after it was earned."
    )
    lasts: Annotated[int, Field(ge=1, le=120)] | None = Field(
        None, description="Periods that a balance can be used in. Absent: until the agreement ends."
    )


class EarnBackByYear(Noun):
    """After the contract year, credits are relieved when the year's mean meets the level."""

    kind: Literal["yearly_average"]
    earn_back: Name
    levels: tuple[Name, ...] = ()
    target: Threshold | None = Field(None, description="Absent: the expected level.")
    percent: Annotated[Number, Field(gt=0, le=100)]
    barred_below_minimum: bool
    no_data: Literal["no_earn_back", "is_passed_over"]


EarnBack = Annotated[EarnBackAfterRun | EarnBackByYear, Field(discriminator="kind")]


class Claim(Noun):
    """Credits must be claimed by the end of so many months after the period, or are forfeit.

    The claim is the circumstance ``claim`` of the period; its event's time is the day it came in.
    """

    within_months: Annotated[int, Field(ge=1, le=60)]


class Termination(Noun):
    """A right to end the agreement, opened by results; exercised or not within its window."""

    term: Name
    level: Name
    mean_of_last: Annotated[int, Field(ge=1, le=60)] | None = None
    mean: Threshold | None = Field(None, description="The region that opens the right.")
    misses: Annotated[int, Field(ge=1, le=120)] | None = None
    of_last: Annotated[int, Field(ge=1, le=120)] | None = None
    exercise_days: Annotated[int, Field(ge=1, le=3660)] | None = None

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        by_mean = self.mean_of_last is not None and self.mean is not None
        by_misses = self.misses is not None and self.of_last is not None
        if by_mean == by_misses:
            raise ValueError("state either mean_of_last with mean, or misses with of_last")
        return self


class Clause(Noun):
    """Text that is recorded and shown, without arithmetic."""

    clause: Name
    about: Literal[
        "indemnity", "exclusion", "dispute", "review", "governing_law", "contact", "other"
    ]
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


OrderStep = Literal[
    "levels", "credits", "points", "single_event", "critical_failure", "claims", "caps",
    "small_amounts", "earn_back", "rounding",
]  # fmt: skip
DEFAULT_ORDER: tuple[OrderStep, ...] = (
    "levels", "credits", "points", "single_event", "critical_failure", "claims", "caps",
    "small_amounts", "earn_back", "rounding",
)  # fmt: skip


class Agreement(Noun):
    """One version of one agreement."""

    kind: Literal["agreement"]
    agreement: Name
    version: Annotated[int, Field(ge=1)]
    programme: Name
    type: AgreementType
    vendor: Name
    name: Text
    currency: Currency
    effective_from: date
    effective_until: date | None = Field(None, description="First day that is no longer covered.")
    settled: PeriodLength
    lateness_hours: Annotated[int, Field(ge=0, le=24 * 366)] = Field(
        description="How long after a period's end late facts still enter its first settlement."
    )
    conventions: Conventions
    bases: tuple[Base, ...] = ()
    at_risk: tuple[AtRisk, ...] = ()
    categories: tuple[Category, ...] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    points: Points | None = None
    caps: tuple[Cap, ...] = ()
    small_amounts: SmallAmounts | None = None
    earn_backs: tuple[EarnBack, ...] = ()
    claim: Claim | None = None
    terminations: tuple[Termination, ...] = ()
    clauses: tuple[Clause, ...] = ()
    order: tuple[OrderStep, ...] = DEFAULT_ORDER

    @model_validator(mode="after")
    def _begins_with_a_period(self) -> Self:
        for name in ("effective_from", "effective_until"):
            day = getattr(self, name)
            if day is not None and first_day(label_of(day, self.settled)) != day:
                raise ValueError(
                    f"{name} {day} is not the first day of a {self.settled}; a version begins and "
                    "ends with a settlement period"
                )
        return self

    @model_validator(mode="after")
    def _caps_and_earn_backs_agree(self) -> Self:
        for cap in self.caps:
            if cap.window != "period" and self.earn_backs and cap.earned_back is None:
                raise ValueError(
                    f"cap {cap.cap} looks back at credits that can be earned back; state "
                    "earned_back: still_counts or frees_the_cap"
                )
        return self

    @model_validator(mode="after")
    def _order_is_whole(self) -> Self:
        if sorted(self.order) != sorted(DEFAULT_ORDER):
            missing = sorted(set(DEFAULT_ORDER) - set(self.order))
            raise ValueError(f"order must name every step once; missing or doubled: {missing}")
        if self.order[:2] != ("levels", "credits") or self.order[-1] != "rounding":
            raise ValueError("order begins with levels, credits and ends with rounding")
        return self

    def level_named(self, name: str) -> Level | None:
        """The level of that name, or None."""
        return next((level for level in self.levels if level.level == name), None)

    def at_risk_shares(self) -> list[tuple[Level, AtRiskShare]]:
        """Every share of an amount at risk, with the level that bears it."""
        return [
            (level, credit.rate)
            for level in self.levels
            for credit in level.credits
            if isinstance(credit.rate, AtRiskShare)
        ]
