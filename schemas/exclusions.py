"""Time that is excused: windows that recur, and the outages of what a service stands on."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal, Self

from dateutil.rrule import rrulestr
from pydantic import Field, StringConstraints, model_validator

from schemas.base import Day, Name, Noun, Text, TimeZone, is_unset

_PARTS = {
    "DAILY": {"BYDAY"},
    "WEEKLY": {"BYDAY", "WKST"},
    "MONTHLY": {"BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"},
    "YEARLY": {"BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"},
}
"""By frequency, what a rule may say besides. Nothing finer than a day: the time is stated apart."""
_ALWAYS = {"FREQ", "INTERVAL", "COUNT", "UNTIL"}
StartTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class _StatedExclusion(Noun):
    """What every exclusion says."""

    exclusion: Name = Field(description="Its name in statements.")
    name: Text = Field(description="Its name for people: what is excused, and by which clause.")
    taken_off: Literal["bad_time", "counted_time"] = Field(
        description="bad_time: an outage in it does not count, and the time does. counted_time: "
        "its time does not count at all, so that what is left is the whole."
    )


class Recurring(_StatedExclusion):
    """Windows that recur, such as planned maintenance."""

    kind: Literal["recurring"]
    rrule: str = Field(
        description="RRULE of RFC 5545 with a frequency of days, weeks, months or years, such as "
        "FREQ=MONTHLY;BYDAY=1SU."
    )
    begins: Day = Field(description="From this day on; intervals and counts begin with it.")
    at: StartTime = Field(description="When a window starts, on the wall clock.")
    time_zone: TimeZone = Field(description="IANA zone of the wall clock.")
    minutes: Annotated[int, Field(ge=1, le=10080)] = Field(
        description="How long a window lasts, also where clocks change in it."
    )

    @model_validator(mode="after")
    def _recurs(self) -> Self:
        parts = dict(part.partition("=")[::2] for part in self.rrule.upper().split(";"))
        allowed = _PARTS.get(parts.get("FREQ", ""))
        if allowed is None:
            raise ValueError(
                f"the rule '{self.rrule}' has no frequency; begin with FREQ=DAILY, WEEKLY, MONTHLY "
                "or YEARLY"
            )
        unknown = sorted(parts.keys() - allowed - _ALWAYS)
        if unknown:
            raise ValueError(
                f"the rule '{self.rrule}' says {unknown[0]}, which is not taken beside FREQ="
                f"{parts['FREQ']}; state the time of day as at and time_zone, and leave it out"
            )
        try:
            first = next(iter(rrulestr(self.rrule, dtstart=self.first)), None)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"the rule '{self.rrule}' is not one of RFC 5545: {error}; correct it"
            ) from error
        if first is None:
            raise ValueError(f"the rule '{self.rrule}' never recurs; correct it or leave it out")
        return self

    @property
    def first(self) -> datetime:
        """The wall clock from which the rule counts."""
        return datetime.combine(self.begins, time.fromisoformat(self.at))


class Upstream(_StatedExclusion):
    """The outages of another metric, also another vendor's: of what the service stands on."""

    kind: Literal["upstream"]
    metric: Name = Field(description="A metric of outages; those count that count there.")
    subject: Text | None = Field(
        None, exclude_if=is_unset, description="Only those of this subject. Absent: all."
    )


Exclusion = Annotated[Recurring | Upstream, Field(discriminator="kind")]
