"""A programme of one metric over five months, and agreements that look at its occurrences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import MetricFigure, PeriodEvaluation
from schemas.programme import Programme
from services.core.calendar.windows import window_of
from services.core.counting.evaluation import evaluate
from services.core.events.facts import Row, columns
from services.core.events.rules import rules_of
from tests.core.said import DESK, PROBE, Said, agreement, judged, programme

MONTHS = ("2025-01", "2025-02", "2025-03", "2025-04", "2025-05")
START = window_of("2025-01", "Europe/Berlin").start


_STATED: dict[str, dict[str, Any]] = {
    "availability_by_outages": {"silence": "up", "incomplete": "wait"},
    "outage_time": {"silence": "up", "incomplete": "wait"},
    "outage_count": {"silence": "up", "incomplete": "wait"},
    "tickets_in_time": {"nothing_to_count": "no_data", "incomplete": "wait"},
    "delivery_delay": {"nothing_to_count": "no_data"},
}
"""What a measure must state beside what these tests are about."""


def metric(kind: str, unit: str = "minutes", **options: Any) -> dict[str, Any]:
    """A metric named ``m``."""
    better = "higher" if kind in ("tickets_in_time", "availability_by_outages") else "lower"
    return {
        "metric": "m",
        "name": "m",
        "unit": unit,
        "better": better,
        "measure": {"kind": kind, **_STATED.get(kind, {}), **options},
    }


def version(measured: Mapping[str, Any], number: int = 1, since: str = "2025-01-01") -> Programme:
    """A version of the programme that knows one metric."""
    sources = [
        {"source": PROBE, "reports_for": "north"},
        {"source": DESK, "reports_for": "desk"},
    ]
    return programme(number, since, metrics=[measured], sources=sources)


def each(**more: Any) -> dict[str, Any]:
    """A credit that looks at single occurrences."""
    quantity = {"kind": "duration", "of": "each", "counted": "elapsed", "unit": 1,
                "part_unit": "in_proportion", **more}  # fmt: skip
    return {
        "is_a": "service_credit",
        "due": {"kind": "every_period"},
        "quantity": quantity,
        "rate": {"kind": "amount", "amount": 1},
    }


def looking(*credits: Mapping[str, Any], **terms: Any) -> Agreement:
    """An agreement over the metric, whose credits and rights look at its occurrences."""
    level = {"metric": "m", "expected": None, "defaults": {"kind": "never"}, "credits": credits}
    return agreement([level], type="service", **terms)


def evaluations(
    said: Sequence[Said], versions: Sequence[Programme], agreements: Sequence[Agreement]
) -> list[PeriodEvaluation]:
    """What is counted in each of the months."""
    numbers = {("acme", "m"): 0}
    rules = rules_of(versions, agreements, numbers)
    rows = [judged(one, rules) for one in said]
    facts = columns([row for row in rows if isinstance(row, Row)])
    assert len(facts) == len(rows), rows
    return [evaluate(versions, agreements, month, facts, numbers, 1, "closed") for month in MONTHS]


def figures(
    said: Sequence[Said], versions: Sequence[Programme], terms: Agreement
) -> list[MetricFigure]:
    """The metric's figure in each of the months."""
    return [
        one for evaluation in evaluations(said, versions, [terms]) for one in evaluation.figures
    ]


def outage(name: str, since: datetime, until: datetime | None) -> list[Said]:
    """An outage, and its end if it has one."""
    data = {"metric": "m", "outage": name}
    times = {"open": since} if until is None else {"open": since, "close": until}
    return [
        Said(PROBE, f"{name}-{phase}", "outage", at, data | {"phase": phase})
        for phase, at in times.items()
    ]
