"""Business hours: when a clock runs, and when the time of a service counts."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Day, Noun, TimeZone

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WallClock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class Opening(Noun):
    """Hours of a day, on the wall clock: ``[opens, closes)``. ``24:00`` is the day's end."""

    days: Annotated[
        tuple[Weekday, ...], Field(min_length=1, description="The weekdays that it holds for.")
    ]
    opens: WallClock = Field(description="From this time on.")
    closes: WallClock = Field(description="Up to this time, which is outside.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("the opening closes before it opens; split it at 24:00")
        return self


class BusinessHours(Noun):
    """When a clock runs, or time counts. Openings of one weekday must not overlap."""

    time_zone: TimeZone = Field(description="IANA zone of the wall clock.")
    hours: Annotated[
        tuple[Opening, ...], Field(min_length=1, description="When the clock runs, or time counts.")
    ]
    holidays: tuple[Day, ...] = Field(
        default=(), description="Days on which the clock stands, or no time counts."
    )

    @model_validator(mode="after")
    def _without_overlap(self) -> Self:
        for weekday in get_args(Weekday):
            spans = sorted((each.opens, each.closes) for each in self.hours if weekday in each.days)
            for (_, closes), (opens, _) in pairwise(spans):
                if opens < closes:
                    raise ValueError(f"two openings overlap on {weekday}; join them into one")
        return self
