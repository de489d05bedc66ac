"""How an amount of another currency becomes one of the agreement's: whose rate, of which day."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.bands import Rounding
from schemas.base import Name, Noun, Number, Text
from schemas.money import Currency


class EarlierRate(Noun):
    """Where the day has no rate, the last one of so many days before it counts."""

    previous_within_days: Annotated[int, Field(ge=1, le=31)]


class _ConversionRule(Noun):
    """What every rule states. Each converted amount is rounded by itself, or carried on exactly.

    ``exact`` is for products. A quotient seldom ends, so its decimals are agreed.
    """

    currency: Currency = Field(description="The other currency.")
    quoted: Literal["own_for_foreign", "foreign_for_own"] = Field(
        description="own_for_foreign: the rate is how much of the agreement's own currency is paid "
        "for a unit of the other. foreign_for_own: how much of the other for a unit of its own."
    )
    for_units: Literal[1, 10, 100, 1000] = Field(
        1, description="How many units the rate is for, as where it is quoted for 100 yen."
    )
    source: Text = Field(description="Who publishes the rate, or where it was agreed.")
    rounded: Literal["exact"] | Rounding

    @model_validator(mode="after")
    def _quotient_is_rounded(self) -> Self:
        if self.quoted == "foreign_for_own" and self.rounded == "exact":
            raise ValueError(
                "an amount divided by a rate seldom ends; state 'rounded' with decimals and mode"
            )
        return self


class AgreedRate(_ConversionRule):
    """One rate that the agreement itself states."""

    kind: Literal["agreed"]
    rate: Annotated[Number, Field(gt=0)]


class RateOfDay(_ConversionRule):
    """The rate published for a day, which the circumstance states as its ``value``.

    The day is the circumstance's period, or its value ``on``. ``period_start``, ``period_end``: the
    first or last day of the settlement period that the amount belongs to. ``invoice_date``: the
    day that the charge states as ``dated``.
    """

    kind: Literal["of_day"]
    circumstance: Name
    day: Literal["period_start", "period_end", "invoice_date"]
    no_rate: Literal["wait"] | EarlierRate


class RateOfPeriod(_ConversionRule):
    """The rate published for a whole settlement period, such as a month's mean.

    The circumstance of that period states it as its ``value``.
    """

    kind: Literal["of_period"]
    circumstance: Name


Conversion = Annotated[AgreedRate | RateOfDay | RateOfPeriod, Field(discriminator="kind")]
