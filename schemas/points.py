"""Service points: how the points of a period become money."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.base import Name, Noun, Number
from schemas.credit import ByBand


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
