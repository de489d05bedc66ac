"""How long periods are and where they begin: by the calendar, or from a stated day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

from schemas.base import YEARS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_OF_WEEK = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_LAST_DAY = 28
"""Months can begin on days that every month has."""
MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
"""The lengths that go by months, and by how many."""
CALENDAR_LENGTHS = ("day", "week", *MONTHS)
"""The lengths that begin where the calendar says, the shortest first; weeks on Monday."""
LENGTHS_TEXT = (
    f"{', '.join(CALENDAR_LENGTHS)}, week_from_sun, four_weeks_from_2025-01-06, month_from_15, "
    "quarter_from_02-15, half_year_from_02-15 or year_from_04-01"
)
"""What can be written, for messages: of those from another day an example each."""

_LENGTH_SHAPES: dict[str, re.Pattern[str]] = {
    "week_from": re.compile(rf"week_from_({'|'.join(WEEKDAYS)})"),
    "four_weeks_from": re.compile(r"four_weeks_from_([0-9]{4}-[0-9]{2}-[0-9]{2})"),
    "month_from": re.compile(r"month_from_([0-9]{1,2})"),
    "months_from": re.compile(r"(quarter|half_year|year)_from_([0-9]{2})-([0-9]{2})"),
}


@dataclass(frozen=True, slots=True)
class Cycle:
    """Where periods of a length begin: every so many days or months, from a first one.

    ``phase``: the first one, as the remainder of its day number, or of its month number, by
    ``days`` or ``months``. ``day``: the day of the month, where it goes by months.
    """

    days: int
    months: int
    phase: int
    day: int = 1

    def begin(self, day: date) -> date:
        """The first day of the period that holds a day."""
        if self.days:
            return day - timedelta(days=(day.toordinal() - self.phase) % self.days)
        index = day.year * 12 + day.month - 1 - (day.day < self.day)
        index -= (index - self.phase) % self.months
        return date(index // 12, index % 12 + 1, self.day)

    def later(self, begin: date, steps: int) -> date:
        """The first day of the period that many periods after the one that begins on a day."""
        if self.days:
            return begin + timedelta(days=steps * self.days)
        index = begin.year * 12 + begin.month - 1 + steps * self.months
        return date(index // 12, index % 12 + 1, self.day)

    def steps(self, begin: date, other: date) -> int:
        """How many periods later another one begins."""
        if self.days:
            return (other - begin).days // self.days
        return ((other.year - begin.year) * 12 + other.month - begin.month) // self.months

    def made_of(self, other: Cycle) -> bool:
        """Whether each of its periods is made of whole periods of another length."""
        if other.days:
            fits = other.days == 1 or (bool(self.days) and self.days % other.days == 0)
            return fits and (self.phase - other.phase) % other.days == 0 if self.days else fits
        if self.days or self.months % other.months or self.day != other.day:
            return False
        return (self.phase - other.phase) % other.months == 0

    @property
    def about_days(self) -> int:
        """How long its periods are at most, to compare two lengths."""
        return self.days or self.months * 31


def is_length(text: str) -> bool:
    """Whether a word is written as a length is; whether there is such a day is not looked at."""
    return text in CALENDAR_LENGTHS or any(
        shape.fullmatch(text) for shape in _LENGTH_SHAPES.values()
    )


@lru_cache(maxsize=1024)
def cycle_of(length: str) -> Cycle:
    """Where periods of a length begin. Raises ValueError with the accepted ones."""
    if length == "day":
        return Cycle(1, 0, 0)
    if length == "week":
        return Cycle(7, 0, 1)
    if length in MONTHS:
        return Cycle(0, MONTHS[length], 0)
    for kind, shape in _LENGTH_SHAPES.items():
        if match := shape.fullmatch(length):
            return _anchored(kind, match.groups(), length)
    raise ValueError(f"'{length}' is no length of a period; write {LENGTHS_TEXT}")


def _anchored(kind: str, said: tuple[str, ...], length: str) -> Cycle:
    """A length that begins on another day. One that the calendar has has one name only."""
    if kind == "week_from":
        found = Cycle(7, 0, (WEEKDAYS.index(said[0]) + 1) % 7)
    elif kind == "four_weeks_from":
        first = real_day(said[0], length)
        if not YEARS[0] <= first.year <= YEARS[1]:
            raise ValueError(
                f"'{length}' is outside the calendar; write a year from {YEARS[0]} to {YEARS[1]}"
            )
        return Cycle(28, 0, first.toordinal() % 28)
    elif kind == "month_from":
        found = Cycle(0, 1, 0, _day_of_month(int(said[0]), length))
    else:
        months = MONTHS[said[0]]
        if not 1 <= int(said[1]) <= 12:
            raise ValueError(f"'{length}' names no month; write a month from 01 to 12")
        day = _day_of_month(int(said[2]), length)
        found = Cycle(0, months, (int(said[1]) - 1) % months, day)
    usual = next((each for each in CALENDAR_LENGTHS if cycle_of(each) == found), None)
    if usual is not None:
        raise ValueError(f"'{length}' is the {usual} of the calendar; write {usual}")
    return found


def _day_of_month(day: int, length: str) -> int:
    if not 1 <= day <= _LAST_DAY:
        raise ValueError(
            f"'{length}' begins on a day that not every month has; write a day from 1 to 28"
        )
    return day


def real_day(text: str, whole: str) -> date:
    """A day of the calendar that a part of a label or a length names, or ValueError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{whole}' names no day of the calendar; correct {text}") from None


def length_text(length: str) -> str:
    """A length in words: ``half year``, ``week from Sunday``, ``period of four weeks``."""
    if length.startswith("week_from_"):
        return f"week from {_DAYS_OF_WEEK[WEEKDAYS.index(length[-3:])]}"
    if length.startswith("four_weeks"):
        return "period of four weeks"
    kind, _, begins = length.partition("_from_")
    if not begins:
        return length.replace("_", " ")
    return f"{kind.replace('_', ' ')} from {'day ' if kind == 'month' else ''}{begins}"


PeriodBelongsTo = Literal["first_day", "last_day", "most_days"]
"""By which of its days a period is in a year or a month that does not begin with it."""


def year_unclear(length: str) -> bool:
    """Whether periods can lie in two years that run from the first day of one of them."""
    return cycle_of(length).days > 1


def month_unclear(length: str) -> bool:
    """Whether periods can lie in two months, quarters or years of the calendar."""
    return length not in CALENDAR_LENGTHS or length == "week"


def same_length(one: str, other: str) -> bool:
    """Whether periods of two lengths are the same: four weeks can be named by any first day."""
    return cycle_of(one) == cycle_of(other)


def longest_of(lengths: Iterable[str]) -> str:
    """The longest of some lengths; of equally long ones the first by name."""
    return max(sorted(lengths), key=lambda length: cycle_of(length).about_days)
