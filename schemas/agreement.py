"""The agreement: what one vendor owes one buyer, as terms that say every convention out loud.

An agreement is one version of one contract. Versions are effective-dated, begin with a settlement
period, and never change once applied.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.absence import IfAbsentNumber
from schemas.bands import RoundingMode
from schemas.base import Day, Language, Name, Noun, Number, Text, Version, is_unset
from schemas.ceiling import Cap, SmallAmounts
from schemas.conversion import Conversion
from schemas.credit import AtRiskShare
from schemas.earn_back import Bank, EarnBack
from schemas.level import Level
from schemas.money import Currency
from schemas.payment import Deposit, IncentiveFee, Invoicing, Payable
from schemas.period import PeriodLength, first_day, label_of
from schemas.period_cycle import PeriodBelongsTo, length_text
from schemas.points import Points
from schemas.remedy import (
    Claim,
    CriticalFailure,
    DisputeTerms,
    Retainage,
    SingleEvent,
    Termination,
)
from schemas.whose_word import OwnWord

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
    period_belongs_to: PeriodBelongsTo | None = Field(
        None,
        exclude_if=is_unset,
        description="The contract year, and the year and month in conditions, that a period over "
        "the end of one counts in: that of its first day, its last day or most of its days.",
    )
    days_of_month: Literal[30] | None = Field(
        None,
        exclude_if=is_unset,
        description="How many days a month has where a day's share of a charge is taken; a quarter "
        "then has 90, a year 360. Absent: those of the calendar.",
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
    longer_charge: Literal["refused", "by_days", "equal_parts"] = Field(
        description="A charge for more than a settlement period. by_days, equal_parts: it is "
        "spread over all settlement periods of its time, and the parts add up to it."
    )
    part_of_period: Literal["full_charge", "by_days_in_use"] = Field(
        description="by_days_in_use: the circumstance 'service_in_use' states days_in_use and "
        "days_in_period; cancelled: true makes the base zero."
    )
    if_absent: IfAbsentNumber = Field(
        "wait",
        description="by_days_in_use, where 'service_in_use' is not stated. counts_as: the part in "
        "use, 1 is all.",
    )

    @model_validator(mode="after")
    def _absence_is_read(self) -> Self:
        if self.if_absent != "wait" and self.part_of_period == "full_charge":
            raise ValueError(
                "if_absent speaks of 'service_in_use', which full_charge does not read; leave it "
                "out, or write by_days_in_use"
            )
        return self


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


class Reweighting(Noun):
    """How a later version may change the shares of the amounts at risk between levels.

    A change is any share that differs from the version before; a level that comes with a share,
    goes with one or gets its first one changes the shares as well.
    """

    per_calendar_year: Annotated[int, Field(ge=0, le=12)] = Field(
        description="How many versions that begin in one calendar year may change shares."
    )
    notice_months: Annotated[int, Field(ge=0, le=60)] = Field(
        description="Whole months from the version's 'notified_on' to its first day, at least."
    )


class Clause(Noun):
    """Text that is recorded and shown, without arithmetic."""

    clause: Name
    about: Literal[
        "indemnity", "exclusion", "dispute", "review", "governing_law", "contact", "other"
    ]
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class Inheritance(Noun):
    """The framework whose terms hold here too. A term stated here under the same name wins."""

    agreement: Name
    version: Version
    without_levels: tuple[Name, ...] = Field(
        default=(), description="Levels of the framework that are not taken over."
    )


class Origin(Noun):
    """A term that was taken over, as ``section.name``, and the agreement that states it."""

    term: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[A-Za-z0-9._-]+)?$")]
    agreement: Name
    version: Version


class Underpins(Noun):
    """A level of this agreement that another agreement's level stands on."""

    level: Name = Field(description="A level of this agreement.")
    agreement: Name = Field(description="The agreement that depends on it.")
    their_level: Name = Field(description="The level of that agreement.")


