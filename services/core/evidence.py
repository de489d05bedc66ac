"""The events that a line rests on: measurements, charges and circumstances that its terms name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.base import Noun
from schemas.evaluation import EventRef
from services.core.quantities import Asked


def events_behind(asked: Asked) -> tuple[EventRef, ...]:
    """Each event once: what moved the result, then what the credit's terms look at."""
    evidence = asked.result.evidence
    found = list(evidence.telling) if evidence is not None else []
    for field, name in _names(asked.credit):
        found += _EVENTS[field](asked, name)
    return tuple(dict.fromkeys(found))


def _names(noun: Any) -> Iterator[tuple[str, str]]:
    """Every field of a term that names a metric, a base, an amount at risk or a circumstance."""
    if isinstance(noun, tuple):
        for one in noun:
            yield from _names(one)
    elif isinstance(noun, Noun):
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            if field in _EVENTS and isinstance(value, str):
                yield field, value
            else:
                yield from _names(value)


def _of_metric(asked: Asked, name: str) -> tuple[EventRef, ...]:
    figure = asked.figure(name)
    return figure.evidence.telling if figure is not None else ()


def _of_base(asked: Asked, name: str) -> tuple[EventRef, ...]:
    case = asked.case
    charged = case.charges.charged_period(case.version, name, case.period)
    return case.charges.events(name, charged)


def _of_at_risk(asked: Asked, name: str) -> tuple[EventRef, ...]:
    term = next(term for term in asked.case.version.at_risk if term.at_risk == name)
    return _of_base(asked, term.base)


def _of_circumstance(asked: Asked, name: str) -> tuple[EventRef, ...]:
    return tuple(
        fact.event
        for fact in asked.case.known.circumstances(name)
        if fact.circumstance.level in (None, asked.result.level)
        and fact.circumstance.subject in (None, asked.result.subject)
    )


_EVENTS: dict[str, Callable[[Asked, str], tuple[EventRef, ...]]] = {
    "metric": _of_metric,
    "highest": _of_metric,
    "lowest": _of_metric,
    "circumstance": _of_circumstance,
    "asked": _of_circumstance,
    "base": _of_base,
    "at_risk": _of_at_risk,
}
