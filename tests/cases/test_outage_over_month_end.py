"""One outage of 36 hours over a month's end, a thirtieth of the fee for each day of an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.settling import decided, settle, upgraded

FOLDER, THROUGH = "outage-over-month-end", "2025-02-28"
FULL_DAYS = ("part_unit: counts_in_full", "part_unit: does_not_count")


def test_the_upgrade_writes_that_it_is_cut_and_asks(tmp_path: Path) -> None:
    text = upgraded(FOLDER)
    assert "across_periods: split" in text
    assert "# decide: does an outage over the end of a period count where it begins" in text
    assert settle(FOLDER, THROUGH, tmp_path).totals("line") == {"2025-01": 0, "2025-02": 300}


@pytest.mark.parametrize(
    ("how", "totals"),
    [
        ("begins", {"2025-01": 600, "2025-02": 0}),
        ("ends", {"2025-01": 0, "2025-02": 600}),
    ],
)
def test_as_a_whole_it_is_a_day_and_a_part_of_one(
    how: str, totals: dict[str, int], tmp_path: Path
) -> None:
    text = decided(upgraded(FOLDER), ("across_periods: split", f"across_periods: {how}"))
    assert settle(FOLDER, THROUGH, tmp_path, text).totals("line") == totals


def test_where_only_full_days_count_it_is_one_day_in_all(tmp_path: Path) -> None:
    begins = ("across_periods: split", "across_periods: begins")
    text = decided(upgraded(FOLDER), begins, FULL_DAYS)
    assert settle(FOLDER, THROUGH, tmp_path, text).totals("line") == {"2025-01": 300, "2025-02": 0}


def test_a_term_may_count_it_where_the_metric_does_not(tmp_path: Path) -> None:
    here = ("of: each, counted", "of: each, across_periods: ends, counted")
    text = decided(upgraded(FOLDER), here, FULL_DAYS)
    assert settle(FOLDER, THROUGH, tmp_path, text).totals("line") == {"2025-01": 0, "2025-02": 300}
