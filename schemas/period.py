"""A settlement or measurement period of the calendar, by its label; windows in instants."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from schemas.base import YEARS, Instant, Noun

PeriodLength = Literal["day", "month", "quarter", "half_year", "year"]

_SHAPES: dict[PeriodLength, re.Pattern[str]] = {
    "day": re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"),
    "month": re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])"),
    "quarter": re.compile(r"([0-9]{4})-Q([1-4])"),
    "half_year": re.compile(r"([0-9]{4})-H([12])"),
    "year": re.compile(r"([0-9]{4})"),
}
_MONTHS: dict[PeriodLength, int] = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


LENGTHS: tuple[PeriodLength, ...] = tuple(_SHAPES)
"""All lengths, the shortest first."""


def period_length(label: str) -> PeriodLength:
    """Which calendar period a label names. Raises ValueError with the accepted shapes."""
    for length, shape in _SHAPES.items():
        if shape.fullmatch(label):
            return length
    raise ValueError(
        f"'{label}' names no period; write 2025, 2025-H1, 2025-Q1, 2025-01 or 2025-01-31"
    )


def _checked(label: str) -> str:
    year = first_day(label).year
    if not YEARS[0] <= year <= YEARS[1]:
        raise ValueError(
            f"'{label}' is outside the calendar; write a year from {YEARS[0]} to {YEARS[1]}"
        )
    return label


PeriodLabel = Annotated[str, AfterValidator(_checked)]
"""``2025-01``, ``2025-Q1``, ``2025-H1``, ``2025`` or ``2025-01-31``."""


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
    match = _SHAPES[length].fullmatch(label)
    assert match is not None
    parts = [int(part) for part in match.groups()]
    if length == "day":
        return date(*parts)
    if length == "month":
        return date(parts[0], parts[1], 1)
    if length == "year":
        return date(parts[0], 1, 1)
    return date(parts[0], (parts[1] - 1) * _MONTHS[length] + 1, 1)


def label_of(day: date, length: PeriodLength) -> str:
    """The label of the period of this length that holds the day."""
    if length == "day":
        return day.isoformat()
    if length == "year":
        return f"{day.year:04d}"
    if length == "month":
        return f"{day.year:04d}-{day.month:02d}"
    letter = "Q" if length == "quarter" else "H"
    return f"{day.year:04d}-{letter}{(day.month - 1) // _MONTHS[length] + 1}"


def next_label(label: str, steps: int = 1) -> str:
    """The label that many periods later; earlier when ``steps`` is negative."""
    length = period_length(label)
    day = first_day(label)
    if length == "day":
        return label_of(day + timedelta(days=steps), length)
    months = day.year * 12 + day.month - 1 + steps * _MONTHS[length]
    return label_of(date(months // 12, months % 12 + 1, 1), length)


class Window(Noun):
    """A half-open stretch of time, ``[start, end)``."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the window ends before it starts")
        return self
