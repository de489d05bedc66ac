"""A month without points takes no part of the next bill, so it does not wait for it."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle


def test_a_share_of_nothing_waits_for_no_bill(tmp_path: Path) -> None:
    done = settle("no-points-next-base", "2025-02-28", tmp_path)
    assert done.totals("g37b") == {"2025-01": 300000, "2025-02": 0}
    assert done.code == 0
