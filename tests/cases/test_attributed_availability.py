"""A share of time stays a share of time when only a part of its outages is attributed."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle

FOLDER = "attributed-availability"


def test_attributed_time_is_taken_out_of_the_month(tmp_path: Path) -> None:
    found = settle(FOLDER, "2025-05-31", tmp_path)
    assert found.code == 0
    assert found.totals("s") == {"2025-04": 0, "2025-05": 0}
    results = [one["results"][0] for one in found.statements]
    # 60 + 0.3 x 100 = 90 of 43,200 minutes
    assert [one["result"] for one in results] == ["2395/24", "100"]
    assert [one["standing"] for one in results] == ["met", "met"]
