"""OpenSLO v1: objectives in as metrics and levels; levels out as objectives.

An objective has no parties, no money and no calendar of settlement, and does not say whether a
result equal to its target meets it; all of that must be stated afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.agreement import Agreement
from schemas.base import written
from schemas.level import Level
from schemas.period import PeriodLength
from schemas.period_cycle import cycle_of
from schemas.programme import Metric, Programme, WithinLimit
from services.core.contracts.interchange.carried import (
    EITHER_ABOVE,
    Exported,
    Imported,
    Losses,
    exact_number,
    imported,
    mapping,
    mappings,
    name_of,
    one_of_its_own,
    read_as_text,
    sequence,
)

VERSION = "openslo/v1"
_CALENDAR: Mapping[str, PeriodLength] = {
    "1d": "day", "1w": "week", "1M": "month", "1Q": "quarter", "3M": "quarter",
    "6M": "half_year", "1Y": "year",
}  # fmt: skip
_SHORT: Mapping[tuple[int, int], str] = {
    (1, 0): "1d", (7, 0): "1w", (28, 0): "4w", (0, 1): "1M", (0, 3): "1Q", (0, 6): "6M",
    (0, 12): "1Y",
}  # fmt: skip
"""By the days and the months of a period; where it begins is said by the calendar's start."""
_SHARES = ("availability_by_samples", "availability_by_status", "availability_by_outages")


@dataclass(slots=True)
class _ImportDraft:
    """What the documents come to so far."""

    losses: Losses = field(default_factory=Losses)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    levels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    windows: dict[str, list[str]] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)


def from_openslo(text: str) -> Imported:
    """The contract file of all SLOs of a text: a metric and a level for each objective.

    One agreement per service. Raises ValueError for what is no OpenSLO v1 or holds no SLO.
    """
    documents = [one for one in read_as_text(text) if isinstance(one, Mapping)]
    for one in documents:
        if one.get("apiVersion") != VERSION:
            raise ValueError(f"apiVersion is {one.get('apiVersion')}; only {VERSION} is read")
    indicators = {
        mapping(one, "metadata").get("name"): one for one in documents if one.get("kind") == "SLI"
    }
    slos = [one for one in documents if one.get("kind") == "SLO"]
    if not slos:
        raise ValueError("there is no document of kind SLO; give one")
    found = _ImportDraft()
    for one in documents:
        if one.get("kind") not in ("SLO", "SLI"):
            name = f"{one.get('kind')} {mapping(one, 'metadata').get('name')}"
            found.losses.add(name, "has no place in a contract file")
    for slo in slos:
        _slo(slo, indicators, found)
    return _put_together(found)


def _put_together(found: _ImportDraft) -> Imported:
    programme: dict[str, Any] = {"kind": "programme", "language": 2}
    if len(set(found.zones)) == 1:
        programme["time_zone"] = found.zones[0]
    elif found.zones:
        found.losses.add("timeWindow", f"several time zones: {', '.join(sorted(set(found.zones)))}")
    programme["metrics"] = found.metrics
    agreements = []
    for service, levels in found.levels.items():
        agreement: dict[str, Any] = {"kind": "agreement", "language": 2, "agreement": service}
        windows = found.windows[service]
        if len(set(windows)) == 1:
            agreement["settled"] = windows[0]
        else:
            for level, window in zip(levels, windows, strict=True):
                level["measured"] = window
        agreements.append({**agreement, "levels": levels})
    return imported(programme, agreements, found.losses)


def _slo(
    slo: Mapping[str, Any], indicators: Mapping[Any, Mapping[str, Any]], found: _ImportDraft
) -> None:
    spec, metadata = mapping(slo, "spec"), mapping(slo, "metadata")
    name = str(metadata.get("name", "slo"))
    at = f"SLO {name}"
    known = ("description", "service", "indicator", "indicatorRef", "timeWindow",
             "budgetingMethod", "objectives")  # fmt: skip
    found.losses.of_fields(at, spec, known)
    found.losses.of_fields(f"{at}.metadata", metadata, ("name", "displayName"))
    indicator = mapping(spec, "indicator") or indicators.get(spec.get("indicatorRef"), {})
    service = name_of(str(spec.get("service", name)), found.losses, f"{at}.service")
    window = _window(sequence(spec, "timeWindow"), at, found)
    objectives = mappings(spec, "objectives", found.losses, f"{at}.objectives")
    if "description" in spec and "displayName" in metadata:
        found.losses.add(f"{at}.description", "the level is named by displayName")
    for number, objective in enumerate(objectives, start=1):
        where = f"{at}.objectives[{number - 1}]"
        metric = _metric(indicator, spec, objective, where, found)
        level = _level(metadata, spec, objective, where, found)
        level["metric"] = metric
        own = name if len(objectives) == 1 else f"{name}-{number}"
        levels = found.levels.setdefault(service, [])
        taken = [one["level"] for one in levels]
        levels.append({"level": one_of_its_own(name_of(own, found.losses, at), taken), **level})
        found.windows.setdefault(service, []).append(window)


