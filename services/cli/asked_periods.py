"""Which settlement periods of an agreement are asked for, and which of them are over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from schemas.agreement import Agreement
from schemas.period import first_day, label_of, next_label
from services.core.calendar.windows import day_start, microseconds
from services.core.contracts.versions import version_for


@dataclass(frozen=True, slots=True)
class AskedPeriods:
    """The periods that end by a day, in order; ``still_open`` are not over yet at the moment."""

    over: tuple[str, ...]
    still_open: tuple[str, ...]

    def why_open(self) -> str:
        """Why the open ones are not settled, and what to do."""
        first, last = self.still_open[0], last_day(self.still_open[-1])
        more = len(self.still_open) - 1
        after = f", nor are the {more} after it" if more else ""
        return (
            f"the period is not over{after}: its last day is {last_day(first)}; settle it after "
            f"that day, or try the contract with --as-of {last}"
        )


def asked_periods(
    versions: Sequence[Agreement], through: date, now_us: int, time_zone: str
) -> AskedPeriods:
    """The periods of an agreement that end on or before a day. ``time_zone``: the programme's."""
    asked = tuple(_periods(versions, through))
    over = tuple(label for label in asked if end_us(last_day(label), time_zone) <= now_us)
    return AskedPeriods(over, asked[len(over) :])


def end_us(day: date, time_zone: str) -> int:
    """The moment at which a day is over."""
    return microseconds(day_start(day + timedelta(days=1), time_zone))


def last_day(label: str) -> date:
    """The last day of a period."""
    return first_day(next_label(label)) - timedelta(days=1)


def first_period(versions: Sequence[Agreement]) -> str:
    """The first settlement period of an agreement."""
    first = min(versions, key=lambda version: (version.effective_from, version.version))
    return label_of(first.effective_from, first.settled)


def ends_none(agreements: Sequence[Sequence[Agreement]], through: date) -> str | None:
    """Why a day asks for nothing: no period of any agreement ends by it; None where one does."""
    firsts = [(last_day(first_period(one)), one) for one in agreements]
    ends, versions = min(firsts, key=lambda each: each[0], default=(through, ()))
    if ends <= through:
        return None
    return (
        f"--through {through}: no period ends by that day; the first, {first_period(versions)} of "
        f"{versions[0].agreement}, ends with {ends}: write that day or a later one"
    )


def _periods(versions: Sequence[Agreement], through: date) -> Iterator[str]:
    ordered = sorted(versions, key=lambda version: (version.effective_from, version.version))
    day = ordered[0].effective_from
    while True:
        begun = [version for version in ordered if version.effective_from <= day]
        label = label_of(day, begun[-1].settled)
        if last_day(label) > through:
            return
        if version_for(ordered, label) is not None:
            yield label
        day = first_day(next_label(label))
