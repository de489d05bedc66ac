"""Levels measured by day: force majeure and a peak day stated for a day each hold for that day."""

from pathlib import Path

from tests.cases.settling import settle


def test_it_holds_for_its_day_only(tmp_path: Path) -> None:
    done = settle("circumstance-of-one-day", "2025-04-30", tmp_path)
    assert done.code == 0
    totals = {name: done.totals(name) for name in ("relieved", "doubled", "conditional")}
    assert totals == {
        "relieved": {"2025-04": 1000},
        "doubled": {"2025-04": 3000},
        "conditional": {"2025-04": 1000},
    }
