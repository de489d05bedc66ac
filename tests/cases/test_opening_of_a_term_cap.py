"""What was credited before the agreement was settled here uses up its cap for the whole term."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle


def test_the_opening_is_remembered_after_the_first_period(tmp_path: Path) -> None:
    done = settle("opening-of-a-term-cap", "2026-01-31", tmp_path)
    assert done.totals("deal") == {"2025-12": 10000, "2026-01": 5000}
    assert done.code == 0
