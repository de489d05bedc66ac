"""Relief excuses a miss, and a level without an expected level is never missed: it is refused."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

FOLDER = "relief-without-effect"


def test_it_is_refused(tmp_path: Path) -> None:
    found = settle(FOLDER, "2025-04-30", tmp_path)
    assert (found.code, list(found.statements)) == (1, [])
    assert "levels[0].relief: level table has no expected level" in found.err


def test_it_works_where_a_level_is_expected(tmp_path: Path) -> None:
    text = decided(
        upgraded(FOLDER), ("    metric: up\n", "    metric: up\n    expected: {at_least: 99.9}\n")
    )
    found = settle(FOLDER, "2025-04-30", tmp_path, text)
    assert found.totals("x") == {"2025-04": 0}
    assert found.statements[0]["results"][0]["standing"] == "excused"
