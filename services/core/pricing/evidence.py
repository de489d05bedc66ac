"""The events that a line rests on: measurements, charges and circumstances that its terms name."""

from __future__ import annotations

from collections.abc import Callable

from schemas.credit import Duration
from schemas.evaluation import EventRef
from schemas.nested import names_in
from schemas.statement import Step
from services.core.calendar.windows import overlaps
from services.core.exact.arithmetic import listed
from services.core.inputs.absence import half_text
from services.core.inputs.known import says_yes
from services.core.inputs.worksheet import step
from services.core.pricing.quantities import PricingContext


def events_behind(pricing: PricingContext) -> tuple[EventRef, ...]:
    """Each event once: what moved the result, then what the credit's terms look at.

    Also who says whom an occurrence is attributed to.
    """
    evidence = pricing.result.evidence
    found = list(evidence.telling) if evidence is not None else []
    whole = pricing.attributed(pricing.result.metric or "")
    found += whole.events if whole is not None else ()
    for field, name in names_in(pricing.credit, _EVENTS):
        found += _EVENTS[field](pricing, name)
    return tuple(dict.fromkeys(found))


def halves_behind(pricing: PricingContext) -> tuple[Step, ...]:
    """What lacks a half in the figures that a credit reads beside the level's own."""
    read = [
        name for field, name in names_in(pricing.credit, _EVENTS) if _EVENTS[field] is _of_metric
    ]
    figures = {name: pricing.figure(name) for name in read if name != pricing.result.metric}
    return tuple(
        step("incomplete", pricing.term, f"{name}: {half_text(pricing.context, half)}")
        for name, figure in figures.items()
        if figure is not None
        for half in figure.incomplete
    )


def asked_for_nothing(pricing: PricingContext) -> tuple[Step, ...]:
    """What the buyer asked to have counted although no figure of the period counts it."""
    term = pricing.credit.quantity
    if not isinstance(term, Duration) or term.asked is None or term.of != "each":
        return ()
    inputs, result = pricing.context.inputs, pricing.result
    metric = term.metric or result.metric
    known = {
        part.part
        for figure in inputs.evaluation.figures
        if figure.metric == metric
        for part in (*figure.parts, *figure.touching)
    }
    asked = {
        fact.circumstance.subject
        for fact in inputs.stated(term.asked)
        if overlaps(fact.circumstance.period, result.period)
        and fact.circumstance.level in (None, result.level)
        and says_yes(fact)
    }
    names = sorted(filter(None, asked - known))
    if not names:
        return ()
    text = (
        f"{term.asked} asks for {listed(names)}, which no figure of {pricing.context.period} "
        "counts: correct the name if it should"
    )
    return (step("not-asked", f"{pricing.term}.quantity", text),)


def _of_metric(pricing: PricingContext, name: str) -> tuple[EventRef, ...]:
    figure = pricing.figure(name)
    return figure.evidence.telling if figure is not None else ()


def _of_base(pricing: PricingContext, name: str) -> tuple[EventRef, ...]:
    context = pricing.context
    charged = context.charges.charged_period(context.version, name, context.period)
    return context.charges.events(name, charged)


def _of_at_risk(pricing: PricingContext, name: str) -> tuple[EventRef, ...]:
    term = next(term for term in pricing.context.version.at_risk if term.at_risk == name)
    return _of_base(pricing, term.base)


def _of_circumstance(pricing: PricingContext, name: str) -> tuple[EventRef, ...]:
    result = pricing.result
    facts = pricing.context.inputs.holding(name, result.period, result.level, result.subject)
    return tuple(fact.event for fact in facts)


_EVENTS: dict[str, Callable[[PricingContext, str], tuple[EventRef, ...]]] = {
    "metric": _of_metric,
    "highest": _of_metric,
    "lowest": _of_metric,
    "circumstance": _of_circumstance,
    "asked": _of_circumstance,
    "base": _of_base,
    "at_risk": _of_at_risk,
}
