"""Outages are attributed after those that overlap are merged; a number of them stays a number."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle

FOLDER = "attributed-and-merged"


def test_what_overlaps_is_attributed_once(tmp_path: Path) -> None:
    found = settle(FOLDER, "2025-04-30", tmp_path)
    assert found.code == 0
    (statement,) = found.statements
    assert {one["level"]: one["result"] for one in statement["results"]} == {
        "minutes": "90",
        "number": "2",
    }
