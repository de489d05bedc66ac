"""A settlement or measurement period by its label; windows in instants.

A label says the whole of its period: when it begins and how long it is.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Self

from pydantic import AfterValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticKnownError

from schemas.base import YEARS, Instant, Noun
from schemas.period_cycle import (
    CALENDAR_LENGTHS,
    LENGTHS_TEXT,
    MONTHS,
    WEEKDAYS,
    Cycle,
    cycle_of,
    is_length,
    real_day,
)

_SHAPES: dict[str, re.Pattern[str]] = {
    "day": re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"),
    "week": re.compile(r"([0-9]{4})-W([0-9]{2})"),
    "month": re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])"),
    "quarter": re.compile(r"([0-9]{4})-Q([1-4])"),
    "half_year": re.compile(r"([0-9]{4})-H([12])"),
    "year": re.compile(r"([0-9]{4})"),
}
_FROM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_(P7D|P28D|P1M|P3M|P6M|P1Y)")
"""A period that begins on another day than those of the calendar: its first day, how long it is."""
_DURATIONS = {"P1M": "month", "P3M": "quarter", "P6M": "half_year", "P1Y": "year"}


def _known_length(length: str) -> str:
    if not is_length(length):
        raise PydanticKnownError("literal_error", {"expected": LENGTHS_TEXT})
    cycle_of(length)
    return length


PeriodLength = Annotated[
    str,
    AfterValidator(_known_length),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(CALENDAR_LENGTHS)},
                {
                    "type": "string",
                    "pattern": r"^(week_from_(tue|wed|thu|fri|sat|sun)"
                    r"|four_weeks_from_[0-9]{4}-[0-9]{2}-[0-9]{2}|month_from_[0-9]{1,2}"
                    r"|(quarter|half_year|year)_from_[0-9]{2}-[0-9]{2})$",
                },
            ]
        }
    ),
]
"""``day``, ``week`` (from Monday), ``month``, ``quarter``, ``half_year``, ``year``; or from another
day: ``week_from_sun``, ``four_weeks_from_2025-01-06`` (a day on which one begins),
``month_from_15``, ``quarter_from_02-15``, ``half_year_from_02-15``, ``year_from_04-01``."""


@lru_cache(maxsize=8192)
def period_length(label: str) -> str:
    """The length of the period that a label names. Raises ValueError with the accepted shapes."""
    for length, shape in _SHAPES.items():
        if shape.fullmatch(label):
            return length
    if match := _FROM.fullmatch(label):
        return _length_from(real_day(match[1], label), match[2], label)
    raise ValueError(
        f"'{label}' names no period; write 2025, 2025-H1, 2025-Q1, 2025-01, 2025-W07 or "
        "2025-01-31, or from another day 2025-02-15_P1M"
    )


def _length_from(day: date, duration: str, label: str) -> str:
    """The length of a period from its first day and its ISO 8601 duration."""
    if duration == "P7D":
        length = f"week_from_{WEEKDAYS[day.weekday()]}"
    elif duration == "P28D":
        epoch = date(YEARS[0], 1, 1)
        first = epoch + timedelta(days=(day.toordinal() - epoch.toordinal()) % 28)
        length = f"four_weeks_from_{first}"
    elif duration == "P1M":
        length = f"month_from_{day.day}"
    else:
        kind = _DURATIONS[duration]
        # The first of the year's months on which one begins: one name for each length.
        month = (day.month - 1) % MONTHS[kind] + 1
        length = f"{kind}_from_{month:02d}-{day.day:02d}"
    try:
        cycle_of(length)
    except ValueError as error:
        usual = _calendar_label(day, duration)
        raise ValueError(
            f"'{label}' is a period of the calendar; write {usual}" if usual else str(error)
        ) from None
    return length


def _calendar_label(day: date, duration: str) -> str | None:
    """The calendar's own name of a period, where it has one."""
    length = "week" if duration == "P7D" else _DURATIONS.get(duration)
    if length is None or cycle_of(length).begin(day) != day:
        return None
    return label_of(day, length)


def _checked(label: str) -> str:
    year = first_day(label).year
    if not YEARS[0] <= year <= YEARS[1]:
        raise ValueError(
            f"'{label}' is outside the calendar; write a year from {YEARS[0]} to {YEARS[1]}"
        )
    return label


PeriodLabel = Annotated[str, AfterValidator(_checked)]
"""``2025-01``, ``2025-Q1``, ``2025-H1``, ``2025``, ``2025-W07`` or ``2025-01-31``; from another
day than the calendar's ``2025-02-15_P1M``, with P7D, P28D, P1M, P3M, P6M or P1Y."""


def _day(label: str) -> str:
    if not _SHAPES["day"].fullmatch(label):
        raise ValueError(f"'{label}' is no day; write it as 2025-01-31")
    return _checked(label)


DayLabel = Annotated[str, AfterValidator(_day)]
"""``2025-01-31``."""


@lru_cache(maxsize=8192)  # asked for again and again of the same few labels
def first_day(label: str) -> date:
    """The first day of the period a label names."""
    length = period_length(label)
    if length not in _SHAPES:
        return date.fromisoformat(label.partition("_")[0])
    match = _SHAPES[length].fullmatch(label)
    assert match is not None
    parts = [int(part) for part in match.groups()]
    if length == "day":
        return date(*parts)
    if length == "week":
        return _first_of_week(*parts)
    if length == "month":
        return date(parts[0], parts[1], 1)
    if length == "year":
        return date(parts[0], 1, 1)
    return date(parts[0], (parts[1] - 1) * MONTHS[length] + 1, 1)


def _first_of_week(year: int, week: int) -> date:
    try:
        return date.fromisocalendar(year, week, 1)
    except ValueError:
        raise ValueError(
            f"{year:04d} has no week {week:02d}; a year has 52 weeks or, where it begins or ends "
            "on a Thursday, 53"
        ) from None


def label_of(day: date, length: str) -> str:
    """The label of the period of this length that holds the day."""
    if length == "day":
        return day.isoformat()
    if length == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if length == "year":
        return f"{day.year:04d}"
    if length == "month":
        return f"{day.year:04d}-{day.month:02d}"
    if length in MONTHS:
        letter = "Q" if length == "quarter" else "H"
        return f"{day.year:04d}-{letter}{(day.month - 1) // MONTHS[length] + 1}"
    cycle = cycle_of(length)
    return f"{cycle.begin(day).isoformat()}_{_duration_of(cycle)}"


def _duration_of(cycle: Cycle) -> str:
    """The ISO 8601 duration of a cycle's periods."""
    if cycle.days:
        return f"P{cycle.days}D"
    return "P1Y" if cycle.months == 12 else f"P{cycle.months}M"


def next_label(label: str, steps: int = 1) -> str:
    """The label that many periods later; earlier when ``steps`` is negative."""
    length = period_length(label)
    return label_of(cycle_of(length).later(first_day(label), steps), length)


class Window(Noun):
    """A half-open stretch of time, ``[start, end)``."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the window ends before it starts")
        return self
