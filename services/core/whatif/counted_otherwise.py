"""Where another contract counts figures of past periods in another way, and where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.agreement import Agreement
from schemas.composites import Composite
from schemas.programme import (
    Metric,
    Programme,
    TicketsInTime,
)
from services.core.calendar.windows import parts_of
from services.core.counting.evaluation import programme_at, window_at
from services.core.counting.measures.counting import with_parts
from services.core.counting.measures.question import Need
from services.core.events.rules import KINDS_OF_MEASURE
from services.core.events.wanted import wanted

_NOT_COUNTED = {"name": "", "tally_window": "minute", "decimals": 0, "several_sources": None}
"""Of a metric: what people read, how the early view is cut, which events are accepted.

That all sources are added counts as one source does; one that is binding is looked at by itself.
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A metric that an agreement asks for in a window, with the parts that it is made of."""

    metric: str
    label: str
    names: frozenset[str]


def counted_otherwise(
    agreement: Agreement, was: Sequence[Programme], would: Sequence[Programme], period: str
) -> tuple[str, ...]:
    """The metrics an agreement asks for in a period that are counted in another way, by name.

    ``was`` and ``would``: versions of its programme as they are, and as they might be.
    """
    found = {
        asked.metric
        for asked in _asked(agreement, would, period)
        if window_at(was, asked.label) != window_at(would, asked.label)
        or any(
            _way(programme_at(was, asked.label), name)
            != _way(programme_at(would, asked.label), name)
            for name in asked.names
        )
    }
    return tuple(sorted(found))


def cannot_be_counted(
    agreement: Agreement, taken_by: Sequence[Programme], would: Sequence[Programme], period: str
) -> tuple[str, ...]:
    """Why facts that were taken under some versions do not do for what an agreement asks for.

    Facts were judged by these versions when they came: what they refused was never stored, and what
    they took stays stored.
    """
    found = {
        reason: None
        for asked in _asked(agreement, would, period)
        for name in sorted(asked.names)
        for reason in _unfit(name, taken_by, programme_at(would, asked.label))
    }
    return tuple(found)


def _asked(agreement: Agreement, programmes: Sequence[Programme], period: str) -> Iterator[_Asked]:
    for each in wanted(agreement):
        for label in parts_of(period, each.measured):
            needs = with_parts(programme_at(programmes, label), [Need(each.metric, None, label)])
            yield _Asked(each.metric, label, frozenset(need.metric for need in needs))


def _way(programme: Programme, name: str) -> object:
    """All of a metric that figures of facts once taken depend on."""
    metric = programme.metric(name)
    if metric is None:
        return None
    parties: object = None
    if isinstance(metric.measure, TicketsInTime):
        holders = {(source.source, source.reports_for) for source in programme.sources}
        parties = holders, {vendor.vendor for vendor in programme.vendors}
    return metric.model_copy(update=_NOT_COUNTED), metric.binding, parties


def _unfit(name: str, taken_by: Sequence[Programme], would: Programme) -> Iterator[str]:
    metric = would.metric(name)
    if metric is None or isinstance(metric.measure, Composite):
        return
    taken = {kind for one in taken_by for kind in _kinds(one.metric(name))}
    if not taken:
        yield f"no event of {name} was ever taken"
    elif not taken <= _kinds(metric):
        yield f"{name} was reported by events that {metric.measure.kind} does not count"
    reported = {source for one in taken_by for source in one.sources_of(name)}
    for source in sorted(reported.difference(would.sources_of(name))):
        yield f"{source} reported {name} and would not be allowed to"


def _kinds(metric: Metric | None) -> frozenset[int]:
    return frozenset(KINDS_OF_MEASURE[metric.measure.kind]) if metric else frozenset()
