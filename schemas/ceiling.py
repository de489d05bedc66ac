"""Ceilings on a period's credits, and what becomes of amounts too small to bother with."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.base import Name, Noun, Number
from schemas.credit import Limit


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
