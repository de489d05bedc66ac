"""Why an event does not count: codes in order of precedence, with field, reason and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.base import Noun, written
from schemas.event import Correction
from schemas.field_words import field_words
from schemas.role import Role
from services.core.events.facts import TYPE_OF_KIND
from services.core.events.horizon import Horizon
from services.core.events.roles import instead_of
from services.core.events.rules import FactRule

MOST_FAULTS = 10
"""So many faults of one event are told; who sends more will ask again."""


class RejectionCode(StrEnum):
    """Why an event does not count, in order of precedence: the first that holds is told."""

    UNKNOWN_TYPE = "unknown_type"
    KIND_NOT_OF_ROLE = "kind_not_of_role"
    UNKNOWN_SOURCE = "unknown_source"
    BAD_IDENTITY = "bad_identity"
    IN_THE_FUTURE = "in_the_future"
    BAD_DATA = "bad_data"
    UNKNOWN_METRIC = "unknown_metric"
    METRIC_NOT_OF_SOURCE = "metric_not_of_source"
    KIND_DOES_NOT_FIT = "kind_does_not_fit"
    WRONG_UNIT = "wrong_unit"
    NOT_EXACT = "not_exact"
    TOO_MANY_DECIMALS = "too_many_decimals"
    TOO_LARGE = "too_large"
    NEGATIVE_COUNT = "negative_count"
    GOOD_EXCEEDS_TOTAL = "good_exceeds_total"
    OUT_OF_RANGE = "out_of_range"
    TIMES_OUT_OF_ORDER = "times_out_of_order"
    UNKNOWN_VENDOR = "unknown_vendor"
    UNKNOWN_AGREEMENT = "unknown_agreement"
    ANSWER_OF_ANOTHER_PARTY = "answer_of_another_party"
    UNKNOWN_BASE = "unknown_base"
    UNKNOWN_LEVEL = "unknown_level"
    WRONG_CURRENCY = "wrong_currency"
    WRONG_PERIOD = "wrong_period"
    BEYOND_HORIZON = "beyond_horizon"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an event does not count. ``field``: JSON pointer into the event; "" is all of it."""

    code: RejectionCode
    field: str
    reason: str
    remedy: str
    also: tuple[Rejection, ...] = ()
    """Where the data does not fit its schema: the other fields that do not, MOST_FAULTS in all."""

    @property
    def for_review(self) -> bool:
        """Whether the event is well formed, but a person must decide about it."""
        return self.code is RejectionCode.BEYOND_HORIZON


def too_large(field: str) -> Rejection:
    return Rejection(
        RejectionCode.TOO_LARGE, field, "the number is too large to be counted", "check the unit"
    )


def impossible(path: FactRule, field: str, value: object) -> Rejection:
    """A value that lies outside what its metric can have."""
    low, high = path.metric.value_range
    return out_of_range(field, str(value), low, high)


def out_of_range(field: str, value: str, low: Fraction | None, high: Fraction | None) -> Rejection:
    """``low``, ``high``: what is possible, each included; None: no bound on that side."""
    if low is not None and high is not None:
        possible = f"between {written(low)} and {written(high)}"
    elif low is not None:
        possible = f"at least {written(low)}"
    else:
        possible = f"at most {written(high or Fraction(0))}"
    return Rejection(
        RejectionCode.OUT_OF_RANGE,
        field,
        f"{value} is not {possible}",
        "check the figure; a value outside the possible range is an error of measurement",
    )


def wrong_unit(path: FactRule, unit: str) -> Rejection:
    return Rejection(
        RejectionCode.WRONG_UNIT,
        "/data/unit",
        f"the unit is {unit}, but {path.metric.metric} is measured in {path.unit}",
        f"convert at the source and write {path.unit}",
    )


