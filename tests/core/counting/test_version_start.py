"""A programme version starts where the periods that it changes start, or it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.counting.version_start import MidPeriodStart, mid_period_starts
from tests.core.said import PROBE, agreement, programme

METRICS = programme().model_dump(mode="json")["metrics"]
SOURCES = programme().model_dump(mode="json")["sources"]


def changed(day: str, metric: str = "samples", **fields: Any) -> Programme:
    """A second version that changes fields of a metric."""
    metrics = [one | fields if one["metric"] == metric else one for one in METRICS]
    return programme(2, day, metrics=metrics)


def read(metric: str = "samples", **fields: Any) -> Agreement:
    """An agreement with one level."""
    level = {
        "metric": metric,
        **({"measured": fields.pop("measured")} if "measured" in fields else {}),
    }
    return agreement([level], **fields)


def starts(new: Programme, *agreements: Agreement) -> list[MidPeriodStart]:
    return list(mid_period_starts([programme(), new], agreements or [read()]))


def test_it_is_told_whom_it_meets_and_when_it_could_start() -> None:
    (found,) = starts(changed("2025-02-15", decimals=2, better="lower"))
    assert found.reason == (
        "version 2 of the programme acme starts on 2025-02-15, inside 2025-02 of agreement "
        "north-wan (settled by month), and changes the metric samples, which one version rules for "
        "the whole of a period"
    )
    assert found.remedy == "let it start on 2025-02-01 or 2025-03-01, or leave that as it was"


LOWER = {"better": "lower"}


@pytest.mark.parametrize(
    ("day", "fields", "met"),
    [
        ("2025-02-01", {}, False),
        ("2025-02-15", {}, True),
        ("2025-02-15", {"measured": "day"}, False),
        ("2025-02-01", {"settled": "quarter"}, True),
        ("2025-04-01", {"settled": "quarter"}, False),
        ("2025-02-01", {"settled": "quarter", "measured": "month"}, False),
        ("2025-02-15", {"effective_until": "2025-02-01"}, False),
        ("2025-02-15", {"effective_from": "2025-03-01"}, False),
        ("2025-02-15", {"metric": "series"}, True),
        ("2025-02-15", {"metric": "total"}, False),
    ],
)
def test_what_matters_is_the_window_of_what_is_read(
    day: str, fields: dict[str, Any], met: bool
) -> None:
    made = read(fields.pop("metric", "samples"), **fields)
    assert bool(starts(changed(day, **LOWER), made)) == met


@pytest.mark.parametrize(
    "new",
    [
        changed("2025-02-15", name="Another name", decimals=1),
        changed("2025-02-15", "total", **LOWER),
        programme(
            2, "2025-02-15", sources=[*SOURCES, {"source": "urn:new", "reports_for": "acme"}]
        ),
        programme(2, "2025-02-15", restated_for_days=9, name="Other"),
    ],
)
def test_what_is_by_the_instant_may_change_on_any_day(new: Programme) -> None:
    assert starts(new) == []


def test_a_second_source_may_come_on_any_day_and_a_binding_one_may_not() -> None:
    one = [{"source": PROBE, "reports_for": "north", "metrics": ["samples"]}]
    two = [*one, {"source": "urn:new", "reports_for": "acme", "metrics": ["samples"]}]
    plain = [metric | {"several_sources": None} for metric in METRICS]
    bound = [
        metric | {"several_sources": {"binding": PROBE} if metric["metric"] == "samples" else None}
        for metric in METRICS
    ]
    alone = programme(metrics=plain, sources=one)
    added = programme(2, "2025-02-15", metrics=plain, sources=two)
    assert added.metrics[0].several_sources == "added"
    assert list(mid_period_starts([alone, added], [read()])) == []
    (found,) = mid_period_starts(
        [alone, programme(2, "2025-02-15", metrics=bound, sources=two)], [read()]
    )
    assert found.changes == ("the metric samples",)


def test_a_source_that_says_who_holds_a_ticket_is_no_detail() -> None:
    sources = [*SOURCES, {"source": "urn:new", "reports_for": "desk"}]
    new = programme(2, "2025-02-15", sources=sources)
    assert [one.changes for one in starts(new, read("tickets"))] == [("the metric tickets",)]
    assert starts(new, read("samples")) == []


def test_a_shared_cap_cuts_whole_settlement_periods() -> None:
    cap = {"cap": "all", "over": {"kind": "vendor", "vendor": "north"}, "settled": "month"}
    cap |= {"currency": "EUR", "window": "period", "split": "in_proportion"}
    cap |= {"limit": {"kind": "amount", "amount": 5}}
    new = programme(2, "2025-02-15", shared_caps=[cap])
    assert [one.changes for one in starts(new)] == [("the shared caps over it",)]
    other = cap | {"over": {"kind": "vendor", "vendor": "desk"}}
    assert starts(programme(2, "2025-02-15", shared_caps=[other])) == []


def test_the_version_before_is_the_one_in_force_on_the_day_before() -> None:
    same_day = changed("2025-01-01", **LOWER)
    later = programme(3, "2025-02-15", metrics=same_day.model_dump(mode="json")["metrics"])
    assert list(mid_period_starts([programme(), same_day, later], [read()])) == []
    back = programme(3, "2025-02-15")
    assert len(list(mid_period_starts([programme(), same_day, back], [read()]))) == 1
