"""TMF623: SLA and SlaViolation, both ways.

An SLA of that interface has parties, dates and rules; what a miss costs is there only a text or a
link. A violation becomes the declared figure of a period, and a missed level becomes a violation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, get_args

from schemas.agreement import Agreement
from schemas.bands import Threshold
from schemas.base import moment_of, written, zone_of
from schemas.level import Baseline, Level
from schemas.period import PeriodLabel, first_day, label_of, next_label
from schemas.programme import Metric, Programme, Unit
from schemas.statement import LevelResult, SettlementStatement
from services.core.contracts.interchange.carried import (
    NO_WORD,
    Exported,
    Imported,
    Losses,
    exact_number,
    imported,
    mapping,
    mappings,
    name_of,
    one_of_its_own,
    sequence,
)

_WORDS = {".ge": "at_least", ".gt": "above", ".le": "at_most", ".lt": "below"}
_OPERATORS = {word: operator for operator, word in _WORDS.items()}
_UNITS: Mapping[str, str] = {
    "%": "percent", "ms": "milliseconds", "s": "seconds", "sec": "seconds", "min": "minutes",
    "h": "hours", "d": "days", "number": "count", **{unit: unit for unit in get_args(Unit)},
}  # fmt: skip
_PROVIDER, _CONSUMER = "SLAProvider", "SLAConsumer"


def from_sla(sla: Mapping[str, Any]) -> Imported:
    """The contract file of an SLA: each rule a metric and a level.

    ``sla``: the resource, or ``{"sla": ...}`` as it is sent, its numbers as text (`read_as_text`).
    Raises ValueError without any rule, and for a binary float, which has already lost digits.
    """
    sla = mapping(sla, "sla") or sla
    losses = Losses()
    rules = mappings(sla, "rule", losses, "rule")
    if not rules:
        raise ValueError("the SLA has no rule; give one with at least one")
    losses.of_fields(
        "", sla, ("id", "name", "description", "version", "validFor", "relatedParty", "rule")
    )
    parties = _parties(sla, losses)
    programme: dict[str, Any] = {"kind": "programme", "language": 2}
    agreement: dict[str, Any] = {"kind": "agreement", "language": 2}
    if _CONSUMER in parties:
        programme["buyer"] = parties[_CONSUMER]
    if _PROVIDER in parties:
        programme["vendors"] = [{"vendor": parties[_PROVIDER], "name": parties[_PROVIDER]}]
        agreement["vendor"] = parties[_PROVIDER]
    if "id" in sla:
        agreement["agreement"] = name_of(str(sla["id"]), losses, "id")
    if sla.get("name") or sla.get("description"):
        agreement["name"] = str(sla.get("name") or sla["description"])
    if sla.get("name") and sla.get("description"):
        losses.add("description", "the agreement is named by name")
    _version(sla, agreement, losses)
    _dates(mapping(sla, "validFor"), agreement, losses)
    programme["metrics"], agreement["levels"] = [], []
    for number, rule in enumerate(rules):
        metric, level = _rule(rule, f"rule[{number}]", losses)
        metrics = programme["metrics"]
        if metric not in metrics:
            metric["metric"] = one_of_its_own(metric["metric"], [one["metric"] for one in metrics])
            metrics.append(metric)
        level["metric"] = metric["metric"]
        taken = [one["level"] for one in agreement["levels"]]
        agreement["levels"].append({**level, "level": one_of_its_own(level["level"], taken)})
        if rule.get("consequence"):
            clause = {
                "clause": agreement["levels"][-1]["level"],
                "about": "other",
                "text": f"Consequence: {rule['consequence']}",
            }
            agreement.setdefault("clauses", []).append(clause)
    return imported(programme, [agreement], losses)


def _parties(sla: Mapping[str, Any], losses: Losses) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, party in enumerate(sequence(sla, "relatedParty")):
        role = party.get("role") if isinstance(party, Mapping) else None
        where = f"relatedParty[{number}]"
        said = [party.get(name) for name in ("id", "name", "href")] if role else []
        named = next((str(one) for one in said if one), "").rstrip("/").rpartition("/")[2]
        if role not in (_PROVIDER, _CONSUMER):
            losses.add(where, f"the role {role} has no place in a contract file")
        elif not named or named.endswith(":"):
            losses.add(where, f"{role} has no name")
        else:
            found[role] = name_of(named, losses, where)
    return found


_VERSION = re.compile("[1-9][0-9]{0,8}")  # not isdigit, which takes the digits of every script


def _version(sla: Mapping[str, Any], agreement: dict[str, Any], losses: Losses) -> None:
    said = str(sla.get("version", ""))
    if _VERSION.fullmatch(said):
        agreement["version"] = int(said)
    elif said:
        losses.add("version", f"'{said}' is no whole number from 1")


def _dates(valid: Mapping[str, Any], agreement: dict[str, Any], losses: Losses) -> None:
    names = {"startDateTime": "effective_from", "endDateTime": "effective_until"}
    for theirs, ours in names.items():
        if theirs not in valid:
            continue
        moment = _moment(valid, theirs)
        agreement[ours] = moment.date().isoformat()
        if moment.time() != time():
            losses.add(f"validFor.{theirs}", f"the time of {moment}; versions begin at midnight")


def _rule(
    rule: Mapping[str, Any], where: str, losses: Losses
) -> tuple[dict[str, Any], dict[str, Any]]:
    known = ("id", "metric", "unit", "referenceValue", "operator", "consequence")
    losses.of_fields(where, {name: value for name, value in rule.items() if name != "tolerance"},
                     known)  # fmt: skip
    if str(rule.get("tolerance", "0")).strip("0.") != "":
        losses.add(f"{where}.tolerance", f"{rule['tolerance']}; put it into the limit if it counts")
    if rule.get("consequence"):
        losses.add(f"{where}.consequence", "is a text; state what a miss costs as credits")
    source = str(rule.get("metric") or rule.get("id") or "metric")
    metric: dict[str, Any] = {
        "metric": name_of(source.rstrip("/").rpartition("/")[2], losses, f"{where}.metric"),
        "name": source,
    }
    unit = _UNITS.get(str(rule.get("unit")))
    if unit is not None:
        metric["unit"] = unit
    elif "unit" in rule:
        losses.add(f"{where}.unit", f"'{rule['unit']}' is no unit of this language")
    word = _WORDS.get(str(rule.get("operator")), NO_WORD)
    if word != NO_WORD:
        metric["better"] = "higher" if word in ("at_least", "above") else "lower"
    named = str(rule.get("id") or source)
    level: dict[str, Any] = {"level": name_of(named, losses, f"{where}.id"), "name": named}
    if "referenceValue" in rule:
        level["expected"] = {word: _as_written(rule["referenceValue"], f"{where}.referenceValue")}
    return metric, level


# --- out ----------------------------------------------------------------------------------------


def to_sla(agreement: Agreement, programme: Programme) -> Exported:
    """The SLA of an agreement: a rule for each level, and what an SLA has no place for."""
    losses = Losses()
    for section in ("conversions", "bases", "at_risk", "categories", "caps", "earn_backs", "banks",
                    "fees", "retainages", "terminations"):  # fmt: skip
        if getattr(agreement, section):
            losses.add(section, "what a miss costs is no part of an SLA")
    for name in ("conventions", "settled", "lateness_hours", "currency"):
        losses.add(name, "how it is settled is no part of an SLA")
    texts = {clause.clause: clause.text for clause in agreement.clauses}
    rules = [_as_rule(level, programme, texts, losses) for level in agreement.levels]
    for name in texts.keys() - {level.level for level in agreement.levels}:
        losses.add(f"clauses.{name}", "clauses are no part of an SLA")
    valid = {"startDateTime": _midnight(agreement.effective_from, programme)}
    if agreement.effective_until is not None:
        valid["endDateTime"] = _midnight(agreement.effective_until, programme)
    return Exported(
        {
            "id": agreement.agreement,
            "name": agreement.name,
            "version": str(agreement.version),
            "validFor": valid,
            "relatedParty": [
                {"id": agreement.vendor, "role": _PROVIDER},
                {"id": programme.buyer, "role": _CONSUMER},
            ],
            "rule": [one for one in rules if one is not None],
        },
        tuple(sorted(losses.found, key=lambda one: one.where)),
    )


def _as_rule(
    level: Level, programme: Programme, texts: Mapping[str, str], losses: Losses
) -> dict[str, str] | None:
    metric = programme.metric(level.metric)
    at = f"levels.{level.level}"
    if metric is None or level.expected is None:
        losses.add(at, "has no limit of its own; no rule for it")
        return None
    for name in ("judged", "no_data", "defaults"):
        losses.add(f"{at}.{name}", "is no part of a rule")
    for name in ("minimum", "credits", "relief", "averaged", "low_volume", "moves", "attributed",
                 "subject", "measured"):  # fmt: skip
        if getattr(level, name):
            losses.add(f"{at}.{name}", "is no part of a rule")
    losses.add(f"metrics.{metric.metric}.measure", "how it is counted is no part of a rule")
    rule = {"id": level.level, "metric": metric.metric, **_limit(level.expected, metric)}
    consequence = texts.get(level.level, "").removeprefix("Consequence: ")
    return rule | ({"consequence": consequence} if consequence else {})


def _limit(threshold: Threshold, metric: Metric) -> dict[str, str]:
    word = next(name for name in _OPERATORS if getattr(threshold, name) is not None)
    return {
        "unit": metric.figure_unit,
        "referenceValue": written(threshold.limit),
        "operator": _OPERATORS[word],
        "tolerance": "0",
    }


# --- violations ---------------------------------------------------------------------------------


def to_violations(
    statement: SettlementStatement, agreement: Agreement, programme: Programme
) -> tuple[Exported, ...]:
    """A violation for every level that a period missed, with what the miss cost as consequence."""
    return tuple(
        _as_violation(result, statement, agreement, programme)
        for result in statement.results
        if result.standing in ("below_expected", "below_minimum")
    )


def _as_violation(
    result: LevelResult, statement: SettlementStatement, agreement: Agreement, programme: Programme
) -> Exported:
    losses = Losses()
    level = agreement.level_named(result.level)
    metric = programme.metric(result.metric or "")
    assert level is not None
    assert metric is not None
    about = {"id": result.level, "metric": metric.metric}
    violation: dict[str, Any] = {"rule": about, "unit": metric.figure_unit, "tolerance": "0"}
    if level.expected is not None:
        violation |= _limit(level.expected, metric)
    if result.expected is not None:
        violation["referenceValue"] = written(result.expected)
        if isinstance(level.moves, Baseline):
            violation["operator"] = _OPERATORS[level.moves.tie]
    if result.result is None:
        losses.add("actualValue", "there was no data; the miss has no value")
    else:
        violation["actualValue"] = written(result.result)
    subject = f" ({result.subject})" if result.subject else ""
    violation["comment"] = f"{level.name}{subject}: {result.standing.replace('_', ' ')}"
    owed = [line for line in statement.lines if line.level == result.level and line.minor_units]
    if owed:
        named = ", ".join(line.line for line in owed)
        violation["consequence"] = f"statement {statement.agreement} {statement.period}: {named}"
        losses.add("consequence", "amounts stay in the statement")
    identity = f"{statement.agreement}:{result.level}:{result.period}"
    document = {
        "id": identity if result.subject is None else f"{identity}:{result.subject}",
        "date": _midnight(first_day(next_label(result.period)), programme),
        "sla": {"id": statement.agreement, "name": agreement.name},
        "relatedParty": [
            {"id": statement.vendor, "role": _PROVIDER},
            {"id": statement.buyer, "role": _CONSUMER},
        ],
        "violation": violation,
    }
    losses.add("date", "the first moment after the period; the interface has no periods")
    return Exported(document, tuple(losses.found))


def from_violation(
    violation: Mapping[str, Any],
    agreement: Agreement,
    programme: Programme,
    *,
    source: str,
    period: PeriodLabel | None = None,
) -> Exported:
    """A violation as the event that declares the period's figure, ready to be submitted.

    ``period``: which one the violation is about; without it, the level's period that was over
    last at the violation's date. Raises ValueError where its rule, unit or value does not fit the
    agreement, or where the level's metric is not one of declared figures.
    """
    violation = mapping(violation, "slaViolation") or violation
    body, losses = mapping(violation, "violation"), Losses()
    level, metric = _violated(mapping(body, "rule"), agreement, programme)
    if "actualValue" not in body:
        raise ValueError("violation.actualValue is missing; a figure needs a value")
    unit = _UNITS.get(str(body.get("unit", metric.unit)))
    if unit != metric.unit:
        raise ValueError(
            f"violation.unit is {body.get('unit')}, of {metric.metric} it is {metric.unit}; "
            "convert the value"
        )
    day = _moment(violation, "date").astimezone(zone_of(programme.time_zone)).date()
    label = period or next_label(label_of(day, level.measured or agreement.settled), -1)
    at = "violation.actualValue"
    value = exact_number(_as_written(body["actualValue"], at), at)
    known = ("id", "date", "violation", "sla")
    losses.of_fields("", violation, known, "has no place in an event")
    losses.of_fields("violation", body, ("rule", "unit", "actualValue"),
                     "the agreement itself decides; only the figure counts")  # fmt: skip
    return Exported(
        {
            "specversion": "1.0",
            "id": str(violation.get("id", f"{level.level}-{label}")),
            "source": source,
            "type": "earnback.figure.v1",
            "time": _moment(violation, "date").isoformat(),
            "data": {
                "metric": metric.metric,
                "period": label,
                "value": written(value),
                "unit": metric.unit,
            },
        },
        tuple(losses.found),
    )


def _violated(
    rule: Mapping[str, Any], agreement: Agreement, programme: Programme
) -> tuple[Level, Metric]:
    named = str(rule.get("id") or str(rule.get("href", "")).rpartition("/")[2])
    if not named:
        raise ValueError("violation.rule.id is missing; name the level that was missed")
    level = agreement.level_named(named)
    if level is None:
        raise ValueError(f"{agreement.agreement} has no level '{named}'; correct violation.rule.id")
    metric = programme.metric(level.metric)
    if metric is None or metric.measure.kind != "declared":
        raise ValueError(
            f"{level.metric} is counted from facts; a violation can only declare the figure of a "
            "metric whose measure is declared"
        )
    return level, metric


def _as_written(value: Any, where: str) -> str:
    """The text of a number; raises ValueError for a binary float."""
    if isinstance(value, float):
        raise ValueError(f"{where} is a binary float; read the document's numbers as text")
    return str(value)


def _moment(node: Mapping[str, Any], name: str) -> datetime:
    """A moment with its offset, as written; raises ValueError for anything else."""
    said = str(node.get(name, ""))
    try:
        moment: datetime | None = moment_of(said)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{name} is '{said}', no moment; write 2025-02-01T00:00:00Z")
    return moment


def _midnight(day: date, programme: Programme) -> str:
    """The first moment of a day in the programme's calendar."""
    return datetime.combine(day, time(), zone_of(programme.time_zone)).isoformat()
