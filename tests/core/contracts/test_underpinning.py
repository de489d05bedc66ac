"""Gaps between an agreement and what underpins it are told, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.underpinning import Gap, gaps
from tests.core.said import agreement, programme

TICKETS = {
    "nothing_to_count": "no_data", "incomplete": "from_first_change",
    "kind": "tickets_in_time", "limit_minutes": 240, "equal_is_in_time": True, "stops_in": [],
    "across_periods": "ends", "late_counts": "once",
    "open_past_limit": "late",
}  # fmt: skip
HOURS = {
    "time_zone": "Europe/Berlin",
    "hours": [{"days": ["mon"], "opens": "09:00", "closes": "17:00"}],
}
METRICS: dict[str, tuple[dict[str, Any], str, str]] = {
    "uptime": ({"kind": "availability_by_samples"}, "percent", "higher"),
    "repair": ({"kind": "mean"}, "hours", "lower"),
    "repair-minutes": ({"kind": "mean"}, "minutes", "lower"),
    "tickets": (TICKETS, "percent", "higher"),
    "slower": (TICKETS | {"limit_minutes": 480}, "percent", "higher"),
    "by-day": (TICKETS | {"business_hours": HOURS}, "percent", "higher"),
    "p95": ({"kind": "percentile", "percent": "95"}, "seconds", "lower"),
    "p99": ({"kind": "percentile", "percent": "99"}, "seconds", "lower"),
    "in-two": ({"kind": "within_limit", "limit": 2, "equal_is_within": True}, "seconds", "higher"),
    "in-four": ({"kind": "within_limit", "limit": 4, "equal_is_within": True}, "seconds", "higher"),
    "in-three": (
        {"kind": "within_limit", "limit": 3000, "equal_is_within": True}, "milliseconds", "higher",
    ),
}  # fmt: skip
CAMPUS: Programme = programme(
    sources=[{"source": "urn:north", "reports_for": "north"}],
    metrics=[
        {"metric": name, "name": name, "unit": unit, "better": better, "measure": measure}
        for name, (measure, unit, better) in METRICS.items()
    ],
)


def sla(**level: Any) -> Agreement:
    """What stands on the other."""
    changed = level.pop("changed", {})
    return agreement([{"level": "theirs", **level}], agreement="sla", type="service", **changed)


def below(level: str = "own", their: str = "theirs", of: str = "sla", **terms: Any) -> Agreement:
    """The underpinning contract."""
    changed = terms.pop("changed", {})
    link = {"level": level, "agreement": of, "their_level": their}
    return agreement([{"level": "own", **terms}], agreement="uc", underpins=[link], **changed)


def found(own: Agreement, their: Agreement) -> list[Gap]:
    """The gaps between the two."""
    return list(gaps([own, their], [CAMPUS]))


def whys(own: Agreement, their: Agreement) -> list[str]:
    """Only their kinds."""
    return [gap.why for gap in found(own, their)]


@pytest.mark.parametrize(
    ("own", "their", "why"),
    [
        ({"at_least": 99}, {"at_least": 99}, []),
        ({"above": 99}, {"at_least": 99}, []),
        ({"at_least": "99.5"}, {"at_least": 99}, []),
        ({"at_least": 99}, {"above": 99}, ["weaker_target"]),
        ({"at_least": "98.9"}, {"at_least": 99}, ["weaker_target"]),
        (None, {"at_least": 99}, ["weaker_target"]),
        ({"at_least": 99}, None, []),
    ],
)
def test_a_target_is_weaker_where_some_result_meets_it_alone(
    own: Any, their: Any, why: list[str]
) -> None:
    one, other = below(metric="uptime", expected=own), sla(metric="uptime", expected=their)
    assert whys(one, other) == why


def test_times_are_compared_in_one_unit() -> None:
    their = sla(metric="repair", expected={"at_most": 4})
    assert whys(below(metric="repair-minutes", expected={"at_most": 240}), their) == []
    (gap,) = found(below(metric="repair-minutes", expected={"at_most": 241}), their)
    assert gap.why == "longer_time"
    assert gap.text() == (
        "uc version 1, level own, underpins theirs of sla: its expected level 'at most 241' "
        "minutes asks for less than 'at most 4' hours; agree on at least as much"
    )


@pytest.mark.parametrize(
    ("own", "their", "why"),
    [
        ("tickets", "slower", []),
        ("slower", "tickets", ["longer_time"]),
        ("by-day", "tickets", ["fewer_hours"]),
        ("tickets", "by-day", []),
        ("by-day", "by-day", []),
        ("p99", "p95", []),
        ("p95", "p99", ["weaker_target"]),
        ("in-two", "in-three", []),
        ("in-three", "in-two", ["longer_time"]),
        ("in-four", "in-three", ["longer_time"]),
    ],
)
def test_what_the_metrics_allow_is_compared_too(own: str, their: str, why: list[str]) -> None:
    lower = own.startswith("p")
    limit = {"at_most": 90} if lower else {"at_least": 90}
    assert whys(below(metric=own, expected=limit), sla(metric=their, expected=limit)) == why


def test_units_of_two_kinds_are_left_to_people() -> None:
    own, their = below(metric="uptime"), sla(metric="repair", expected={"at_most": 4})
    assert whys(own, their) == ["not_comparable"]


def test_a_longer_measurement_averages_misses_away() -> None:
    own = below(metric="uptime", changed={"settled": "quarter"})
    assert whys(own, sla(metric="uptime")) == ["longer_time"]
    assert whys(below(metric="uptime", measured="day"), sla(metric="uptime")) == []


def test_a_time_that_is_not_covered_is_told_at_both_ends() -> None:
    their = sla(metric="uptime", changed={"effective_until": "2026-01-01"})
    assert whys(below(metric="uptime"), their) == []
    late = below(metric="uptime", changed={"effective_from": "2025-02-01"})
    assert [gap.reason for gap in found(late, their)] == [
        "it begins on 2025-02-01, not by 2025-01-01"
    ]
    short = below(metric="uptime", changed={"effective_until": "2025-12-01"})
    assert whys(short, their) == ["period_not_covered"]
    assert whys(short, sla(metric="uptime")) == ["period_not_covered"]


def test_versions_that_never_meet_are_not_compared() -> None:
    their = sla(metric="uptime", expected={"at_least": 99})
    raised = sla(
        metric="uptime",
        expected={"at_least": "99.9"},
        changed={"version": 2, "effective_from": "2026-01-01"},
    )
    own = below(metric="uptime", expected={"at_least": 99},
                changed={"effective_until": "2026-01-01"})  # fmt: skip
    assert {gap.why for gap in gaps([own, their, raised], [CAMPUS])} == {"period_not_covered"}
    ended = their.model_copy(update={"effective_until": None})
    open_ended = own.model_copy(update={"effective_until": None})
    (gap,) = gaps([open_ended, ended, raised], [CAMPUS])
    assert gap.why == "weaker_target"


@pytest.mark.parametrize(
    ("own", "reason", "remedy"),
    [
        (below(metric="uptime", of="slo"), "the agreement slo is not known",
         "did you mean 'sla'?"),
        (below(metric="uptime", of="x"), "the agreement x is not known", "give its file as well"),
        (below(metric="uptime", their="their"), "it has no level their",
         "did you mean 'theirs'?"),
    ],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_told(own: Agreement, reason: str, remedy: str) -> None:
    (gap,) = found(own, sla(metric="uptime"))
    assert (gap.why, gap.reason, gap.remedy) == ("not_known", reason, remedy)