OrderStep = Literal[
    "levels", "credits", "points", "single_event", "critical_failure", "claims", "caps",
    "small_amounts", "earn_back", "fees", "deposit", "rounding",
]  # fmt: skip
DEFAULT_ORDER: tuple[OrderStep, ...] = (
    "levels", "credits", "points", "single_event", "critical_failure", "claims", "caps",
    "small_amounts", "earn_back", "fees", "deposit", "rounding",
)  # fmt: skip


class Agreement(Noun):
    """One version of one agreement."""

    kind: Literal["agreement"]
    language: Language
    agreement: Name
    version: Version
    programme: Name
    type: AgreementType
    vendor: Name
    name: Text
    currency: Currency
    effective_from: Day
    effective_until: Day | None = Field(None, description="First day that is no longer covered.")
    notified_on: Day | None = Field(
        None, description="The day on which this version was notified to the other party."
    )
    settled: PeriodLength = Field(
        description="Length of its periods: day, week (from Monday), month, quarter, half_year "
        "or year; or one from another day, such as month_from_15."
    )
    lateness_hours: Annotated[int, Field(ge=0, le=24 * 366)] = Field(
        description="How long after a period's end late facts still enter its first settlement."
    )
    conventions: Conventions
    whose_word: tuple[OwnWord, ...] = Field(
        default=(),
        description="Charges and circumstances for which another party's word counts than the "
        "programme says.",
    )
    conversions: tuple[Conversion, ...] = Field(
        default=(), description="One for each other currency in which amounts may be stated."
    )
    bases: tuple[Base, ...] = ()
    at_risk: tuple[AtRisk, ...] = ()
    categories: tuple[Category, ...] = ()
    reweighting: Reweighting | None = Field(
        None, description="Binds the next version. None: shares may be changed at any time."
    )
    levels: tuple[Level, ...] = Field(
        description="At least one; none only in a framework, or where they are inherited."
    )
    points: Points | None = None
    single_event: SingleEvent | None = None
    critical_failure: CriticalFailure | None = None
    retainages: tuple[Retainage, ...] = ()
    caps: tuple[Cap, ...] = ()
    small_amounts: SmallAmounts | None = None
    earn_backs: tuple[EarnBack, ...] = ()
    banks: tuple[Bank, ...] = ()
    fees: tuple[IncentiveFee, ...] = ()
    deposit: Deposit | None = None
    payable: Payable | None = None
    invoicing: Invoicing | None = None
    claim: Claim | None = None
    disputes: DisputeTerms | None = None
    terminations: tuple[Termination, ...] = ()
    clauses: tuple[Clause, ...] = ()
    order: tuple[OrderStep, ...] = DEFAULT_ORDER
    framework: bool = Field(
        False, description="Others inherit its terms; it is never settled itself."
    )
    inherits: Inheritance | None = None
    origins: tuple[Origin, ...] = Field(
        default=(), description="Where inherited terms come from. Filled in when files are read."
    )
    underpins: tuple[Underpins, ...] = ()

    @model_validator(mode="after")
    def _has_a_level(self) -> Self:
        if not self.levels and not self.framework and (self.inherits is None or self.origins):
            raise ValueError("the agreement has no level; state at least one in 'levels'")
        return self

    @model_validator(mode="after")
    def _begins_with_a_period(self) -> Self:
        for name in ("effective_from", "effective_until"):
            day = getattr(self, name)
            if day is not None and first_day(label_of(day, self.settled)) != day:
                length = length_text(self.settled)
                raise ValueError(
                    f"{name} {day} is not the first day of a {length}; a version begins and "
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

    def shares(self) -> dict[tuple[str, str | None, str], tuple[Number, ...]]:
        """Every share given, by level, credit and amount at risk. What has none is left out."""
        return {
            (level.level, credit.name, credit.rate.at_risk): credit.rate.shares
            for level in self.levels
            for credit in level.credits
            if isinstance(credit.rate, AtRiskShare) and not credit.rate.unallocated
        }
