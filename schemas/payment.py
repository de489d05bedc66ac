"""How what is owed is paid: fees, deposits, invoices, cash, carry and lapse."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.base import Name, Noun, Number


class IncentiveFee(Noun):
    """A fee that shares the difference between actual and target cost.

    ``fee = target_fee - share % x (actual - target_cost)``, then raised to ``at_least`` and lowered
    to ``at_most``. The vendor's share can differ over and under the target. The actual cost is a
    charge.
    """

    fee: Name
    cost: Name = Field(description="The base that states the actual cost.")
    target_cost: Number
    target_fee: Number
    share_of_overrun: Annotated[Number, Field(ge=0, le=100)] = Field(description="In percent.")
    share_of_underrun: Annotated[Number, Field(ge=0, le=100)] = Field(description="In percent.")
    at_least: Number | None
    at_most: Number | None

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:  # type: ignore[operator]
            raise ValueError("the fee's at_least is above its at_most; swap them")
        return self


class Payable(Noun):
    """What is paid for the period: so many percent of a charge, less what the statement comes to.

    Without a base: what the statement comes to alone, such as a fee by result.
    """

    base: Name | None
    percent: Annotated[Number, Field(ge=0)]
    at_least_zero: bool


class Deposit(Noun):
    """A deposit for deductions that come one period late, taken in the last period but one.

    It is the mean of the deductions of that period and those before it, ``periods`` in all, and is
    given back in the last period.
    """

    periods: Annotated[int, Field(ge=1, le=60)]


class InCash(Noun):
    """What an invoice cannot take is paid in cash, so many days after the invoice's date."""

    kind: Literal["cash"]
    within_days: Annotated[int, Field(ge=0, le=3660)]


class Lapses(Noun):
    """What an invoice cannot take lapses."""

    kind: Literal["lapses"]


class Carried(Noun):
    """What an invoice cannot take is carried to the next one.

    ``at_end``: what becomes of the rest with the last period's invoice.
    """

    kind: Literal["carried"]
    at_end: Literal["lapses", "cash"]
    cash_within_days: Annotated[int, Field(ge=0, le=3660)] | None = None

    @model_validator(mode="after")
    def _days_for_cash(self) -> Self:
        if (self.at_end == "cash") != (self.cash_within_days is not None):
            raise ValueError("at_end: cash needs cash_within_days, lapses has none")
        return self


class Invoicing(Noun):
    """What a period comes to is deducted from an invoice, which is never below zero.

    The circumstance ``invoice`` of a period states ``date`` and ``charges`` (main units), and
    ``currency`` where it is not the agreement's own.
    ``deducted_from``: the invoice of the period itself or of the next. The last period's credit has
    no later invoice: ``rest`` says at its ``at_end`` what becomes of it, where it is carried, else
    ``at_end`` here.
    """

    invoice: Name
    if_absent: Literal["wait", "carried"] = Field(
        "wait", description="Where the invoice is not stated. carried: all goes to the next one."
    )
    deducted_from: Literal["same_period", "next_period"]
    at_end: Literal["lapses", "cash"] | None = Field(
        None,
        description="What becomes of the last period's credit, which no later invoice takes. "
        "Stated where it is deducted from the next period's invoice, and what that cannot take is "
        "not carried.",
    )
    cash_within_days: Annotated[int, Field(ge=0, le=3660)] | None = None
    rest: Annotated[InCash | Lapses | Carried, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _the_end_is_stated(self) -> Self:
        needed = self.deducted_from == "next_period" and not isinstance(self.rest, Carried)
        if needed and self.at_end is None:
            raise ValueError(
                "the last period's credit has no next invoice; state at_end: lapses, or at_end: "
                "cash with cash_within_days"
            )
        if not needed and self.at_end is not None:
            raise ValueError(
                "at_end is stated where credit is deducted_from next_period and its rest is not "
                "carried; leave it out, or state it in rest"
            )
        if (self.at_end == "cash") != (self.cash_within_days is not None):
            raise ValueError("at_end: cash needs cash_within_days, lapses has none")
        return self
