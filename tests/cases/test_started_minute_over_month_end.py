"""One outage of a minute over a month's end, where a started minute costs 100.00."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.settling import decided, settle, upgraded

FOLDER, THROUGH = "started-minute-over-month-end", "2025-02-28"


@pytest.mark.parametrize(
    ("how", "totals"),
    [
        ("split", {"2025-01": 10000, "2025-02": 10000}),
        ("begins", {"2025-01": 10000, "2025-02": 0}),
        ("ends", {"2025-01": 0, "2025-02": 10000}),
    ],
)
def test_the_minute_is_started_where_the_metric_says(
    how: str, totals: dict[str, int], tmp_path: Path
) -> None:
    text = decided(upgraded(FOLDER), ("across_periods: split", f"across_periods: {how}"))
    assert settle(FOLDER, THROUGH, tmp_path, text).totals("carrier-ethernet") == totals