def shaped(
    model: type[Noun], data: Mapping[str, object], within: str = "/data"
) -> Noun | Rejection:
    """The data read as its noun, or what about it cannot be read."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        first, *also = [fault(each, within) for each in found[:MOST_FAULTS]]
        return replace(first, also=tuple(also))


def fault(found: ErrorDetails, within: str) -> Rejection:
    """What is wrong with one field, of what pydantic found."""
    pointer = "".join(
        "/" + str(step).replace("~", "~0").replace("/", "~1") for step in found["loc"]
    )
    said = found["msg"].removeprefix("Value error, ")
    exact = said.startswith(("not an exact number", "write the number"))
    code = RejectionCode.NOT_EXACT if exact else RejectionCode.BAD_DATA
    if found["type"] == "extra_forbidden":
        remedy = "leave the field out; put it into an extension attribute"
        return Rejection(code, within + pointer, "the field does not belong here", remedy)
    reason, remedy = field_words(found, "correct the value")
    return Rejection(code, within + pointer, reason, remedy)


def not_of_role(role: Role, kind: int) -> Rejection:
    return Rejection(
        RejectionCode.KIND_NOT_OF_ROLE,
        "/type",
        f"the role {role} sends no {TYPE_OF_KIND[kind]}",
        instead_of(role),
    )


def not_of_sender(source: str, party: str) -> Rejection:
    """Of a source that is nobody's and of one that is another's, in the same words: a sender does
    not find out what others have."""
    return Rejection(
        RejectionCode.UNKNOWN_SOURCE,
        "/source",
        f"no source {source!r} reports for {party}",
        "correct the source, use the key or topic of the party that it reports for, or have the "
        "programme declare it",
    )


def not_of_source(source: str, metric: str) -> Rejection:
    """Of a metric that there is not and of one that the source may not report, likewise."""
    return Rejection(
        RejectionCode.UNKNOWN_METRIC,
        "/data/metric",
        f"the source {source} reports no metric {metric!r} at the event's time",
        "correct the name, or have the programme define the metric and let the source report it",
    )


def bad_identity(field: str) -> Rejection:
    return Rejection(
        RejectionCode.BAD_IDENTITY,
        field,
        "not 1 to 200 printable characters without spaces",
        "choose an id such as a UUID, and keep it when you send the event again",
    )


def in_the_future(field: str = "/time") -> Rejection:
    """``field``: of the event's time, or of a moment that its data states as past."""
    own = field == "/time"
    what, arrival = (
        ("the event's time", "its arrival")
        if own
        else (
            "the time stated here",
            "the event's arrival",
        )
    )
    return Rejection(
        RejectionCode.IN_THE_FUTURE,
        field,
        f"{what} lies ahead of {arrival} by more than clocks may differ",
        "set the source's clock, or send the event when it has happened",
    )


_WAITS_FOR_REVIEW = (
    "it is kept in quarantine; to have it counted, apply a version of the programme with a larger "
    "restated_for_days and send the event again"
)


def late_correction(
    horizon: Horizon, at_us: int, said: Correction, latest_us: int | None
) -> Rejection | None:
    """Whether a correction was made, or puts its event, where nothing can be settled any more."""
    about_us = horizon.about_correction_us(at_us, said.model_dump(mode="json"))
    if not horizon.is_beyond(about_us, latest_us):
        return None
    own = horizon.is_beyond(at_us, latest_us)
    moved = "/data/time" if said.time is not None else "/data/data/period"
    return Rejection(
        RejectionCode.BEYOND_HORIZON,
        "/time" if own else moved,
        f"the period {'in which it was made' if own else 'into which it puts its event'} could be "
        f"settled again for {horizon.days} days after its end, and this source has since reported "
        "later events than that",
        _WAITS_FOR_REVIEW,
    )


def corrects_too_late(horizon: Horizon) -> Rejection:
    """Of a correction that was made when its event's period could no longer be settled."""
    return Rejection(
        RejectionCode.BEYOND_HORIZON,
        "/data/corrects",
        f"the period of the event could be settled again for {horizon.days} days after its end, "
        "and the correction was made later than that",
        _WAITS_FOR_REVIEW,
    )


def beyond(
    horizon: Horizon, at_us: int, period: str | None, latest_us: int | None
) -> Rejection | None:
    """Whether every settlement period that the event could touch can no longer be settled."""
    if latest_us is None or not horizon.is_beyond(horizon.about_us(at_us, period), latest_us):
        return None
    return Rejection(
        RejectionCode.BEYOND_HORIZON,
        "/time" if period is None else "/data/period",
        f"its period could be settled again for {horizon.days} days after its end, and this source "
        "has since reported later events than that",
        _WAITS_FOR_REVIEW,
    )
