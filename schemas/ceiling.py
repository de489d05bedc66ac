"""Ceilings on a period's credits, and what becomes of amounts too small to bother with."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import NO_OPENING, IfAbsentOpening
from schemas.base import Day, Name, Noun, Number, is_unset
from schemas.credit import AmountLimit, Limit, PercentLimit
from schemas.money import Currency
from schemas.period import PeriodLength, first_day, label_of
from schemas.period_cycle import PeriodBelongsTo, cycle_of, length_text, year_unclear

CapWindow = Literal["period", "trailing", "contract_year", "term"]
EarnedBack = Literal["still_counts", "frees_the_cap"]


HALF_OF_EACH = (
    "such a period can have half of its days on each side, so most_days leaves it open; write "
    "first_day or last_day"
)


def belongs_nowhere(length: PeriodLength, what: str) -> str:
    """Why it must be said to what a period over the end of a year or month belongs."""
    return (
        f"a {length_text(length)} can lie over the end of {what}, and it is not said in which it "
        "counts; state period_belongs_to: first_day, last_day or most_days"
    )


class Cap(Noun):
    """A ceiling on the sum of service credits and penalties, in the order stated.

    ``window``: ``period`` resets with each settlement period; ``trailing`` looks at so many
    periods that end with this one; ``contract_year`` and ``term`` run from the agreement's first
    effective date.
    """

    cap: Name
    window: CapWindow
    periods: Annotated[int, Field(ge=2, le=120)] | None = None
    limit: Limit
    levels: tuple[Name, ...] = Field(default=(), description="Empty: all levels.")
    earned_back: EarnedBack | None = Field(
        None, description="How earned-back credits count; needed where both meet in one window."
    )
    opening: Name | None = Field(
        None,
        description="Circumstance with 'charges' and 'credits' of the window's periods before the "
        "first one settled here.",
    )
    if_absent: IfAbsentOpening = Field(
        "wait",
        description="While no 'opening' is stated and the window reaches the time before. nothing: "
        "nothing was charged or credited then.",
    )

    @model_validator(mode="after")
    def _earned_back_is_said(self) -> Self:
        if self.window == "period" and (self.earned_back is not None or self.opening is not None):
            raise ValueError(
                "a cap of one period looks at no other; leave out earned_back, opening"
            )
        return self

    @model_validator(mode="after")
    def _absence_is_read(self) -> Self:
        if self.if_absent != "wait" and self.opening is None:
            raise ValueError(NO_OPENING)
        return self

    @model_validator(mode="after")
    def _trailing_length(self) -> Self:
        if (self.window == "trailing") != (self.periods is not None):
            raise ValueError("a trailing cap states 'periods', the others do not")
        return self


class OfVendor(Noun):
    """All agreements of one vendor in the programme."""

    kind: Literal["vendor"]
    vendor: Name


class OfProgramme(Noun):
    """All agreements of the programme, whoever the vendor is."""

    kind: Literal["programme"]


class OfAgreements(Noun):
    """These agreements, in this order."""

    kind: Literal["agreements"]
    agreements: Annotated[tuple[Name, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        doubles = sorted({name for name in self.agreements if self.agreements.count(name) > 1})
        if doubles:
            raise ValueError(f"agreement {doubles[0]} is named twice; keep one")
        return self


class SharedCap(Noun):
    """A ceiling on the service credits and penalties of several agreements together.

    It cuts after the agreements' own caps, in the step ``caps`` of each; several of them cut in the
    order stated. All agreements under it settle in periods of ``settled`` and in ``currency``.
    What each agreement owes is compared in whole minor units, rounded as that agreement rounds
    money, and what the cap leaves is given out in whole minor units, so that the rounded
    sum never exceeds it. A limit that is a share of charges adds up the charges of every
    agreement's base of that name.
    """

    cap: Name
    over: Annotated[OfVendor | OfProgramme | OfAgreements, Field(discriminator="kind")]
    settled: PeriodLength
    currency: Currency
    window: CapWindow
    periods: Annotated[int, Field(ge=2, le=120)] | None = None
    begins: Day | None = Field(
        None, description="First day of the first contract year, or of the term."
    )
    period_belongs_to: PeriodBelongsTo | None = Field(
        None,
        exclude_if=is_unset,
        description="With weeks: the contract year that one over its end counts in, by its first "
        "day, its last day or most of its days.",
    )
    limit: Annotated[AmountLimit | PercentLimit, Field(discriminator="kind")]
    split: Literal["in_proportion", "in_order"] = Field(
        description="in_proportion: every agreement is cut by the same share. in_order: the "
        "agreements are served as they are listed, the later ones with what is left."
    )
    earned_back: EarnedBack | None = Field(
        None, description="How earned-back credits count; needed where both meet in one window."
    )
    opening: Name | None = Field(
        None,
        description="Circumstance with 'charges' and 'credits' of the window's periods before the "
        "first one settled here, stated for any of the agreements; what they state is added up.",
    )
    if_absent: IfAbsentOpening = Field(
        "wait",
        description="While no 'opening' is stated and the window reaches the time before. nothing: "
        "nothing was charged or credited then.",
    )

    @model_validator(mode="after")
    def _window_is_whole(self) -> Self:
        if self.window == "period" and (self.earned_back is not None or self.opening is not None):
            raise ValueError(
                "a cap of one period looks at no other; leave out earned_back, opening"
            )
        if (self.window == "trailing") != (self.periods is not None):
            raise ValueError("a trailing cap states 'periods', the others do not")
        if (self.window in ("contract_year", "term")) != (self.begins is not None):
            raise ValueError(
                "a shared cap over contract years or a term states 'begins', the others do not"
            )
        if self.begins is not None:
            opens = first_day(label_of(self.begins, self.settled))
            if opens != self.begins:
                length = length_text(self.settled)
                raise ValueError(
                    f"begins {self.begins} lies inside a {length}; write the first day of "
                    f"one, such as {opens}"
                )
        return self

    @model_validator(mode="after")
    def _years_take_whole_periods(self) -> Self:
        unclear = self.window == "contract_year" and year_unclear(self.settled)
        if unclear and self.period_belongs_to is None:
            raise ValueError(belongs_nowhere(self.settled, "a contract year"))
        if not unclear and self.period_belongs_to is not None:
            raise ValueError(
                "no period lies in two contract years here; leave period_belongs_to out"
            )
        if self.period_belongs_to == "most_days" and cycle_of(self.settled).days != 7:
            raise ValueError(HALF_OF_EACH)
        return self

    @model_validator(mode="after")
    def _absence_is_read(self) -> Self:
        if self.if_absent != "wait" and self.opening is None:
            raise ValueError(NO_OPENING)
        return self

    @model_validator(mode="after")
    def _in_its_own_currency(self) -> Self:
        if isinstance(self.limit, AmountLimit) and self.limit.currency is not None:
            raise ValueError(
                f"a shared cap is stated in its own currency, {self.currency}; leave out the "
                "limit's currency"
            )
        return self

    @model_validator(mode="after")
    def _order_is_stated(self) -> Self:
        if self.split == "in_order" and not isinstance(self.over, OfAgreements):
            raise ValueError(
                "split in_order needs an order; list the agreements, or split in_proportion"
            )
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
