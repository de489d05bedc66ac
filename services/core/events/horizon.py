"""How far back an event may lie: in no period that is past its restatement.

The measure is the source's own clock: the latest event time that was accepted from it. So history
that is loaded, replayed or settled offline meets the same verdict as on the day it came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from schemas.agreement import Agreement
from schemas.period import PeriodLength
from schemas.period_cycle import cycle_of, longest_of
from schemas.programme import Programme
from services.core.calendar.windows import (
    DAY_US,
    bounds_us,
    instant,
    label_at,
    microseconds,
    window_of,
)

FIRST_DAYS_US = -62_135_596_800_000_000 + 800 * DAY_US
"""Two years after the calendar's first day; no period is looked for before it."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a programme restates its periods, and the longest of them.

    ``beside``: lengths of which the longest is not made, as a month is not made of weeks.
    """

    days: int
    zone: str
    longest: PeriodLength
    beside: tuple[PeriodLength, ...] = ()

    def about_us(self, at_us: int, period: str | None) -> int:
        """The last instant that an event is about.

        ``period``: the one that a charge, a circumstance or a declared figure states. It is told
        after its period, so the period counts and not the event's time.
        """
        if period is None:
            return at_us
        try:
            return bounds_us(window_of(period, self.zone))[1] - 1
        except (ValueError, OverflowError):  # the calendar has no such period, or ends with it
            return at_us

    def about_correction_us(self, at_us: int, said: Mapping[str, Any]) -> int:
        """The earliest of what a correction is about, as far as it says so itself: when it was
        made, and where it puts its event.

        ``said``: its data. Where it takes its event from, only the event says.
        """
        told = [at_us]
        while isinstance(said.get("corrects"), str):
            if isinstance(time := said.get("time"), str):
                with suppress(ValueError, OverflowError):  # no time: it does not fit anyway
                    told.append(microseconds(datetime.fromisoformat(time)))
            inner = said.get("data")
            said = inner if isinstance(inner, Mapping) else {}
        if isinstance(period := said.get("period"), str):
            told.append(self.about_us(at_us, period))
        return min(told)

    def cutoff_us(self, latest_us: int) -> int:
        """The earliest instant that events may be about when a source has come to ``latest_us``.

        It begins the first period, of the longest length, whose end and the days of restatement
        do not lie before that time, or one beside it that begins earlier.
        """
        lengths = (self.longest, *self.beside)
        return min(_cutoff_us(self.days, self.zone, each, latest_us) for each in lengths)

    def is_beyond(self, about_us: int, latest_us: int | None) -> bool:
        """Whether every settlement period that an event could touch is past its restatement."""
        return latest_us is not None and about_us < self.cutoff_us(latest_us)


@lru_cache(maxsize=4096)
def _cutoff_us(days: int, zone: str, length: PeriodLength, latest_us: int) -> int:
    since = latest_us - days * DAY_US - 1
    if since < FIRST_DAYS_US:
        return since
    return bounds_us(window_of(label_at(instant(since), zone, length), zone))[0]


def horizons_of(
    programmes: Mapping[str, Sequence[Programme]], agreements: Iterable[Agreement]
) -> dict[str, Horizon]:
    """The horizon of each programme, over all versions of it and of its agreements.

    ``programmes``: name to all versions. The longest restatement and the longest period count: a
    version that is applied later does not take back what could be settled.
    """
    settled: dict[str, set[PeriodLength]] = {}
    for agreement in agreements:
        settled.setdefault(agreement.programme, set()).add(agreement.settled)
    return {
        name: Horizon(
            max(version.restated_for_days for version in versions),
            versions[0].time_zone,
            *_longest(settled.get(name, {"month"})),
        )
        for name, versions in programmes.items()
    }


def _longest(
    lengths: Collection[PeriodLength],
) -> tuple[PeriodLength, tuple[PeriodLength, ...]]:
    """The longest of some lengths, and those of which it is not made."""
    longest = longest_of(lengths)
    made = cycle_of(longest)
    return longest, tuple(each for each in sorted(lengths) if not made.made_of(cycle_of(each)))


class Latest:
    """The latest event time accepted from each source, in microseconds since 1970 UTC.

    ``of`` before an event is judged; ``accepted`` once it counts, which a repeated event, a
    conflict and one beyond the horizon do not.
    """

    __slots__ = ("_at",)

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._at: dict[str, int] = dict(known or {})

    def of(self, source: str) -> int | None:
        """The latest of a source; None: nothing is known of it, and nothing is too old."""
        return self._at.get(source)

    def accepted(self, source: str, at_us: int) -> None:
        """An event of the source counts from now on."""
        if at_us > self._at.get(source, at_us - 1):
            self._at[source] = at_us
