"""Days counted by date in a time zone, months by date, and working days."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection
from datetime import date, datetime, timedelta
from fractions import Fraction

from schemas.base import zone_of
from schemas.period import first_day, label_of, next_label, period_length
from schemas.period_cycle import PeriodBelongsTo
from services.core.calendar.windows import days_in, labels_between

_SATURDAY = 5


def local_day(moment: datetime, time_zone: str) -> date:
    """The date of a moment in a zone."""
    return moment.astimezone(zone_of(time_zone)).date()


def days_between(start: datetime | None, end: datetime | None, time_zone: str) -> Fraction:
    """The later date minus the earlier one, by the zone's calendar; 0 where one is not known."""
    if start is None or end is None:
        return Fraction(0)
    return Fraction((local_day(end, time_zone) - local_day(start, time_zone)).days)


def months_after(day: date, months: int) -> date:
    """The day with the same number so many months later, or the last day of that month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def counted_on(period: str, belongs_to: PeriodBelongsTo | None = None) -> date:
    """The day by which a period is in a year or a month; by its first one where nothing is said."""
    begins = first_day(period)
    if belongs_to == "last_day":
        return begins + timedelta(days=days_in(period) - 1)
    return begins + timedelta(days=days_in(period) // 2) if belongs_to == "most_days" else begins


def contract_year(
    begins: date, period: str, belongs_to: PeriodBelongsTo | None = None
) -> tuple[str, ...]:
    """The periods of the contract year so far, this one last; years run from ``begins``.

    ``belongs_to``: in which year a period counts that lies over the end of one. None where the
    period lies before it.
    """
    now, length = counted_on(period, belongs_to), period_length(period)
    years = now.year - begins.year
    if months_after(begins, 12 * years) > now:
        years -= 1
    if years < 0:
        return ()
    opens = months_after(begins, 12 * years)
    first = label_of(opens, length)
    if belongs_to is not None and counted_on(first, belongs_to) < opens:
        first = next_label(first)
    return labels_between(first, period)


def working_day_after(day: date, working_days: int, holidays: Collection[date] = ()) -> date:
    """The n-th working day after a day; the day itself is day 0."""
    left = working_days
    while left:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY and day not in holidays:
            left -= 1
    return day
