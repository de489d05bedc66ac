"""When a period begins and ends, which one holds an instant, and how long the clock has run.

Everything here counts in microseconds since 1970 UTC or in half-open windows. A calendar day is
as long as its zone makes it: 23, 24 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from schemas.base import zone_of
from schemas.business_hours import BusinessHours
from schemas.period import PeriodLength, Window, first_day, label_of, next_label, period_length
from schemas.period_cycle import WEEKDAYS, cycle_of, length_text
from services.core.calendar.intervals import Interval, common, merged

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
QUARTER_HOUR_US = DAY_US // 96
"""No day begins within a quarter of an hour, in any time zone."""


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware instant."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def instant(at_us: int) -> datetime:
    """The instant that many microseconds after 1970 UTC."""
    return EPOCH + timedelta(microseconds=at_us)


@lru_cache(maxsize=4096)
def day_start(day: date, zone: str) -> datetime:
    """The first instant of a calendar day in the zone, in UTC.

    Where a clock change skips midnight the day begins at the change.
    """
    return datetime.combine(day, time(), zone_of(zone)).astimezone(UTC)


@lru_cache(maxsize=4096)
def window_of(label: str, zone: str) -> Window:
    """The window of a period label in an IANA zone, ``[start, end)`` in UTC.

    Raises ValueError for a label of no period, and for the rare day that a zone has skipped.
    """
    start = day_start(first_day(label), zone)
    end = day_start(first_day(next_label(label)), zone)
    if end <= start:
        raise ValueError(f"{label} does not exist in {zone}: its calendar skipped that day")
    return Window(start=start, end=end)


def bounds_us(window: Window) -> tuple[int, int]:
    """Start and end of a window in microseconds since 1970 UTC."""
    return microseconds(window.start), microseconds(window.end)


def label_at(at: datetime, zone: str, length: PeriodLength) -> str:
    """The label of the period of this length that holds the instant."""
    return label_of(at.astimezone(zone_of(zone)).date(), length)


def labels_between(first: str, last: str) -> tuple[str, ...]:
    """All labels from ``first`` to ``last``, both included; none when ``last`` is earlier."""
    if period_length(first) != period_length(last):
        raise ValueError(f"{first} and {last} are periods of different length; give two of one")
    labels: list[str] = []
    until = first_day(last)
    while first_day(first) <= until:
        labels.append(first)
        first = next_label(first)
    return tuple(labels)


def how_many(first: str, last: str) -> int:
    """How many periods there are from one to another of its length, both included; 0 or less when
    the second is earlier."""
    return cycle_of(period_length(first)).steps(first_day(first), first_day(last)) + 1


def parts_of(label: str, length: PeriodLength) -> tuple[str, ...]:
    """The periods of a length that make up a period, in order: the months of a quarter.

    Raises ValueError where they do not fit, such as quarters of a month.
    """
    if not cycle_of(period_length(label)).made_of(cycle_of(length)):
        raise ValueError(
            f"{label} is not made of whole periods of a {length_text(length)}; choose a shorter one"
        )
    end = first_day(next_label(label))
    labels = [label_of(first_day(label), length)]
    while first_day(following := next_label(labels[-1])) < end:
        labels.append(following)
    return tuple(labels)


def holds(label: str, inner: str) -> bool:
    """Whether the period ``inner`` begins within the period ``label``."""
    return first_day(label) <= first_day(inner) < first_day(next_label(label))


def covers(label: str, inner: str) -> bool:
    """Whether the period ``label`` holds all of the period ``inner``; it may be the same."""
    (start, end), (first, past) = _days_of(label), _days_of(inner)
    return start <= first and past <= end


def overlaps(label: str, other: str) -> bool:
    """Whether two periods have a day in common. A week and a month can, and neither covers the
    other."""
    (start, end), (first, past) = _days_of(label), _days_of(other)
    return start < past and first < end


@lru_cache(maxsize=4096)
def _days_of(label: str) -> tuple[date, date]:
    """The first day of a period and the first one after it."""
    return first_day(label), first_day(next_label(label))


def days_in(label: str) -> int:
    """Calendar days of a period: 29 for February of a leap year."""
    return (first_day(next_label(label)) - first_day(label)).days


def days_of_charge(label: str, days_of_month: int | None) -> int:
    """Days of a period for a day's share of its charge: of the calendar, or so many each month."""
    months = cycle_of(period_length(label)).months
    return days_in(label) if days_of_month is None or not months else months * days_of_month


def days_shared(label: str, other: str) -> int:
    """Calendar days that two periods have in common."""
    (start, end), (first, past) = _days_of(label), _days_of(other)
    return max((min(end, past) - max(start, first)).days, 0)


