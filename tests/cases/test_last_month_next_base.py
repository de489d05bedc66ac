"""The last month takes its percentage of the bill of the month after the agreement's end."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle


def test_the_last_month_reads_the_bill_after_the_end(tmp_path: Path) -> None:
    done = settle("last-month-next-base", "2025-02-28", tmp_path)
    assert done.totals("g37b") == {"2025-01": 300000}
    assert done.code == 0
    assert done.statements[0]["figures"]["base/bill/2025-02"] == "50000"
