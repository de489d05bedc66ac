"""Limits and tables with their ends stated: each value belongs to exactly one band."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from schemas.base import Noun, Number, written

RoundingMode = Literal["half_up", "half_even", "half_down", "up", "down"]


class Rounding(Noun):
    """Where a figure is rounded, and how. ``up`` is away from zero, ``down`` towards it."""

    decimals: Annotated[int, Field(ge=0, le=12)]
    mode: RoundingMode


class Threshold(Noun):
    """A limit with its tie: exactly one of the four words.

    ``at_least`` and ``at_most`` are met by the limit itself; ``above`` and ``below`` are not.
    """

    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _one_word(self) -> Self:
        said = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(
                "say the limit with exactly one of at_least, above, at_most, below, so that a "
                "value equal to it has one meaning"
            )
        return self

    @property
    def limit(self) -> Fraction:
        """The limit itself."""
        for value in (self.at_least, self.above, self.at_most, self.below):
            if value is not None:
                return value
        raise AssertionError("a threshold has one limit")

    @property
    def higher_is_met(self) -> bool:
        """Whether values beyond the limit upwards meet it."""
        return self.at_least is not None or self.above is not None

    def met_by(self, value: Fraction) -> bool:
        """Whether a value meets the limit; the tie is decided by the word used."""
        if self.at_least is not None:
            return value >= self.at_least
        if self.above is not None:
            return value > self.above
        if self.at_most is not None:
            return value <= self.at_most
        assert self.below is not None
        return value < self.below

    def text(self) -> str:
        """The limit in words: ``at least 99.9``."""
        for name in ("at_least", "above", "at_most", "below"):
            value = getattr(self, name)
            if value is not None:
                return f"{name.replace('_', ' ')} {written(value)}"
        raise AssertionError("a threshold has one limit")


class Band(Noun):
    """One row of a table: from where, to where, and what it gives."""

    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None
    gives: Number
    name: str | None = Field(None, description="Severity or row name, for people.")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.at_least is not None and self.above is not None:
            raise ValueError("a band has one lower end; write at_least or above, not both")
        if self.at_most is not None and self.below is not None:
            raise ValueError("a band has one upper end; write at_most or below, not both")
        lower, upper = self.lower, self.upper
        if lower is not None and upper is not None:
            empty = lower.value > upper.value or (
                lower.value == upper.value and not (lower.closed and upper.closed)
            )
            if empty:
                raise ValueError(f"the band {self.text()} holds no value; swap or correct its ends")
        return self

    @property
    def lower(self) -> End | None:
        """The lower end, or None where the band is open downwards."""
        if self.at_least is not None:
            return End(self.at_least, True)
        return None if self.above is None else End(self.above, False)

    @property
    def upper(self) -> End | None:
        """The upper end, or None where the band is open upwards."""
        if self.at_most is not None:
            return End(self.at_most, True)
        return None if self.below is None else End(self.below, False)

    def holds(self, value: Fraction) -> bool:
        """Whether the value lies inside the band."""
        lower, upper = self.lower, self.upper
        if lower is not None and (
            value < lower.value or (value == lower.value and not lower.closed)
        ):
            return False
        return not (
            upper is not None
            and (value > upper.value or (value == upper.value and not upper.closed))
        )

    def text(self) -> str:
        """The band in words: ``at least 98, below 99``."""
        words = [
            f"{name.replace('_', ' ')} {written(getattr(self, name))}"
            for name in ("at_least", "above", "below", "at_most")
            if getattr(self, name) is not None
        ]
        return ", ".join(words) or "every value"


class End(NamedTuple):
    """One end of a band; closed when the value itself belongs to the band."""

    value: Fraction
    closed: bool


class BandTable(Noun):
    """Bands that together hold every value exactly once.

    ``otherwise``: what a value below the lowest or above the highest band gives. It never fills a
    hole between bands. Without it the outermost bands must be open, or end at ``domain``.
    ``rounded``: values are rounded before they are looked up; printed tables such as 90-94.99 and
    95-100 are complete only then.
    """

    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    otherwise: Number | None = None
    rounded: Rounding | None = None
    domain: tuple[Number, Number] | None = Field(
        None, description="Smallest and largest possible value, such as [0, 100] for percentages."
    )

    @model_validator(mode="after")
    def _every_value_once(self) -> Self:
        ordered = self.ordered()
        inside = [_between(low, high, self.rounded) for low, high in pairwise(ordered)]
        outside = [
            None if self.otherwise is not None else self._outside(end, side, index)
            for end, side, index in (
                (ordered[0].lower, "below", 0),
                (ordered[-1].upper, "above", 1),
            )
        ]
        said = [reason for reason in (*inside, *outside) if reason is not None]
        if said:
            raise ValueError(f"{', and '.join(said)}; {_remedy(inside, outside)}")
        return self

    def ordered(self) -> list[Band]:
        """The bands from lowest to highest."""
        return sorted(
            self.bands,
            key=lambda band: (
                (0, Fraction(0), 0)
                if band.lower is None
                else (1, band.lower.value, 0 if band.lower.closed else 1)
            ),
        )

    def _outside(self, end: End | None, side: str, index: int) -> str | None:
        """What is wrong with an outermost end, or None."""
        if end is None:
            return None
        if self.domain is not None and end.closed and end.value == self.domain[index]:
            return None
        return f"values {side} {written(end.value)} belong to no band"

    def find(self, value: Fraction) -> Band | None:
        """The band of a value (already rounded), or None where ``otherwise`` applies."""
        return next((band for band in self.bands if band.holds(value)), None)


def _remedy(inside: Sequence[str | None], outside: Sequence[str | None]) -> str:
    """What to do about values between bands, and about values outside of all."""
    found = []
    if any(inside):
        found.append(
            "let the bands meet (at_least/below), or state 'rounded' with the decimals that the "
            "table is printed in"
        )
    if any(outside):
        found.append("say with 'otherwise' or 'domain' what lies outside")
    return "; and ".join(found)


def _between(low: Band, high: Band, rounded: Rounding | None) -> str | None:
    """What is wrong between two neighbouring bands, or None."""
    upper, lower = low.upper, high.lower
    if upper is None or lower is None:
        return f"the bands '{low.text()}' and '{high.text()}' overlap"
    if upper.value > lower.value or (upper.value == lower.value and upper.closed and lower.closed):
        return (
            f"{written(lower.value)} belongs to two bands ('{low.text()}' gives "
            f"{written(low.gives)}, '{high.text()}' gives {written(high.gives)})"
        )
    if upper.value == lower.value and (upper.closed or lower.closed):
        return None
    printed = Fraction(1, 10**rounded.decimals) if rounded is not None else None
    if upper.closed and lower.closed and lower.value - upper.value == printed:
        return None
    if upper.value == lower.value:
        return f"the value {written(upper.value)} belongs to no band"
    return f"values between {written(upper.value)} and {written(lower.value)} belong to no band"
