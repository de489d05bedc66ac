"""Which outages count as interruptions: from what length on, and which of them are one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.base import Noun, Number, is_unset


class Interruptions(Noun):
    """An interruption is the time in which a subject is out in one piece: its outages that overlap
    or touch, and those that are joined."""

    at_least_minutes: Annotated[Number, Field(gt=0)] | None = Field(
        None,
        exclude_if=is_unset,
        description="Shorter ones do not count, in whatever periods they lie; one of just that "
        "does. What is not over counts. Absent: all count.",
    )
    joined_within_minutes: Annotated[Number, Field(gt=0)] | None = Field(
        None,
        exclude_if=is_unset,
        description="Outages of one subject that are less than that apart are one, which is called "
        "by the name of the first and lasts until the end of the last, the time between them "
        "included. Absent: each stands alone.",
    )
    length: Literal["as_reported", "as_counted"] | None = Field(
        None,
        exclude_if=is_unset,
        description="Beside business_hours and exclusions: which time of an interruption must be "
        "that long.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.at_least_minutes is None and self.joined_within_minutes is None:
            raise ValueError(
                "interruptions say nothing; state at_least_minutes or joined_within_minutes, or "
                "leave them out"
            )
        return self
