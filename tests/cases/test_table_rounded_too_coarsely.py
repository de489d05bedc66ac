"""A table that is rounded more coarsely than its ends puts values into the wrong band."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

FOLDER = "table-rounded-too-coarsely"
COARSE = "rounded: {decimals: 2, mode: half_up}"
PRINTED = (
    "- {at_least: 99.80, at_most: 99.89, gives: 15}",
    "- {at_least: 99.80, at_most: 99.899, gives: 15}",
)


def test_it_is_refused(tmp_path: Path) -> None:
    found = settle(FOLDER, "2025-01-31", tmp_path)
    assert (found.code, list(found.statements)) == (1, [])
    assert "rounded to 2 decimals is compared with 99.999" in found.err


def test_as_fine_as_its_ends_a_missed_level_is_paid_for(tmp_path: Path) -> None:
    fine = COARSE.replace("2", "3")
    text = decided(upgraded(FOLDER), (COARSE, fine), PRINTED)
    found = settle(FOLDER, "2025-01-31", tmp_path, text)
    assert found.totals("colocation") == {"2025-01": 50_00}
