"""Events as sources say them, and a programme that knows every measure; for tests of counting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.agreement import Agreement
from schemas.evaluation import MetricFigure, PeriodEvaluation
from schemas.frame import Facts
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.core.calendar.windows import microseconds
from services.core.counting.evaluation import evaluate
from services.core.events.acceptance import accept
from services.core.events.facts import Row, columns
from services.core.events.rejections import Rejection
from services.core.events.roles import Sender
from services.core.events.rules import Rules, rules_of
from tests.reporting import with_reporters

PROBE, DESK, FINANCE = "urn:north:probe", "urn:desk:tickets", "urn:acme:finance"

MEASURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "samples": ({"kind": "availability_by_samples"}, "percent", "higher"),
    "status": (
        {"kind": "availability_by_status", "before_first": "not_observed"},
        "percent",
        "higher",
    ),
    "status-up": ({"kind": "availability_by_status", "before_first": "up"}, "percent", "higher"),
    "status-down": (
        {"kind": "availability_by_status", "before_first": "down"},
        "percent",
        "higher",
    ),
    "without-outage": (
        {"kind": "availability_by_outages", "silence": "up", "incomplete": "left_out"},
        "percent",
        "higher",
    ),
    "merged": (
        {
            "kind": "outage_time",
            "silence": "up",
            "incomplete": "left_out",
            "overlap": "merged",
            "part": "exact",
            "across_periods": "split",
        },
        "minutes",
        "lower",
    ),
    "started": (
        {
            "kind": "outage_time",
            "overlap": "each",
            "part": "started_counts",
            "across_periods": "split",
            "silence": "up",
            "incomplete": "left_out",
        },
        "minutes",
        "lower",
    ),
    "full": (
        {
            "kind": "outage_time",
            "silence": "up",
            "incomplete": "left_out",
            "overlap": "each",
            "part": "full_only",
            "across_periods": "split",
        },
        "hours",
        "lower",
    ),
    "outages": (
        {
            "kind": "outage_count",
            "silence": "up",
            "incomplete": "left_out",
            "across_periods": "begins",
        },
        "count",
        "lower",
    ),
    "ratio": ({"kind": "ratio", "nothing_to_count": "no_data"}, "percent", "higher"),
    "total": ({"kind": "total", "at_least": -10000}, "count", "higher"),
    "mean": ({"kind": "mean", "at_least": -10000}, "milliseconds", "lower"),
    "maximum": ({"kind": "maximum", "at_least": -10000}, "milliseconds", "lower"),
    "minimum": ({"kind": "minimum", "at_least": -10000}, "milliseconds", "higher"),
    "percentile": (
        {"kind": "percentile", "percent": "95", "at_least": -10000},
        "milliseconds",
        "lower",
    ),
    "within": (
        {"kind": "within_limit", "limit": "2.5", "equal_is_within": True, "at_least": -10000},
        "milliseconds",
        "lower",
    ),
    "under": (
        {"kind": "within_limit", "limit": "2.5", "equal_is_within": False, "at_least": -10000},
        "milliseconds",
        "lower",
    ),
    "tickets": (
        {
            "kind": "tickets_in_time",
            "nothing_to_count": "no_data",
            "incomplete": "from_first_change",
            "limit_minutes": 60,
            "equal_is_in_time": True,
            "stops_in": ["waiting"],
            "open_past_limit": "late",
            "across_periods": "ends",
            "late_counts": "in_each_period",
        },
        "percent",
        "higher",
    ),
    "everyones-tickets": (
        {
            "kind": "tickets_in_time",
            "nothing_to_count": "no_data",
            "incomplete": "from_first_change",
            "limit_minutes": 60,
            "equal_is_in_time": False,
            "stops_in": [],
            "open_past_limit": "left_out",
            "across_periods": "ends",
            "counts_for": "everyone",
            "priorities": ["high"],
            "business_hours": {
                "time_zone": "Europe/Berlin",
                "hours": [{"days": ["wed", "thu"], "opens": "09:00", "closes": "17:00"}],
            },
        },
        "percent",
        "higher",
    ),
    "declared": ({"kind": "declared", "at_least": 0, "at_most": 100}, "percent", "higher"),
    "deliveries": (
        {
            "kind": "delivery_delay",
            "nothing_to_count": "no_data",
            "across_periods": "begins",
            "until_delivered": "late_so_far",
        },
        "hours",
        "lower",
    ),
    "series": ({"kind": "series", "parts": ["samples", "ratio"]}, "percent", "higher"),
    "parallel": ({"kind": "parallel", "parts": ["samples", "ratio"]}, "percent", "higher"),
    "late-goods": (
        {
            "kind": "delivery_delay",
            "nothing_to_count": "no_data",
            "across_periods": "begins",
            "until_delivered": "late_so_far",
        },
        "count",
        "lower",
    ),
    "whole": (
        {"kind": "series", "parts": ["series", "parallel", "tickets"]},
        "percent",
        "higher",
    ),
}


def programme(version: int = 1, effective_from: str = "2025-01-01", **changed: Any) -> Programme:
    """One buyer, two vendors, a metric per measure."""
    body: dict[str, Any] = {
        "kind": "programme",
        "language": 2,
        "programme": "acme",
        "version": version,
        "effective_from": effective_from,
        "buyer": "acme",
        "name": "Acme",
        "time_zone": "Europe/Berlin",
        "restated_for_days": 400,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": "north", "name": "North"}, {"vendor": "desk", "name": "Desk"}],
        "sources": [
            {"source": PROBE, "reports_for": "north"},
            {"source": DESK, "reports_for": "desk", "metrics": ["tickets", "everyones-tickets"]},
            {"source": FINANCE, "reports_for": "acme"},
        ],
        "metrics": [
            {"metric": name, "name": name, "unit": unit, "better": better, "measure": measure}
            for name, (measure, unit, better) in MEASURES.items()
        ],
    }
    return Programme.model_validate(with_reporters(body | changed))


PROGRAMME = programme()
NUMBERS = {("acme", metric): number for number, metric in enumerate(MEASURES)}


def agreement(levels: Sequence[Mapping[str, Any]], **changed: Any) -> Agreement:
    """An agreement that measures and pays nothing."""
    body: dict[str, Any] = {
        "kind": "agreement",
        "language": 2,
        "agreement": "north-wan",
        "version": 1,
        "programme": "acme",
        "type": "underpinning",
        "vendor": "north",
        "name": "North",
        "currency": "EUR",
        "effective_from": "2025-01-01",
        "settled": "month",
        "lateness_hours": 2400,  # corrections within it come before the close
        "conventions": {"money_rounding": "half_up", "rounded_at": "total"},
        "bases": [
            {
                "base": "invoice",
                "of_period": "same",
                "if_missing": "wait",
                "part_of_period": "full_charge",
                "longer_charge": "refused",
            }
        ],
        "levels": [
            {
                "level": f"level-{place}",
                "name": "level",
                "expected": {"at_least": 99},
                "judged": "exact",
                "no_data": "no_result",
                "defaults": {"kind": "every_miss"},
                **level,
            }
            for place, level in enumerate(levels)
        ],
    }
    return Agreement.model_validate(body | changed)


def usual_rules() -> Rules:
    """What acceptance knows where a test says nothing else, made anew."""
    return rules_of([PROGRAMME], [agreement([{"metric": "samples"}])], NUMBERS)


RULES = usual_rules()


class Said(NamedTuple):
    """An event, before it is judged."""

    source: str
    id: str
    kind: str
    at: datetime
    data: dict[str, Any]


def moment(text: str) -> datetime:
    """``2025-01-31 12:00``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def judged(said: Said, rules: Rules = RULES, **door: Any) -> Row | Rejection:
    """What acceptance says of an event."""
    return accept(
        rules,
        said.source,
        said.id,
        f"earnback.{said.kind}.v1",
        microseconds(said.at),
        said.data,
        None if door.get("party") is None else Sender(door["party"], door.get("role", "vendor")),
        door.get("received_us"),
        door.get("latest_us"),
    )


def row(said: Said) -> Row:
    """The row of an event that must be good."""
    found = judged(said)
    assert isinstance(found, Row), found
    return found


def facts(said: Iterable[Said]) -> Facts:
    """Good events in columns."""
    return columns([row(each) for each in said])


def figure_of(
    said: Iterable[Said], metric: str, subject: str | None = None, period: str = "2025-01"
) -> MetricFigure:
    """The one figure of a level of North that looks at this metric and subject."""
    found = evaluation_of(said, [{"metric": metric, "subject": subject}], period)
    own = [each for each in found.figures if (each.metric, each.subject) == (metric, subject)]
    assert len(own) == 1
    return own[0]


def evaluation_of(
    said: Iterable[Said] | Facts, levels: Sequence[Mapping[str, Any]], period: str = "2025-01"
) -> PeriodEvaluation:
    """North's evaluation of a period, by levels."""
    counted = said if isinstance(said, Facts) else facts(said)
    return evaluate([PROGRAMME], [agreement(levels)], period, counted, NUMBERS, 1, "closed")
