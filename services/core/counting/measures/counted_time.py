"""Which time of a window counts, where a metric counts only in its business hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.business_hours import BusinessHours
from services.core.calendar.intervals import Interval, common, holds, length, without
from services.core.calendar.windows import business_us, open_spans


@dataclass(frozen=True, slots=True)
class CountedTime:
    """The time that counts: all of a window, or the business hours of it.

    ``spans``: what counts of the window ``[start, end)``, in microseconds. What reaches beyond the
    window counts by the same hours there.
    """

    start: int
    end: int
    hours: BusinessHours | None
    spans: tuple[Interval, ...]

    @classmethod
    def of(cls, start: int, end: int, hours: BusinessHours | None) -> CountedTime:
        """The time that counts of a window."""
        spans = ((start, end),) if hours is None else open_spans(start, end, hours)
        return cls(start, end, hours, spans)

    @property
    def total_us(self) -> int:
        """How much of the window counts."""
        return length(self.spans)

    def of_window(self, spans: Sequence[Interval]) -> list[Interval]:
        """What counts of stretches of the window."""
        return list(spans) if self.hours is None else common(spans, self.spans)

    def pieces(self, start: int, end: int) -> list[Interval]:
        """What counts between two instants, which need not lie in the window."""
        if self.hours is None:
            return [(start, end)]
        outside = without([(start, end)], [(self.start, self.end)])
        beyond = [each for span in outside for each in open_spans(*span, self.hours)]
        return sorted([*common([(start, end)], self.spans), *beyond])

    def length(self, start: int, end: int) -> int:
        """How much time counts between two instants; negative where one comes before the other
        and all time counts. Any number of years takes about the same time."""
        if self.hours is None:
            return end - start
        outside = without([(start, end)], [(self.start, self.end)])
        beyond = sum(business_us(since, until, self.hours) for since, until in outside)
        return length(common([(start, end)], self.spans)) + beyond

    def counts(self, start: int, end: int) -> bool:
        """Whether any time between two instants counts; of a single instant, whether it does."""
        if self.hours is None:
            return True
        return self.length(start, end) > 0 or (start == end and self.holds(start))

    def holds(self, moment: int) -> bool:
        """Whether an instant lies in time that counts."""
        if self.hours is None or self.start <= moment < self.end:
            return self.hours is None or holds(self.spans, moment)
        return business_us(moment, moment + 1, self.hours) > 0
