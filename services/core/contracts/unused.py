"""What is declared and never read: warnings, since facts about it may still be reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.agreement import Agreement
from schemas.base import Noun
from schemas.composites import Composite
from schemas.level import BelowMinimumOnly, Level, Misses
from schemas.programme import (
    Programme,
)
from services.core.contracts.references import metrics_in, names_used
from services.core.contracts.versions import covers


def unused(agreements: Sequence[Agreement], programmes: Sequence[Programme]) -> tuple[str, ...]:
    """A sentence for each metric, base and minimum level that nothing reads.

    ``agreements``: all versions that are known, resolved. ``programmes``: those to look at; one
    without agreements has nothing that could be used.
    """
    found = [one for programme in programmes for one in _metrics(programme, agreements)]
    for agreement in agreements:
        found += _bases(agreement, programmes)
        found += _minimums(agreement)
    return tuple(dict.fromkeys(found))


def _metrics(programme: Programme, agreements: Sequence[Agreement]) -> Iterator[str]:
    own = [one for one in agreements if one.programme == programme.programme]
    if not own:
        return
    named = {name for agreement in own for _, name in metrics_in(agreement)}
    read = frozenset().union(*(_with_parts(programme, name) for name in named))
    for metric in programme.metrics:
        if metric.metric in read:
            continue
        sources = programme.sources_of(metric.metric)
        reported = f", although {', '.join(sources)} may report it" if sources else ""
        yield (
            f"{programme.programme} version {programme.version}, metric {metric.metric}: no level "
            f"or term of an agreement uses it{reported}; leave it out, or name it in a level"
        )


def _with_parts(programme: Programme, name: str) -> frozenset[str]:
    """A metric and all that it is made of, or excused by."""
    metric = programme.metric(name)
    if metric is None:
        return frozenset({name})
    made_of = metric.measure.parts if isinstance(metric.measure, Composite) else ()
    above = (one.metric for one in metric.upstreams)
    parts = (_with_parts(programme, part) for part in (*made_of, *above))
    return frozenset({name}).union(*parts)


def _bases(agreement: Agreement, programmes: Sequence[Programme]) -> Iterator[str]:
    read = set(_bases_in(agreement))
    for programme in programmes:
        for cap in programme.shared_caps:
            if cap.limit.kind == "percent_of" and covers(
                cap, agreement.agreement, agreement.vendor
            ):
                read.add(cap.limit.base)
    for base in agreement.bases:
        if base.base not in read:
            yield (
                f"{agreement.agreement} version {agreement.version}, base {base.base}: no term "
                "reads it, so its charges change nothing; leave it out, or name it where it counts"
            )


def _bases_in(noun: Any) -> Iterator[str]:
    """Every base that a term reads; not where it is declared."""
    if isinstance(noun, tuple):
        for one in noun:
            yield from _bases_in(one)
    elif isinstance(noun, Noun):
        declares = next(iter(type(noun).model_fields))
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            if field in ("base", "cost") and isinstance(value, str) and field != declares:
                yield value
            else:
                yield from _bases_in(value)


def _minimums(agreement: Agreement) -> Iterator[str]:
    for level in agreement.levels:
        if level.minimum is not None and not _minimum_is_read(level, agreement):
            yield (
                f"{agreement.agreement} version {agreement.version}, level {level.level}: the "
                "minimum is shown in the standing and changes no amount; let defaults, an "
                "earn-back or a critical failure read it, or leave it out"
            )


def _minimum_is_read(level: Level, agreement: Agreement) -> bool:
    critical = agreement.critical_failure
    return (
        isinstance(level.defaults, BelowMinimumOnly | Misses)
        or (critical is not None and critical.level == level.level)
        or any(
            term.barred_below_minimum and (not term.levels or level.level in term.levels)
            for term in agreement.earn_backs
        )
        or any("standing" in names_used(credit) for credit in level.credits)
    )
