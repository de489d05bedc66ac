"""When a period is due, and who holds it back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from services.core.calendar.windows import instant, microseconds
from services.evaluator.watermark import (
    PartitionProgress,
    Watermark,
    begun,
    due_at_us,
    feeding,
    version_of,
    watermark,
)
from services.shell.frames import partition_of
from tests.evaluator.builders import CIRRUS, NIMBUS, TOWN, a_programme, an_agreement

IDLE = 100.0


def mark(
    partition: int, at: int | None, silent: float = 0.0, *, behind: bool = False
) -> PartitionProgress:
    return PartitionProgress(partition, at, silent, behind)


def test_the_slowest_partition_holds_the_watermark():
    assert watermark([mark(0, 50), mark(1, 30), mark(2, 70)], IDLE) == Watermark(30, 1, ())


def test_a_partition_that_has_said_nothing_holds_everything():
    assert watermark([mark(0, 50), mark(1, None)], IDLE) == Watermark(None, 1, ())


def test_a_silent_partition_is_passed_over_and_named():
    assert watermark([mark(0, 50), mark(1, 30, IDLE)], IDLE) == Watermark(50, 0, (1,))
    assert watermark([mark(0, 50), mark(1, None, IDLE)], IDLE) == Watermark(50, 0, (1,))


def test_a_silent_partition_with_records_waiting_is_not_idle():
    assert watermark([mark(0, 50), mark(1, 30, IDLE, behind=True)], IDLE) == Watermark(30, 1, ())


def test_when_all_are_silent_the_latest_counts():
    assert watermark([mark(0, 50, IDLE), mark(1, 30, IDLE)], IDLE) == Watermark(50, None, (0, 1))
    assert watermark([mark(0, None, IDLE)], IDLE) == Watermark(None, None, (0,))


def test_only_partitions_whose_sources_may_report_the_metric_feed_it():
    sources = [
        {"source": NIMBUS, "reports_for": "nimbus", "metrics": ["availability"]},
        {"source": CIRRUS, "reports_for": "cirrus", "metrics": ["latency"]},
        {"source": TOWN, "reports_for": "town"},
    ]
    programme = a_programme(sources=sources)
    assert feeding([programme], ["availability"], 64) == {
        partition_of(NIMBUS, 64),
        partition_of(TOWN, 64),
    }


def test_a_period_is_due_when_its_lateness_is_over_in_the_programmes_calendar():
    due = due_at_us(an_agreement(lateness_hours=48), "2025-03", "Europe/Berlin")
    assert instant(due) == datetime(2025, 4, 2, 22, tzinfo=UTC)  # summer time by then


def test_periods_follow_the_versions_of_the_agreement():
    first = an_agreement(effective_until=date(2025, 10, 1))
    second = an_agreement(version=2, effective_from=date(2025, 4, 1), settled="quarter")
    versions = (first, second)
    at_us = microseconds(datetime(2025, 8, 1, tzinfo=UTC))
    expected = ["2025-01", "2025-02", "2025-03", "2025-Q2", "2025-Q3"]
    assert begun(versions, "Europe/Berlin", at_us) == expected
    assert version_of(versions, "2025-03") is first
    assert version_of(versions, "2025-Q2") is second
    for wrong in ("2025-04", "2025-Q1", "2024-12", "2025"):
        assert version_of(versions, wrong) is None


def test_an_agreement_that_has_ended_has_no_further_periods():
    ended = an_agreement(effective_until=date(2025, 3, 1))
    at_us = microseconds(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=400))
    assert begun((ended,), "UTC", at_us) == ["2025-01", "2025-02"]