def _window(windows: Sequence[Any], at: str, found: _ImportDraft) -> str:
    """The calendar period of a window; where there is none, words that reading refuses."""
    window = windows[0] if windows else None
    where = f"{at}.timeWindow"
    if not isinstance(window, Mapping):
        return "not stated"
    duration = str(window.get("duration"))
    if str(window.get("isRolling")).lower() == "true":
        found.losses.add(where, f"a rolling window of {duration}; periods are the calendar's")
        return f"rolling {duration}"
    calendar = mapping(window, "calendar")
    if "timeZone" in calendar:
        found.zones.append(str(calendar["timeZone"]))
    if "startTime" in calendar:
        found.losses.add(
            f"{where}.startTime", f"{calendar['startTime']}; periods begin at midnight"
        )
    if duration not in _CALENDAR:
        found.losses.add(f"{where}.duration", f"'{duration}' is no calendar period here")
    return _CALENDAR.get(duration, duration)


def _metric(
    indicator: Mapping[str, Any],
    spec: Mapping[str, Any],
    objective: Mapping[str, Any],
    where: str,
    found: _ImportDraft,
) -> str:
    """Adds the objective's metric where it is not there yet; gives its name."""
    metadata, body = mapping(indicator, "metadata"), mapping(indicator, "spec")
    source = str(metadata.get("name") or spec.get("indicatorRef") or spec.get("service", "metric"))
    name = name_of(source, found.losses, where)
    metric: dict[str, Any] = {"metric": name, "name": str(metadata.get("displayName") or source)}
    sliced = spec.get("budgetingMethod") in ("Timeslices", "RatioTimeslices")
    threshold = "thresholdMetric" in body
    if sliced:
        _slices(objective, where, found)
        measure: dict[str, Any] | None = {"kind": "availability_by_samples"}
    elif threshold:
        measure = _within(objective, where, found)
    elif "ratioMetric" in body:
        measure = {"kind": "ratio"}
    else:
        measure = None
        found.losses.add(where, "the indicator is given elsewhere; state the measure")
    for part in ("thresholdMetric", *mapping(body, "ratioMetric")):
        if part in body or part in mapping(body, "ratioMetric"):
            found.losses.add(f"indicator {source}.{part}", "how it is queried")
    if measure is None or measure["kind"] != "within_limit":
        metric["unit"] = "percent"
    metric["better"] = "higher"
    if measure is not None:
        metric["measure"] = measure
    same = [one for one in found.metrics if _without_name(one) == _without_name(metric)
            and str(one["metric"]).startswith(name)]  # fmt: skip
    if same:
        return str(same[0]["metric"])
    metric["metric"] = one_of_its_own(name, [one["metric"] for one in found.metrics])
    found.metrics.append(metric)
    return str(metric["metric"])


def _without_name(metric: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in metric.items() if field != "metric"}


def _slices(objective: Mapping[str, Any], where: str, found: _ImportDraft) -> None:
    window, target = (objective.get(name) for name in ("timeSliceWindow", "timeSliceTarget"))
    of = "" if target is None else f" (good from {target})"
    found.losses.add(
        f"{where}.timeSliceTarget", f"the source must judge each slice of {window}{of}, as a sample"
    )


def _within(objective: Mapping[str, Any], where: str, found: _ImportDraft) -> dict[str, Any]:
    """Values under a limit; for values over one the source counts good and total."""
    operator, value = (objective.get(name) for name in ("op", "value"))
    if operator in ("lt", "lte") and value is not None:
        return {
            "kind": "within_limit",
            "limit": written(exact_number(value, f"{where}.value")),
            "equal_is_within": operator == "lte",
        }
    found.losses.add(f"{where}.op", f"'{operator} {value}': the source must count good and total")
    return {"kind": "ratio"}


