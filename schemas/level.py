"""A service level: what is promised about one metric, how it is judged, what follows from it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import CountsAs, IfAbsentYesNo
from schemas.bands import Rounding, Threshold
from schemas.base import Name, Noun, Number, Text
from schemas.credit import Credit
from schemas.event import Subject
from schemas.period import PeriodLength


class Misses(Noun):
    """Which misses count as a service level default.

    Below the minimum at once; below the expected level from the n-th miss within the window that
    ends with the period.
    """

    kind: Literal["misses_in_window"]
    misses: Annotated[int, Field(ge=1, le=120)]
    of_last: Annotated[int, Field(ge=1, le=120)]
    below_minimum_counts: bool = Field(
        description="Whether a period below the minimum also counts towards the misses."
    )


class EveryMiss(Noun):
    """Every miss of the expected level is a default."""

    kind: Literal["every_miss"]


class BelowMinimumOnly(Noun):
    """Only a result below the minimum level is a default."""

    kind: Literal["below_minimum"]


class NeverDefaults(Noun):
    """A key measurement: reported, never a default."""

    kind: Literal["never"]


Defaults = Annotated[
    EveryMiss | BelowMinimumOnly | Misses | NeverDefaults, Field(discriminator="kind")
]


class LowVolume(Noun):
    """So few events that one alone would miss the level: a bad one is left out of both counts."""

    below_total: Annotated[int, Field(ge=1)]
    left_out: Annotated[int, Field(ge=1)]
    nothing_left: Literal["no_data", "no_result"] | CountsAs = Field(
        description="Where every one is left out: as a period without data, no result, or as N."
    )


class Averaged(Noun):
    """The result is the plain mean with earlier periods."""

    periods: Annotated[int, Field(ge=2, le=60)] = Field(description="This one included.")
    missing_period: Literal["use_what_is_there", "no_result"]


class Ratchet(Noun):
    """The level rises after a run of good periods, from the period that follows.

    The new level lies ``way_to_mean`` percent of the way from the old level to the plain mean of
    the run's results (50: halfway). ``at_most_of_gap``: but never nearer to ``perfect`` than so
    many percent of the gap. ``better`` asks for more than the level; a period equal to it then
    starts the count anew, as does a rise.
    """

    kind: Literal["ratchet"]
    periods: Annotated[int, Field(ge=1, le=120)]
    asks: Literal["met", "better", "any_result"] = Field(
        description="any_result: every measured period counts, and the level moves either way."
    )
    way_to_mean: Annotated[Number, Field(gt=0, le=100)]
    at_most_of_gap: Annotated[Number, Field(gt=0, le=100)] | None = None
    perfect: Number | None = None
    rounded: Literal["exact"] | Rounding
    no_data: Literal["starts_anew", "is_passed_over"]

    @model_validator(mode="after")
    def _gap_has_an_end(self) -> Self:
        if (self.at_most_of_gap is None) != (self.perfect is None):
            raise ValueError("at_most_of_gap and perfect go together: a gap needs its other end")
        return self


class Baseline(Noun):
    """The level is found from so many consecutive measured periods, and holds from the next one.

    Until then the level is only reported. Expected is their plain mean; ``minimum`` ``worst``: the
    worst of them. ``better`` and the words of ties come from ``tie``.
    """

    kind: Literal["baseline"]
    periods: Annotated[int, Field(ge=1, le=120)]
    tie: Literal["at_least", "above", "at_most", "below"]
    minimum: Literal["worst", "none"]
    rounded: Literal["exact"] | Rounding
    no_data: Literal["starts_anew", "is_passed_over"]


Moves = Annotated[Ratchet | Baseline, Field(discriminator="kind")]


class AttributedShare(Noun):
    """How much of an occurrence counts, by whom it is attributed to."""

    attributed_to: Name
    percent: Annotated[Number, Field(ge=0, le=100)]


class Attribution(Noun):
    """Only the attributed share of each occurrence counts, in the metric's unit.

    The circumstance names the occurrence as its subject and states ``to``. A party that is not
    listed counts nothing.
    """

    circumstance: Name
    shares: Annotated[tuple[AttributedShare, ...], Field(min_length=1)]
    unattributed: Literal["wait", "counts_nothing", "counts_in_full"]


class ReliefByProof(Noun):
    """A miss is excused if every proof is given in time.

    The circumstance states ``failed_on`` (a day) and proofs as true; it may come in several
    events. The window runs from the day of the failure: so many months end on the day with the
    same number, or on the month's last day; that day still counts.
    """

    kind: Literal["proofs"]
    circumstance: Name
    proofs: Annotated[tuple[Name, ...], Field(min_length=1)]
    within_months: Annotated[int, Field(ge=0, le=120)] = 0
    within_days: Annotated[int, Field(ge=0, le=3660)] = 0

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.within_months == 0) == (self.within_days == 0):
            raise ValueError("state the window in months or in days, one of the two")
        return self


class ReliefByVolume(Noun):
    """A miss is excused if the volume was so many times the normal one, without notice.

    ``normal``: a number, or the circumstance of the period that states it. ``notice``: the
    circumstance that the buyer gave notice.
    """

    kind: Literal["volume"]
    metric: Name
    times_normal: Threshold
    normal: Annotated[Number, Field(gt=0)] | None = None
    normal_from: Name | None = None
    notice: Name | None = None
    if_absent: IfAbsentYesNo = Field(
        "wait",
        description="Where the volume or the normal volume is not there. holds: excused. "
        "does_not_hold: not excused.",
    )

    @model_validator(mode="after")
    def _one_normal(self) -> Self:
        if (self.normal is None) == (self.normal_from is None):
            raise ValueError("state the normal volume as a number, or the circumstance that does")
        return self


class ReliefByCircumstance(Noun):
    """A miss is excused if the circumstance holds for the level's period."""

    kind: Literal["circumstance"]
    circumstance: Name
    if_absent: IfAbsentYesNo = Field(
        "does_not_hold", description="Where it is not stated: it did not happen, unless said here."
    )


