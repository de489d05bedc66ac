"""When windows that recur are: an RRULE on the wall clock of a zone."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from dateutil.rrule import rrulestr

from schemas.base import zone_of
from schemas.exclusions import Recurring
from services.core.calendar.intervals import Interval, common, merged
from services.core.calendar.windows import DAY_US, instant, microseconds

_BLOCK_US = 366 * DAY_US
_MINUTE_US = 60_000_000


def recurring_windows(term: Recurring, start_us: int, end_us: int) -> list[Interval]:
    """What of the windows lies between two instants, as a set; those that meet are one.

    A window starts by the wall clock, at a time that the clock skips by the clock before the
    change, and lasts its minutes.
    """
    block = start_us - start_us % _BLOCK_US, end_us + -end_us % _BLOCK_US
    return common([(start_us, end_us)], _windows(term, *block))


@lru_cache(maxsize=256)
def _windows(term: Recurring, start_us: int, end_us: int) -> tuple[Interval, ...]:
    zone, lasts = zone_of(term.time_zone), term.minutes * _MINUTE_US
    day = timedelta(days=1)
    since = instant(start_us - lasts).astimezone(zone).replace(tzinfo=None) - day
    until = instant(end_us).astimezone(zone).replace(tzinfo=None) + day
    walls = rrulestr(term.rrule, dtstart=term.first).between(since, until, inc=True)
    begins = [microseconds(wall.replace(tzinfo=zone)) for wall in walls]
    return tuple(merged((begin, begin + lasts) for begin in begins))
