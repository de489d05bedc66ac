"""Versions of a programme that start inside a period which one version must rule as a whole.

A metric is counted by the version in force on the first day of its window, and shared caps cut by
the one in force on the first day of the settlement period. A version that changes either in
between would do nothing before the next period, so it is refused. What is by the instant may change
on any day: sources, vendors, names, how many decimals a value may have, and metrics that nobody
reads in that period. Where tickets are counted, the vendors' sources say who holds a ticket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from schemas.agreement import Agreement
from schemas.ceiling import OfAgreements, OfProgramme, SharedCap
from schemas.composites import Composite
from schemas.period import PeriodLength, first_day, label_of, next_label
from schemas.programme import (
    Metric,
    Programme,
    TicketsInTime,
)
from services.core.events.wanted import wanted

_BY_INSTANT = ("name", "decimals", "several_sources")
"""Fields of a metric that are held against each event, or shown, and count nothing.

That all sources are added counts as one source does; one that is binding is looked at by itself.
"""


@dataclass(frozen=True, slots=True)
class MidPeriodStart:
    """A programme version that starts inside a period of an agreement.

    ``changes``: what it changes there, in words. ``periods``: the periods that it falls into.
    """

    programme: Programme
    agreement: Agreement
    changes: tuple[str, ...]
    periods: tuple[str, ...]

    @property
    def reason(self) -> str:
        """What is wrong, naming the agreement and the day."""
        one, other = self.programme, self.agreement
        return (
            f"version {one.version} of the programme {one.programme} starts on "
            f"{one.effective_from}, inside {' and '.join(self.periods)} of agreement "
            f"{other.agreement} (settled by {other.settled}), and changes "
            f"{', '.join(self.changes)}, which one version rules for the whole of a period"
        )

    @property
    def days(self) -> tuple[date, date]:
        """The days next to it on which it could start: before, and after."""
        ends = {one: first_day(next_label(one)) for one in self.periods}
        longest = max(ends, key=lambda one: ends[one] - first_day(one))
        return first_day(longest), ends[longest]

    @property
    def remedy(self) -> str:
        """What to do."""
        before, after = self.days
        return f"let it start on {before} or {after}, or leave that as it was"


def mid_period_starts(
    programmes: Sequence[Programme], agreements: Sequence[Agreement]
) -> Iterator[MidPeriodStart]:
    """Every start inside a period, by programme version and agreement.

    ``programmes``: versions of one programme. ``agreements``: versions of its agreements.
    """
    by_name: dict[str, list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda one: (one.agreement, one.effective_from)):
        by_name.setdefault(agreement.agreement, []).append(agreement)
    for new in sorted(programmes, key=lambda one: one.version):
        old = _before(programmes, new)
        if old is None:
            continue
        for versions in by_name.values():
            found = _start(old, new, versions)
            if found is not None:
                yield found


def _before(programmes: Sequence[Programme], new: Programme) -> Programme | None:
    """The version in force on the day before a version starts."""
    begun = [
        one
        for one in programmes
        if one.version < new.version and one.effective_from < new.effective_from
    ]
    return max(begun, key=lambda one: one.version, default=None)


def _start(old: Programme, new: Programme, versions: Sequence[Agreement]) -> MidPeriodStart | None:
    day = new.effective_from
    agreement = _covering(versions, first_day(label_of(day, versions[0].settled)))
    if agreement is None:
        return None
    changes: dict[str, str] = {}
    for each in wanted(agreement):
        inside = _inside(day, each.measured)
        if inside and _read(old, each.metric) != _read(new, each.metric):
            changes[f"the metric {each.metric}"] = inside
    inside = _inside(day, agreement.settled)
    if inside and _caps(old, agreement) != _caps(new, agreement):
        changes["the shared caps over it"] = inside
    if not changes:
        return None
    periods = tuple(sorted(set(changes.values()), key=lambda one: (first_day(one), one)))
    return MidPeriodStart(new, agreement, tuple(changes), periods)


def _covering(versions: Sequence[Agreement], day: date) -> Agreement | None:
    """The version in force on a day; None where none is."""
    begun = [one for one in versions if one.effective_from <= day]
    if not begun:
        return None
    until = begun[-1].effective_until
    return begun[-1] if until is None or day < until else None


def _inside(day: date, length: PeriodLength) -> str:
    """The period that a day lies in, where it does not begin it; else nothing."""
    label = label_of(day, length)
    return "" if first_day(label) == day else label


def _read(programme: Programme, name: str) -> Mapping[str, Any]:
    """How a metric is counted, with the metrics that it is made of."""
    found: dict[str, Any] = {}
    names = [name]
    while names:
        metric: Metric | None = programme.metric(names.pop())
        if metric is None or metric.metric in found:
            continue
        found[metric.metric] = (
            metric.model_dump(exclude=set(_BY_INSTANT)),
            metric.binding,
            _holders(programme, metric),
        )
        if isinstance(metric.measure, Composite):
            names += metric.measure.parts
    return found


def _holders(programme: Programme, metric: Metric) -> Mapping[str, str]:
    """The sources whose tickets are with a vendor from the beginning."""
    if not isinstance(metric.measure, TicketsInTime):
        return {}
    return {
        one.source: one.reports_for
        for one in programme.sources
        if one.reports_for != programme.buyer
    }


def _caps(programme: Programme, agreement: Agreement) -> Sequence[SharedCap]:
    """The shared caps over an agreement."""
    return [cap for cap in programme.shared_caps if _covers(cap, agreement)]


def _covers(cap: SharedCap, agreement: Agreement) -> bool:
    if isinstance(cap.over, OfAgreements):
        return agreement.agreement in cap.over.agreements
    return isinstance(cap.over, OfProgramme) or cap.over.vendor == agreement.vendor
