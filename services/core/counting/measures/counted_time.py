"""Which time of a window counts: in business hours, and without what is excused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.business_hours import BusinessHours
from schemas.exclusions import Exclusion, Recurring
from services.core.calendar.intervals import Interval, common, holds, length, merged, without
from services.core.calendar.recurrence import recurring_windows
from services.core.calendar.windows import business_us, open_spans


@dataclass(frozen=True, slots=True)
class Excused:
    """An exclusion with its time. ``outages``: a set, of what is upstream."""

    term: Exclusion
    outages: tuple[Interval, ...] = ()

    def within(self, start: int, end: int) -> list[Interval]:
        """Its time between two instants, as a set."""
        if isinstance(self.term, Recurring):
            return recurring_windows(self.term, start, end)
        return common([(start, end)], self.outages)


@dataclass(frozen=True, slots=True)
class CountedTime:
    """The time that counts: all of a window, or less of it.

    ``spans``: what counts of the window ``[start, end)``, in microseconds; ``bad``: that of it in
    which an outage counts. What reaches beyond the window counts by the same terms there.
    """

    start: int
    end: int
    hours: BusinessHours | None
    excused: tuple[Excused, ...]
    spans: tuple[Interval, ...]
    bad: tuple[Interval, ...]

    @classmethod
    def of(
        cls, start: int, end: int, hours: BusinessHours | None, excused: tuple[Excused, ...] = ()
    ) -> CountedTime:
        """The time that counts of a window."""
        spans = ((start, end),) if hours is None else open_spans(start, end, hours)
        off_both, off_bad = (
            merged(
                span
                for each in excused
                if each.term.taken_off == taken_off
                for span in each.within(start, end)
            )
            for taken_off in ("counted_time", "bad_time")
        )
        spans = tuple(without(spans, off_both)) if off_both else spans
        bad = tuple(without(spans, off_bad)) if off_bad else spans
        return cls(start, end, hours, excused, spans, bad)

    @property
    def is_all(self) -> bool:
        """Whether all time counts, in the window and beyond."""
        return self.hours is None and not self.excused

    @property
    def total_us(self) -> int:
        """How much of the window counts."""
        return length(self.spans)

    def of_window(self, spans: Sequence[Interval]) -> list[Interval]:
        """What counts of stretches of the window that are out or unknown."""
        return list(spans) if self.is_all else common(spans, self.bad)

    def pieces(self, start: int, end: int) -> list[Interval]:
        """What counts of an outage between two instants, which need not lie in the window."""
        if self.is_all:
            return [(start, end)]
        beyond = (span for outside in self._outside(start, end) for span in self._beyond(*outside))
        return sorted([*common([(start, end)], self.bad), *beyond])

    def length(self, start: int, end: int) -> int:
        """How much of an outage between two instants counts; where all time does, negative where
        the second comes first. In business hours any number of years takes about the same time."""
        if self.is_all:
            return end - start
        if self.excused or self.hours is None:
            return length(self.pieces(start, end))
        outside = self._outside(start, end)
        beyond = sum(business_us(since, until, self.hours) for since, until in outside)
        return length(common([(start, end)], self.bad)) + beyond

    def counts(self, start: int, end: int) -> bool:
        """Whether any time between two instants counts; of a single instant, whether it does."""
        return self.is_all or self.length(start, end) > 0 or (start == end and self.holds(start))

    def holds(self, moment: int) -> bool:
        """Whether an outage of an instant counts."""
        if self.is_all or self.start <= moment < self.end:
            return self.is_all or holds(self.bad, moment)
        return bool(self.pieces(moment, moment + 1))

    def _outside(self, start: int, end: int) -> list[Interval]:
        return without([(start, end)], [(self.start, self.end)])

    def _beyond(self, start: int, end: int) -> list[Interval]:
        """What counts between two instants outside of the window."""
        every = [(start, end)] if self.hours is None else open_spans(start, end, self.hours)
        return without(
            every, merged(span for one in self.excused for span in one.within(start, end))
        )
