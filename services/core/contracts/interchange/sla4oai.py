"""SLA4OAI and iAgree: guarantees in as metrics and levels.

What a consumer may use (quotas, rates) and pays (pricing) is no promise of the vendor and is
reported as lost. Compensations of iAgree are conditions over percentages without a base; they are
reported too, and stated anew as credits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from re import compile as pattern
from typing import Any

from schemas.base import day_of, exact, moment_of, written
from schemas.period import PeriodLength
from services.core.contracts.interchange.carried import (
    NO_WORD,
    Imported,
    Losses,
    imported,
    mapping,
    mappings,
    name_of,
    one_of_its_own,
    read_as_text,
    sequence,
)

_OBJECTIVE = pattern(r"\s*([A-Za-z_][\w.-]*)\s*(>=|<=|==|=|>|<)\s*'?(-?[0-9]+(?:\.[0-9]+)?)'?\s*")
_WORDS = {">=": "at_least", ">": "above", "<=": "at_most", "<": "below"}
_PERIODS: Mapping[str, PeriodLength] = {
    "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year",
}  # fmt: skip
_CURRENCY_LIKE = pattern(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class _Guarantee:
    """One objective, where it stands, and which scope it is about."""

    where: str
    scope: str
    body: Mapping[str, Any]


def from_sla4oai(text: str) -> Imported:
    """The contract file of an SLA4OAI document or an iAgree agreement (YAML or JSON).

    One agreement per plan, with the guarantees of the document that the plan does not state anew.
    Raises ValueError for what holds no guarantee.
    """
    documents = [one for one in read_as_text(text) if isinstance(one, Mapping)]
    if len(documents) != 1:
        raise ValueError("give one document")
    (document,) = documents
    losses = Losses()
    terms = mapping(document, "terms") or document
    metrics: list[dict[str, Any]] = []
    agreements = [
        _agreement(document, terms, plan, name, metrics, losses)
        for name, plan in (mapping(terms, "plans") or {"": {}}).items()
    ]
    if not any(one["levels"] for one in agreements):
        raise ValueError("the document holds no guarantee; give one with guarantees")
    _unsaid(document, terms, losses)
    programme = _programme(document, losses)
    return imported({**programme, "metrics": metrics}, agreements, losses)


def _unsaid(document: Mapping[str, Any], terms: Mapping[str, Any], losses: Losses) -> None:
    known = ("id", "version", "type", "sla", "context", "terms", "provider", "metrics",
             "guarantees", "plans", "quotas", "rates", "pricing")  # fmt: skip
    losses.of_fields("", document, known)
    if terms is not document:
        losses.of_fields("terms", terms, known)
    _unsaid_of_use(terms, "", losses)
    for name, plan in mapping(terms, "plans").items():
        where = f"plans.{name}"
        _unsaid_of_use(plan, f"{where}.", losses)
        losses.of_fields(where, plan, ("guarantees", "quotas", "rates", "pricing"))


def _unsaid_of_use(node: Mapping[str, Any], where: str, losses: Losses) -> None:
    for name in ("quotas", "rates"):
        if mapping(node, name) or sequence(node, name):
            losses.add(f"{where}{name}", "limits of use are no promise of the vendor")
    for name in mapping(node, "pricing"):
        if name != "currency":
            losses.add(f"{where}pricing.{name}", "what is charged comes as events, not here")


def _programme(document: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    context = mapping(document, "context")
    known = ("id", "provider", "consumer", "validity", "sla", "type", "version")
    losses.of_fields("context", context, known)
    provider, consumer = _party(document, "provider"), _party(document, "consumer")
    zone = mapping(context, "validity").get("timeZone")
    programme: dict[str, Any] = {"kind": "programme", "language": 2}
    if consumer is not None:
        programme["buyer"] = name_of(consumer, losses, "context.consumer")
    if zone is not None:
        programme["time_zone"] = str(zone)
    if provider is not None:
        vendor = name_of(provider, losses, "provider")
        programme["vendors"] = [{"vendor": vendor, "name": provider}]
    return programme


def _party(document: Mapping[str, Any], role: str) -> str | None:
    said = mapping(document, "context").get(role) or document.get(role)
    if isinstance(said, Mapping):
        said = said.get("id") or said.get("name")
    return str(said) if said else None


def _agreement(
    document: Mapping[str, Any],
    terms: Mapping[str, Any],
    plan: Mapping[str, Any],
    plan_name: str,
    metrics: list[dict[str, Any]],
    losses: Losses,
) -> dict[str, Any]:
    context = mapping(document, "context")
    agreement: dict[str, Any] = {"kind": "agreement", "language": 2}
    named = context.get("id") or document.get("id")
    if named is not None or plan_name:
        words = "-".join(str(one) for one in (named, plan_name) if one)
        agreement["agreement"] = name_of(words, losses, "context.id")
    provider = _party(document, "provider")
    if provider is not None:
        agreement["vendor"] = name_of(provider, losses, "provider")
    currency = mapping(plan, "pricing").get("currency") or mapping(terms, "pricing").get("currency")
    if currency is not None and _CURRENCY_LIKE.fullmatch(str(currency)):
        agreement["currency"] = str(currency)
    elif currency is not None:
        losses.add("pricing.currency", f"'{currency}' is no code of ISO 4217")
    _validity(mapping(context, "validity"), agreement, losses)
    levels: list[dict[str, Any]] = []
    for guarantee in _in_force(terms, plan, f"plans.{plan_name}", losses):
        level = _level(guarantee, mapping(terms, "metrics"), metrics, losses)
        if level is not None:
            taken = [one["level"] for one in levels]
            levels.append({**level, "level": one_of_its_own(level["level"], taken)})
    return {**agreement, "levels": levels}


def _validity(validity: Mapping[str, Any], agreement: dict[str, Any], losses: Losses) -> None:
    names = {
        "effectiveDate": "effective_from", "initial": "effective_from",
        "expirationDate": "effective_until", "end": "effective_until",
    }  # fmt: skip
    for theirs, ours in names.items():
        if theirs not in validity:
            continue
        said = str(validity[theirs])
        try:
            moment = moment_of(said) if len(said) > len("2025-01-01") else day_of(said)
        except ValueError:
            losses.add(f"validity.{theirs}", f"'{said}' is no date")
            continue
        agreement[ours] = moment.isoformat()[: len("2025-01-01")]
        if isinstance(moment, datetime) and moment.time() != time():
            losses.add(f"validity.{theirs}", f"the time of {said}; versions begin at midnight")


def _in_force(
    terms: Mapping[str, Any], plan: Mapping[str, Any], where: str, losses: Losses
) -> Iterator[_Guarantee]:
    """The document's guarantees but those on scopes that the plan speaks of, then the plan's."""
    own = list(_guarantees(plan, f"{where}.guarantees", losses))
    scopes = {one.scope for one in own}
    yield from (one for one in _guarantees(terms, "guarantees", losses) if one.scope not in scopes)
    yield from own


def _guarantees(node: Mapping[str, Any], where: str, losses: Losses) -> Iterator[_Guarantee]:
    """Guarantees by path and method (SLA4OAI), or in a list with ``of`` (iAgree)."""
    for number, guarantee in enumerate(mappings(node, "guarantees", losses, where)):
        scope, at = str(guarantee.get("id", number)), f"{where}[{number}].of"
        for place, body in enumerate(mappings(guarantee, "of", losses, at)):
            yield _Guarantee(f"{at}[{place}]", scope, body)
    for path, methods in mapping(node, "guarantees").items():
        if not isinstance(methods, Mapping):
            losses.add(f"{where}.{path}", "holds no methods with guarantees, as it should")
            continue
        for method in methods:
            at = f"{where}.{path}.{method}"
            for number, body in enumerate(mappings(methods, method, losses, at)):
                yield _Guarantee(f"{at}[{number}]", f"{path} {method}", body)


def _level(
    guarantee: _Guarantee,
    declared: Mapping[str, Any],
    metrics: list[dict[str, Any]],
    losses: Losses,
) -> dict[str, Any] | None:
    body, where = guarantee.body, guarantee.where
    said = str(body.get("objective", ""))
    found = _OBJECTIVE.fullmatch(said)
    if found is None:
        losses.add(where, f"the objective '{said}' is no comparison of a metric with a number")
        return None
    source, operator, limit = found.groups()
    word = _WORDS.get(operator, NO_WORD)
    metric = _metric(source, word, mapping(declared, source), metrics, losses)
    scope = "" if guarantee.scope.startswith("global") else f" {guarantee.scope}"
    level: dict[str, Any] = {
        "level": name_of(f"{source}{scope}", losses, where),
        "name": f"{said.strip()}{scope}",
        "metric": metric,
        "expected": {word: written(exact(limit))},
    }
    window = mapping(body, "window")
    kind = window.get("type") or body.get("window")
    period = str(window.get("period") or body.get("period"))
    if kind == "dynamic":
        losses.add(f"{where}.window", f"a window that moves, {period}; periods are the calendar's")
        level["measured"] = f"{kind} {period}"
    else:
        level["measured"] = _PERIODS.get(period, period)
    for name in ("penalties", "rewards"):
        for number, one in enumerate(sequence(body, name)):
            losses.add(f"{where}.{name}[{number}]", f"state it as a credit: {_told(one)}")
    losses.of_fields(where, body, ("objective", "period", "window", "penalties", "rewards"))
    return level


def _told(compensation: Any) -> str:
    """A compensation in one line."""
    parts = [
        f"{one.get('value')} if {one.get('condition')}"
        for one in sequence(compensation, "of")
        if isinstance(one, Mapping)
    ]
    over = ", ".join(mapping(compensation, "over"))
    limit = compensation.get("upTo") if isinstance(compensation, Mapping) else None
    until = f", up to {limit}" if limit is not None else ""
    return f"{over or 'amount'}: {'; '.join(parts) or 'nothing'}{until}"


def _metric(
    source: str,
    word: str,
    declared: Mapping[str, Any],
    metrics: list[dict[str, Any]],
    losses: Losses,
) -> str:
    """Adds the metric where it is not there yet; gives its name. Unit and measure stay open."""
    known = [one for one in metrics if one["name"] in (source, declared.get("description"))]
    if known:
        return str(known[0]["metric"])
    where = f"metrics.{source}"
    metric: dict[str, Any] = {
        "metric": one_of_its_own(
            name_of(source, losses, where), [one["metric"] for one in metrics]
        ),
        "name": str(declared.get("description") or source),
    }
    if word != NO_WORD:
        metric["better"] = "higher" if word in ("at_least", "above") else "lower"
    losses.of_fields(where, declared, ("description",))
    metrics.append(metric)
    return str(metric["metric"])
