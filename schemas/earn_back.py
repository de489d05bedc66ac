"""How credits are earned back, and how good performance is banked against later credits."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import NO_OPENING, IfAbsentOpening
from schemas.bands import Threshold
from schemas.base import Name, Noun, Number


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


class Deferral(Noun):
    """A period's credit is not payable yet: good results in the periods after it undo it.

    The first period that breaks the run makes it payable, in that period. ``at_end``: what becomes
    of it when the agreement ends before.
    """

    kind: Literal["deferred"]
    earn_back: Name
    levels: tuple[Name, ...] = Field(default=(), description="Empty: every level with a credit.")
    periods: Annotated[int, Field(ge=1, le=60)]
    asks: Literal["met", "better"]
    barred_below_minimum: bool = Field(description="Payable at once below the minimum level.")
    no_data: Literal["breaks_the_run", "is_passed_over"]
    at_end: Literal["payable", "dropped"]


EarnBack = Annotated[EarnBackAfterRun | EarnBackByYear | Deferral, Field(discriminator="kind")]


class Bank(Noun):
    """Good performance put by: a balance that is set off against later credits, oldest first.

    It is filled by credits that are ``banked`` and by the circumstance ``opening``, an amount in
    main units; it pays for the credits of ``pays_for``.
    """

    bank: Name
    pays_for: tuple[Name, ...] = Field(default=(), description="Levels. Empty: all.")
    usable: Literal["same_period", "next_period"]
    lasts: Annotated[int, Field(ge=1, le=120)] | None = Field(
        None, description="Periods that it can be used in. Absent: until the agreement ends."
    )
    opening: Name | None = None
    if_absent: IfAbsentOpening = Field(
        "wait",
        description="While no 'opening' is stated and there are credits that it could pay for. "
        "nothing: nothing was brought along.",
    )

    @model_validator(mode="after")
    def _absence_is_read(self) -> Self:
        if self.if_absent != "wait" and self.opening is None:
            raise ValueError(NO_OPENING)
        return self
