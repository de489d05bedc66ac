"""Figures made of others: products, overlap in time, weighted and plain means, ends, sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import CountsAs, NothingToCount
from schemas.base import Name, Noun, Number, is_unset

if TYPE_CHECKING:
    from schemas.programme import Metric


class Composite(Noun):
    """A figure made of those of other metrics, its parts."""

    parts: Annotated[
        tuple[Name, ...],
        Field(min_length=1, description="Metrics of the programme, in its unit."),
    ]


class Product(Composite):
    """A figure made of other metrics' percentages: parts in series or in parallel."""

    kind: Literal["series", "parallel"]
    parts: Annotated[
        tuple[Name, ...], Field(min_length=1, description="Metrics of the programme, in percent.")
    ]


class _OfSeveral(Composite):
    """What is made of two parts or more, each of them once."""

    @model_validator(mode="after")
    def _of_several_parts(self) -> Self:
        doubles = sorted({name for name in self.parts if self.parts.count(name) > 1})
        if doubles:
            raise ValueError(f"{doubles[0]} is a part twice; name it once")
        if len(self.parts) < 2:
            raise ValueError("it is made of one part only; name the others, or measure that one")
        return self


class Overlap(_OfSeveral):
    """Share of the time in which no more than so many parts were down at once, in percent.

    Parts are metrics of `availability_by_outages`; what counts is when they were down, not how
    long.
    """

    kind: Literal["overlap"]
    down_at_once: Literal["all"] | Annotated[int, Field(ge=1)] = Field(
        description="How many parts must be down at once for the whole to be down: all, or so many."
    )

    @model_validator(mode="after")
    def _so_many_there_are(self) -> Self:
        if self.needed > len(self.parts):
            raise ValueError(
                f"{self.needed} parts can never be down at once, there are {len(self.parts)}; "
                "write all, or a smaller number"
            )
        return self

    @property
    def needed(self) -> int:
        """How many parts must be down."""
        return len(self.parts) if self.down_at_once == "all" else self.down_at_once


class Weighted(_OfSeveral):
    """Mean of the parts' figures, each with its weight.

    ``counted``: each weighs as much as it was counted from: requests, probes, tickets, values, or
    the time that was observed. A part with nothing counted then weighs nothing.
    """

    kind: Literal["weighted"]
    weights: Literal["counted"] | tuple[Annotated[Number, Field(gt=0)], ...] = Field(
        description="One for each part, in order; or counted."
    )
    nothing_to_count: NothingToCount | None = Field(
        None,
        exclude_if=is_unset,
        description="With counted, of a window in which no part counted anything. no_data: as if "
        "nothing had been reported. no_result: the period has no result. counts_as: the figure is "
        "N.",
    )

    @model_validator(mode="after")
    def _each_part_has_a_weight(self) -> Self:
        if self.weights == "counted":
            if self.nothing_to_count is None:
                raise ValueError(
                    "parts may all have counted nothing; state nothing_to_count: no_data, "
                    "no_result or counts_as"
                )
            return self
        if len(self.weights) != len(self.parts):
            raise ValueError(
                f"there are {len(self.weights)} weights for {len(self.parts)} parts; give one for "
                "each part, in order"
            )
        if self.nothing_to_count is not None:
            raise ValueError(
                "stated weights are never nothing; leave nothing_to_count out, the level's no_data "
                "says what a missing figure is"
            )
        return self


class OfParts(_OfSeveral):
    """The worst, the best, the plain mean, the sum or the difference of the parts' figures.

    ``worst`` and ``best`` go by the metric's ``better``. ``difference``: the first part less the
    second one.
    """

    kind: Literal["worst", "best", "mean_of_parts", "sum_of_parts", "difference"]

    @model_validator(mode="after")
    def _difference_of_two(self) -> Self:
        if self.kind == "difference" and len(self.parts) != 2:
            raise ValueError(
                f"a difference is of two parts, not of {len(self.parts)}; name the one from which "
                "is taken, then the one that is taken from it"
            )
        return self


_COUNTED = (
    "availability_by_samples", "availability_by_status", "availability_by_outages", "ratio", "mean",
    "within_limit", "tickets_in_time",
)  # fmt: skip
"""Measures that say what they were counted from."""


def check_parts(metric: Metric, parts: Sequence[Metric]) -> None:
    """Raise ValueError where the parts of a composite cannot be put together as it says."""
    measure = metric.measure
    if isinstance(measure, Product) or not isinstance(measure, Composite):
        return
    for part in parts:
        if part.figure_unit != metric.unit:
            raise ValueError(
                f"metric {metric.metric} is in {metric.unit} and its part {part.metric} in "
                f"{part.figure_unit}; make it of parts in one unit"
            )
        if isinstance(measure, Weighted) and measure.weights == "counted":
            _says_what_it_counted(metric, part)
        if isinstance(measure, Overlap):
            _is_down_at_known_times(metric, part)
    if (
        isinstance(measure, Overlap)
        and len({(one.business_hours, one.exclusions) for one in parts}) > 1
    ):
        raise ValueError(
            f"the parts of metric {metric.metric} count in different business_hours, or with other "
            "exclusions; let all of them count the same time"
        )
    _points_one_way(metric, parts)


def _says_what_it_counted(metric: Metric, part: Metric) -> None:
    if part.measure.kind not in _COUNTED:
        raise ValueError(
            f"part {part.metric} of metric {metric.metric} is {part.measure.kind}, which says no "
            f"number to weigh it by; state the weights, or make it of {', '.join(_COUNTED)}"
        )


def _is_down_at_known_times(metric: Metric, part: Metric) -> None:
    if part.measure.kind != "availability_by_outages":
        raise ValueError(
            f"part {part.metric} of metric {metric.metric} is {part.measure.kind}, which does not "
            "say when it was down; make an overlap of metrics of availability_by_outages"
        )
    if part.heartbeat is not None:
        raise ValueError(
            f"part {part.metric} of metric {metric.metric} has unknown time, in which nobody knows "
            "what was down at once; make the overlap of parts without heartbeat"
        )
    if isinstance(getattr(part.measure, "nothing_to_count", None), CountsAs):
        raise ValueError(
            f"part {part.metric} of metric {metric.metric} counts as a number where no time "
            "counts, and at no time is anything down at once; state nothing_to_count: no_data or "
            "no_result there"
        )


def _points_one_way(metric: Metric, parts: Sequence[Metric]) -> None:
    """A late event that makes a part worse must make the whole worse, and never better."""
    for place, part in enumerate(parts):
        turned = metric.measure.kind == "difference" and place == 1
        if (part.better == metric.better) == turned:
            what = "the other way round than" if turned else "as"
            raise ValueError(
                f"of part {part.metric} {part.better} is better, of metric {metric.metric} "
                f"{metric.better}; state better of it {what} of the part"
            )