Relief = Annotated[
    ReliefByProof | ReliefByVolume | ReliefByCircumstance, Field(discriminator="kind")
]


class Level(Noun):
    """One service level: what is promised about one metric, and what follows from missing it."""

    level: Name
    name: Text
    metric: Name
    subject: Subject | None = Field(None, description="One subject of the metric. Absent: all.")
    each_subject: bool = Field(
        False, description="Judged and priced for every subject of the metric on its own."
    )
    subjects: tuple[Subject, ...] = Field(
        default=(),
        description="With each_subject: those that are judged even where nothing is reported.",
    )
    measured: PeriodLength | None = Field(
        None, description="Measurement period. Absent: the settlement period."
    )
    expected: Threshold | None = Field(None, description="Absent: priced by its table alone.")
    minimum: Threshold | None = None
    judged: Literal["exact"] | Rounding = Field(
        description="exact, or the decimals and mode by which the result is rounded first."
    )
    attributed: Attribution | None = None
    averaged: Averaged | None = None
    low_volume: LowVolume | None = None
    moves: Moves | None = None
    relief: tuple[Relief, ...] = Field(default=(), description="Each alone excuses a miss.")
    no_data: Literal["miss", "met", "no_result"] | CountsAs = Field(
        description="miss: below the expected level, never below the minimum. counts_as: judged "
        "as N."
    )
    defaults: Defaults
    credits: tuple[Credit, ...] = ()

    @model_validator(mode="after")
    def _no_data_has_one_price(self) -> Self:
        if self.subject is not None and self.each_subject:
            raise ValueError("state one subject or each_subject, not both")
        if self.subjects and not self.each_subject:
            raise ValueError("subjects are listed for each_subject; write each_subject: true")
        if self.no_data == "miss" and self.expected is None and self.moves is None:
            raise ValueError("no_data: miss needs an expected level that is missed; state it")
        if self.no_data != "miss":
            return self
        decides = isinstance(self.defaults, BelowMinimumOnly | Misses)
        if decides or any(credit.looks_at_result for credit in self.credits):
            raise ValueError(
                "no_data: miss leaves open which result a missing one counts as, and the minimum "
                "level or a price depends on it; write no_data with counts_as, such as 0"
            )
        return self

    @model_validator(mode="after")
    def _same_direction(self) -> Self:
        if isinstance(self.moves, Baseline):
            return self._found_later()
        if isinstance(self.moves, Ratchet) and self.expected is None:
            raise ValueError("a ratchet raises the expected level; state 'expected'")
        if self.minimum is None:
            if isinstance(self.defaults, BelowMinimumOnly | Misses):
                raise ValueError(
                    f"defaults: {self.defaults.kind} needs a minimum level; state 'minimum'"
                )
            return self
        if self.expected is None:
            raise ValueError("a minimum level needs an expected level beside it")
        if self.expected.higher_is_met != self.minimum.higher_is_met:
            raise ValueError("expected and minimum point in different directions")
        return self

    def _found_later(self) -> Self:
        if self.expected is not None or self.minimum is not None:
            raise ValueError("a baseline finds the levels; leave out expected and minimum")
        return self