def _level(
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    objective: Mapping[str, Any],
    where: str,
    found: _ImportDraft,
) -> dict[str, Any]:
    names = (metadata.get("displayName") or spec.get("description") or metadata.get("name"),
             objective.get("displayName"))  # fmt: skip
    level: dict[str, Any] = {"name": ": ".join(str(one) for one in names if one)[:2000] or "SLO"}
    known = ("displayName", "op", "value", "target", "targetPercent", "timeSliceTarget",
             "timeSliceWindow")  # fmt: skip
    found.losses.of_fields(where, objective, known)
    if "targetPercent" in objective:
        target = exact_number(objective["targetPercent"], f"{where}.targetPercent")
    elif "target" in objective:
        target = exact_number(objective["target"], f"{where}.target") * 100
    else:
        return level
    return {**level, "expected": {EITHER_ABOVE: written(target)}}


# --- out ----------------------------------------------------------------------------------------


def to_openslo(agreement: Agreement, programme: Programme) -> tuple[Exported, ...]:
    """An SLO for every level whose result is a share, and what an SLO has no place for.

    A level that is no share is in none of them: the first one's losses say so.
    """
    losses = Losses()
    _unsaid(agreement, losses)
    documents = []
    for level in agreement.levels:
        metric = programme.metric(level.metric)
        if metric is None or level.expected is None or not _is_share(metric):
            losses.add(f"levels.{level.level}", "is no share of good events; no SLO for it")
            continue
        documents.append(_as_slo(agreement, programme, level, metric, losses))
    return tuple(Exported(one, tuple(losses.found)) for one in documents)


def _is_share(metric: Metric) -> bool:
    kind = metric.measure.kind
    return metric.better == "higher" and kind in (
        "ratio",
        "within_limit",
        "tickets_in_time",
        *_SHARES,
    )


def _unsaid(agreement: Agreement, losses: Losses) -> None:
    for section in ("conversions", "bases", "at_risk", "categories", "caps", "earn_backs", "banks",
                    "fees", "retainages", "terminations", "clauses"):  # fmt: skip
        if getattr(agreement, section):
            losses.add(section, "an SLO has no money, parties or rights")
    for name in ("vendor", "currency", "conventions"):
        losses.add(name, "an SLO has no money, parties or rights")


def _as_slo(
    agreement: Agreement, programme: Programme, level: Level, metric: Metric, losses: Losses
) -> dict[str, Any]:
    assert level.expected is not None
    at = f"levels.{level.level}"
    losses.add(f"{at}.expected", f"'{level.expected.text()}': an SLO does not say what a tie is")
    for name in ("judged", "no_data", "defaults"):
        losses.add(f"{at}.{name}", "an SLO does not say it")
    for name in ("minimum", "credits", "relief", "averaged", "low_volume", "moves", "subject"):
        if getattr(level, name):
            losses.add(f"{at}.{name}", "an SLO does not say it")
    objective: dict[str, Any] = {"targetPercent": written(level.expected.limit)}
    if isinstance(metric.measure, WithinLimit):
        indicator: dict[str, Any] = {"thresholdMetric": _source(metric)}
        operator = "lte" if metric.measure.equal_is_within else "lt"
        objective |= {"op": operator, "value": written(metric.measure.limit)}
        losses.add(f"metrics.{metric.metric}.unit", f"'{metric.unit}': an SLO has no units")
    else:
        ratio = {"counter": "true", "good": _source(metric), "total": _source(metric)}
        indicator = {"ratioMetric": ratio}
    sliced = metric.measure.kind in _SHARES
    window = cycle_of(level.measured or agreement.settled)
    calendar = {"startTime": f"{agreement.effective_from.isoformat()} 00:00:00",
                "timeZone": programme.time_zone}  # fmt: skip
    return {
        "apiVersion": VERSION,
        "kind": "SLO",
        "metadata": {"name": level.level, "displayName": level.name},
        "spec": {
            "service": agreement.agreement,
            "indicator": {
                "metadata": {"name": metric.metric, "displayName": metric.name},
                "spec": indicator,
            },
            "timeWindow": [
                {
                    "duration": _SHORT[window.days, window.months],
                    "isRolling": "false",
                    "calendar": calendar,
                }
            ],
            "budgetingMethod": "Timeslices" if sliced else "Occurrences",
            "objectives": [objective],
        },
    }


def _source(metric: Metric) -> dict[str, Any]:
    return {"metricSource": {"type": "earnback", "spec": {"metric": metric.metric}}}
