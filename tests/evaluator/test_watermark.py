"""When a period is due, and which source holds it back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile

import pytest

from schemas.period import first_day, next_label
from services.core.calendar.windows import instant, labels_between, microseconds
from services.evaluator import watermark as watermark_module
from services.evaluator.watermark import (
    SourceMark,
    Watermark,
    begun_count,
    due_at_us,
    feeding,
    periods,
    version_of,
    watermark,
)
from tests.evaluator.builders import CIRRUS, NIMBUS, TOWN, a_programme, an_agreement

IDLE = 100.0


def mark(source: str, at: int | None, silent: float = 0.0, *, behind: bool = False) -> SourceMark:
    return SourceMark(source, at, silent, behind)


def test_the_slowest_source_holds_the_watermark() -> None:
    marks = [mark("a", 50), mark("b", 30), mark("c", 70)]
    assert watermark(marks, IDLE) == Watermark(30, "b", ())


def test_a_source_that_has_never_reported_holds_everything_until_it_is_idle() -> None:
    assert watermark([mark("a", 50), mark("b", None)], IDLE) == Watermark(None, "b", ())
    assert watermark([mark("a", 50), mark("b", None, IDLE)], IDLE) == Watermark(50, "a", ("b",))


def test_a_silent_source_is_passed_over_and_named() -> None:
    assert watermark([mark("a", 50), mark("b", 30, IDLE)], IDLE) == Watermark(50, "a", ("b",))


def test_a_silent_source_with_records_waiting_is_not_idle() -> None:
    marks = [mark("a", 50), mark("b", 30, IDLE, behind=True)]
    assert watermark(marks, IDLE) == Watermark(30, "b", ())


def test_when_all_are_silent_the_latest_counts() -> None:
    marks = [mark("a", 50, IDLE), mark("b", 30, IDLE)]
    assert watermark(marks, IDLE) == Watermark(50, None, ("a", "b"))
    assert watermark([mark("a", None, IDLE)], IDLE) == Watermark(None, None, ("a",))


def test_the_sources_that_list_a_metric_feed_it() -> None:
    sources = [
        {"source": NIMBUS, "reports_for": "nimbus", "metrics": ["availability"]},
        {"source": CIRRUS, "reports_for": "cirrus", "metrics": ["latency"]},
        {"source": TOWN, "reports_for": "town", "metrics": ["availability", "latency"]},
        {"source": "urn:town:ledger", "reports_for": "town", "metrics": []},
    ]
    programme = a_programme(sources=sources)
    assert feeding([programme], ["availability"]) == {NIMBUS, TOWN}
    assert feeding([programme], ["latency"]) == {CIRRUS, TOWN}
    assert feeding([programme], ["availability", "latency"]) == {NIMBUS, CIRRUS, TOWN}
    assert feeding([programme], ["incidents"]) == frozenset()


def test_a_period_is_due_when_its_lateness_is_over_in_the_programmes_calendar() -> None:
    due = due_at_us(an_agreement(lateness_hours=48), "2025-03", "Europe/Berlin")
    assert instant(due) == datetime(2025, 4, 2, 22, tzinfo=UTC)  # summer time by then


def test_periods_follow_the_versions_of_the_agreement() -> None:
    first = an_agreement(effective_until=date(2025, 10, 1))
    second = an_agreement(version=2, effective_from=date(2025, 4, 1), settled="quarter")
    versions = (first, second)
    at_us = microseconds(datetime(2025, 8, 1, tzinfo=UTC))
    expected = ["2025-01", "2025-02", "2025-03", "2025-Q2", "2025-Q3"]
    assert list(islice(periods(versions, "Europe/Berlin"), 5)) == expected
    for place, period in enumerate(expected):
        assert (
            list(islice(periods(versions, "Europe/Berlin", period), 5 - place)) == expected[place:]
        )
    assert begun_count(versions, "Europe/Berlin", at_us) == len(expected)
    assert version_of(versions, "2025-03") is first
    assert version_of(versions, "2025-Q2") is second
    for wrong in ("2025-04", "2025-Q1", "2024-12", "2025"):
        assert version_of(versions, wrong) is None


def test_an_agreement_that_has_ended_has_no_further_periods() -> None:
    ended = an_agreement(effective_until=date(2025, 3, 1))
    at_us = microseconds(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=400))
    assert list(periods((ended,), "UTC")) == ["2025-01", "2025-02"]
    assert begun_count((ended,), "UTC", at_us) == 2


def test_the_first_period_of_decades_of_days_is_found_without_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[str] = []

    def following(label: str) -> str:
        passed.append(label)
        return next_label(label)

    monkeypatch.setattr(watermark_module, "next_label", following)
    daily = an_agreement(effective_from=date(1990, 1, 1), settled="day")
    at_us = microseconds(datetime(2190, 1, 1, tzinfo=UTC))
    days = periods((daily,), "Europe/Berlin")
    assert list(islice(days, 2)) == ["1990-01-01", "1990-01-02"]
    assert next(periods((daily,), "Europe/Berlin", "2189-12-31")) == "2189-12-31"
    assert begun_count((daily,), "Europe/Berlin", at_us) == 73050
    assert len(passed) <= 2


def test_days_that_a_calendar_skipped_are_no_periods() -> None:
    daily = an_agreement(effective_from=date(2011, 12, 29), settled="day")
    days = periods((daily,), "Pacific/Apia")
    found = list(takewhile(lambda label: first_day(label) < date(2012, 1, 2), days))
    assert "2011-12-30" not in found
    assert found[:2] == ["2011-12-29", "2011-12-31"]
    assert len(found) < len(labels_between("2011-12-29", found[-1]))
