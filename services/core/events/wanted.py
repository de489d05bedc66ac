"""Which figures the agreements ask for, and in windows of which length."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.agreement import Agreement
from schemas.composites import Composite
from schemas.nested import names_in
from schemas.period import PeriodLength
from schemas.programme import (
    Programme,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one settlement period of an agreement wants to know of a metric.

    ``measured``: the length of its windows. ``subject`` None: all together. ``each_subject``:
    also every one alone. ``if_reported``: a subject that matters only where it has facts.
    """

    metric: str
    measured: PeriodLength
    subject: str | None
    each_subject: bool = False
    if_reported: bool = False


def wanted(agreement: Agreement) -> tuple[Wanted, ...]:
    """The metrics of all levels, and those that other terms look at, each once, in order."""
    found: dict[Wanted, None] = {}
    for level in agreement.levels:
        measured = level.measured or agreement.settled
        own = Wanted(level.metric, measured, level.subject, level.each_subject)
        found[own] = None
        for subject in level.subjects:
            found[Wanted(level.metric, measured, subject)] = None
        for metric in sorted(_metrics_in((level.credits, level.relief))):
            found[Wanted(metric, measured, None, level.each_subject)] = None
            if level.subject is not None:
                found[Wanted(metric, measured, level.subject, if_reported=True)] = None
    for metric in sorted(_metrics_in(agreement.terminations)):
        found[Wanted(metric, agreement.settled, None)] = None
    return tuple(found)


def looks_at(
    versions: Sequence[Programme], agreement: Agreement, metric: str, subject: str | None
) -> bool:
    """Whether an agreement is settled by what is reported of a metric and a subject.

    ``versions``: of its programme. ``subject`` None: what is reported of no subject.
    """
    return any(
        each.subject in (None, subject) or subject is None
        for each in wanted(agreement)
        if metric == each.metric or metric in _parts_of(versions, each.metric)
    )


_METRIC_FIELDS = frozenset({"metric", "highest", "lowest"})


def _metrics_in(term: object) -> set[str]:
    """Names of metrics anywhere inside a term."""
    return {name for _, name in names_in(term, _METRIC_FIELDS)}


def lengths_asked(
    versions: Sequence[Programme], agreements: Iterable[Agreement]
) -> dict[str, frozenset[PeriodLength]]:
    """By metric, the lengths of the windows in which agreements ask for its figures.

    ``versions``: of one programme. A composite asks for its parts. A metric that nobody asks for
    is left out.
    """
    found: dict[str, frozenset[PeriodLength]] = {}
    for agreement in agreements:
        for each in wanted(agreement):
            for metric in {each.metric, *_parts_of(versions, each.metric)}:
                found[metric] = found.get(metric, frozenset()) | {each.measured}
    return found


def metrics_read(versions: Sequence[Programme], agreements: Iterable[Agreement]) -> frozenset[str]:
    """The metrics that agreements are settled by, with the parts of composites and heartbeats.

    ``versions``: of one programme.
    """
    found = set(lengths_asked(versions, agreements))
    beats = {
        metric.heartbeat.metric
        for version in versions
        for metric in version.metrics
        if metric.metric in found and metric.heartbeat is not None
    }
    return frozenset(found | beats | upstream_of(versions, found))


def upstream_of(versions: Sequence[Programme], names: Collection[str]) -> frozenset[str]:
    """The metrics whose outages excuse those of others, and what is upstream of them."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        metrics = (version.metric(name) for version in versions)
        above = {one.metric for metric in metrics if metric is not None for one in metric.upstreams}
        waiting |= above - found
        found |= above
    return frozenset(found)


def read_beside_levels(agreement: Agreement) -> frozenset[str]:
    """The metrics that prices, reliefs and rights read."""
    terms = [(level.credits, level.relief) for level in agreement.levels]
    return frozenset(_metrics_in((*terms, agreement.terminations)))


def _parts_of(versions: Sequence[Programme], name: str) -> Iterator[str]:
    """The parts of a metric, and theirs, in any version."""
    for version in versions:
        metric = version.metric(name)
        if metric is not None and isinstance(metric.measure, Composite):
            for part in metric.measure.parts:
                yield part
                yield from _parts_of((version,), part)
