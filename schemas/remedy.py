"""What follows from failures beside the credit of each level: replacing, choosing, ending."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.absence import IfAbsentNumber
from schemas.bands import Threshold
from schemas.base import Day, Name, Noun, Number
from schemas.credit import Limit


class Claim(Noun):
    """Credits must be claimed within a window after the period, or are forfeit.

    The window is counted from the period's last day, and its own last day still counts: so many
    calendar months (to the end of the last of them), days, or working days, Monday to Friday. The
    claim is the circumstance ``claim`` of the period; its value ``on``, or else its event's time,
    is the day it came in.
    """

    within_months: Annotated[int, Field(ge=1, le=60)] | None = None
    within_days: Annotated[int, Field(ge=1, le=3660)] | None = None
    within_working_days: Annotated[int, Field(ge=1, le=1000)] | None = None
    holidays: tuple[Day, ...] | None = Field(None, description="Needed with working days.")

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        windows = (self.within_months, self.within_days, self.within_working_days)
        if sum(window is not None for window in windows) != 1:
            raise ValueError("state one window: within_months, within_days or within_working_days")
        if (self.within_working_days is None) != (self.holidays is None):
            raise ValueError("working days need 'holidays'; write [] where there are none")
        return self


class SingleEvent(Noun):
    """One event that makes several levels fail is paid for once.

    The circumstance names the event of a level's failure in its value ``event``; a level without
    one is its own event. ``keep``: which of the event's credits is paid; ``chosen`` needs the
    circumstance ``choice`` of the period, which names the level. Credits of a pair in ``adds``
    may stand side by side.
    """

    circumstance: Name
    keep: Literal["largest_credit", "highest_share", "chosen"]
    choice: Name | None = None
    if_absent: Literal["wait", "largest_credit"] = Field(
        "wait", description="keep: chosen, where no choice of the event's levels is stated."
    )
    adds: tuple[tuple[Name, Name], ...] = ()

    @model_validator(mode="after")
    def _choice_is_named(self) -> Self:
        if (self.keep == "chosen") != (self.choice is not None):
            raise ValueError("keep: chosen needs 'choice', the circumstance that names the level")
        if self.if_absent != "wait" and self.keep != "chosen":
            raise ValueError("if_absent speaks of the choice, which only keep: chosen reads")
        return self


class CriticalFailure(Noun):
    """A critical failure replaces the ordinary credits of its period.

    It is stated by a circumstance, or is a level's result below its minimum. Instead the buyer may
    withhold charges: the circumstance ``decision`` states how much, in main units.
    """

    circumstance: Name | None = None
    level: Name | None = Field(None, description="Below its minimum is the critical failure.")
    replaces: tuple[Name, ...] = Field(default=(), description="Levels. Empty: all.")
    decision: Name
    withheld_at_most: Limit
    if_absent: IfAbsentNumber = Field(
        "wait",
        description="Where no decision is stated though there was a critical failure. counts_as: "
        "the amount decided on, such as 0.",
    )

    @model_validator(mode="after")
    def _one_sign(self) -> Self:
        if (self.circumstance is None) == (self.level is None):
            raise ValueError("state by what it is known: a circumstance, or a level")
        return self


class Retainage(Noun):
    """An amount kept back each period and released in two steps: the whole, then its parts.

    ``whole``: if this level fails, all is lost and the parts are only reported. If it is met,
    ``released_on_pass`` percent are released; the rest is divided equally over ``number`` parts
    and released for each subject of ``parts`` that met its level.
    """

    retainage: Name
    amount: Annotated[Number, Field(ge=0)]
    whole: Name
    released_on_pass: Annotated[Number, Field(ge=0, le=100)]
    parts: Name = Field(description="A level that is judged for each subject.")
    number: Annotated[int, Field(ge=1)]
    without_result: Literal["released", "lost"] = Field(
        description="The share of a part that has no result, or all where the whole has none."
    )


class _Right(Noun):
    """A right to end the agreement, opened by a period; exercised or not within its window."""

    term: Name
    exercise_days: Annotated[int, Field(ge=1, le=3660)] | None = Field(
        None, description="Days after the period's end. Absent: without end."
    )


class ByMean(_Right):
    """Opened when the plain mean of the last results lies in a region."""

    kind: Literal["mean"]
    level: Name
    of_last: Annotated[int, Field(ge=1, le=60)]
    region: Threshold
    missing_period: Literal["use_what_is_there", "not_opened"]


class ByMisses(_Right):
    """Opened by so many misses within the periods that end with this one."""

    kind: Literal["misses"]
    level: Name
    misses: Annotated[int, Field(ge=1, le=120)]
    of_last: Annotated[int, Field(ge=1, le=120)]


class ByOccurrence(_Right):
    """Opened by one occurrence whose time, in the metric's unit, lies in a region.

    ``across_periods``: ``goes_on``, the time goes on over the end of a period, and the right is
    opened in the period in which it comes to lie in the region; ``as_counted``, each period looks
    at the time with which the metric counts the occurrence in it.
    """

    kind: Literal["occurrence"]
    metric: Name
    region: Threshold
    across_periods: Literal["goes_on", "as_counted"]
    if_absent: Literal["wait", "does_not_hold"] = Field(
        "wait", description="Where the figure is not there. does_not_hold: no right is opened."
    )


class ByCap(_Right):
    """Opened when a cap has cut the credits of the period or left nothing of its ceiling."""

    kind: Literal["cap_reached"]
    cap: Name


Termination = Annotated[ByMean | ByMisses | ByOccurrence | ByCap, Field(discriminator="kind")]


class DisputeTerms(Noun):
    """Which disputes over a settlement are admitted, and what one does to the amount of its line.

    The circumstance states ``run_on``, ``raised_on`` (days), ``error`` (true or false) and
    ``effect`` (in main units); its subject tells several apart.
    """

    circumstance: Name
    working_days: Annotated[int, Field(ge=0, le=1000)] = Field(
        description="Raised not later than this working day after the day of the run."
    )
    holidays: tuple[Day, ...]
    effect: Threshold = Field(description="Which effects are large enough, in main units.")
    needs_error: bool
    disputed_amount: Literal["stays_due", "withheld"] = Field(
        description="Of a line in dispute, until the dispute has ended. withheld: the disputed "
        "amount is not due, only the undisputed part is."
    )