def business_us(start_us: int, end_us: int, calendar: BusinessHours) -> int:
    """Microseconds of business hours between two instants; 0 when the end is not later."""
    if end_us <= start_us:
        return 0
    zone = zone_of(calendar.time_zone)
    first = instant(start_us).astimezone(zone).date()
    last = instant(end_us).astimezone(zone).date()
    if (last - first).days <= _FEW_DAYS:
        return _each_day_us(start_us, end_us, first, last, calendar)
    inner = first + timedelta(days=1), last - timedelta(days=1)
    ends = _each_day_us(start_us, end_us, first, first, calendar)
    ends += _each_day_us(start_us, end_us, last, last, calendar)
    return ends + _whole_days_us(*inner, calendar)


@lru_cache(maxsize=256)
def open_spans(start_us: int, end_us: int, calendar: BusinessHours) -> tuple[Interval, ...]:
    """The business hours between two instants, as a set of `services.core.calendar.intervals`."""
    if end_us <= start_us:
        return ()
    zone = zone_of(calendar.time_zone)
    first = instant(start_us).astimezone(zone).date()
    last = instant(end_us).astimezone(zone).date()
    opened = merged(span for day in _days(first, last) for span in _open_us(day, calendar))
    return tuple(common(opened, ((start_us, end_us),)))


_FEW_DAYS = 8


def _each_day_us(
    start_us: int, end_us: int, first: date, last: date, calendar: BusinessHours
) -> int:
    """Business hours of some days, as far as they lie between two instants."""
    return sum(
        max(0, min(end_us, closes) - max(start_us, opens))
        for day in _days(first, last)
        for opens, closes in _open_us(day, calendar)
    )


def _whole_days_us(first: date, last: date, calendar: BusinessHours) -> int:
    """Business hours of all days from one to another, both included.

    So many weeks, less the holidays; a day on which the clock changes is looked at by itself.
    """
    by_weekday = [
        sum(_clock_us(closes) - _clock_us(opens) for opens, closes in _hours_of(weekday, calendar))
        for weekday in range(7)
    ]
    weeks, left = divmod((last - first).days + 1, 7)
    total = weeks * sum(by_weekday)
    total += sum(by_weekday[(first.weekday() + offset) % 7] for offset in range(left))
    holidays = {day for day in calendar.holidays if first <= day <= last}
    total -= sum(by_weekday[day.weekday()] for day in holidays)
    for year in range(first.year, last.year + 1):
        for day in _clock_changes(calendar.time_zone, year):
            if first <= day <= last and day not in holidays:
                total += sum(max(0, closes - opens) for opens, closes in _open_us(day, calendar))
                total -= by_weekday[day.weekday()]
    return total


@lru_cache(maxsize=4096)
def _clock_changes(zone: str, year: int) -> tuple[date, ...]:
    """The days of a year on which the zone's distance from UTC changes."""
    new_year = datetime(year, 1, 1, tzinfo=zone_of(zone))
    found, before = [], new_year.utcoffset()
    for offset in range((date(year, 12, 31) - new_year.date()).days + 1):
        after = (new_year + timedelta(days=offset + 1)).utcoffset()
        if after != before:
            found.append(new_year.date() + timedelta(days=offset))
        before = after
    return tuple(found)


def _clock_us(clock: str) -> int:
    """Microseconds since midnight of a time of day; 24:00 is the day's end."""
    hours, minutes = clock.split(":")[:2]
    return (int(hours) * 60 + int(minutes)) * 60 * SECOND_US


def _days(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _hours_of(weekday: int, calendar: BusinessHours) -> list[tuple[str, str]]:
    name = WEEKDAYS[weekday]
    return [(each.opens, each.closes) for each in calendar.hours if name in each.days]


def _open_us(day: date, calendar: BusinessHours) -> Iterator[tuple[int, int]]:
    """The day's open stretches in microseconds. Local wall clock decides, so DST is right."""
    if day in calendar.holidays or not _exists(day, calendar.time_zone):
        return
    for opens, closes in _hours_of(day.weekday(), calendar):
        yield _wall_us(day, opens, calendar.time_zone), _wall_us(day, closes, calendar.time_zone)


def _exists(day: date, zone: str) -> bool:
    """Whether the zone has the day: Samoa went from 29 to 31 December 2011."""
    noon = datetime.combine(day, time(12), zone_of(zone))
    return noon.astimezone(UTC).astimezone(noon.tzinfo).date() == day


def _wall_us(day: date, clock: str, zone: str) -> int:
    if clock == "24:00":
        return microseconds(day_start(day + timedelta(days=1), zone))
    return microseconds(datetime.combine(day, time.fromisoformat(clock), zone_of(zone)))
