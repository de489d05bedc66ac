"""Slices of the clock: pieces of a few minutes that are bad as one, or not at all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Noun, Number


class Slices(Noun):
    """How time is cut into slices from each full hour on, and which of them are down."""

    minutes: Literal[1, 5, 10, 15] = Field(description="How long a slice is.")
    bad_at_percent: Annotated[Number, Field(gt=0, le=100)] = Field(
        description="A slice is bad where at least so much of it is out; 100: all of it."
    )
    in_a_row: Annotated[int, Field(ge=1, le=1440)] = Field(
        description="So many bad slices in a row, or more, are downtime, in whatever periods they "
        "lie; fewer are none."
    )
