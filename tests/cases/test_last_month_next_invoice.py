"""Credit that no invoice takes any more has lapsed, the last month's with it."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle


def test_the_last_months_credit_is_among_what_lapsed(tmp_path: Path) -> None:
    done = settle("last-month-next-invoice", "2025-08-31", tmp_path)
    assert done.totals("deal") == {"2025-06": 150000, "2025-07": 0, "2025-08": 10000}
    assert done.code == 0
    last = done.statements[-1]["figures"]
    assert (last["invoice-deducted"], last["lapsed"], last["carried"]) == ("300", "300", "0")
