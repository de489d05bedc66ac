"""A charge for a year under monthly settlement: refused, or spread as its base states."""

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

REFUSED = "longer_charge: refused"


def test_it_is_refused_where_the_base_does_not_spread_it(tmp_path: Path) -> None:
    done = settle("annual-charge", "2025-02-28", tmp_path)
    assert done.code == 1
    assert "2025 is more than a month, by which a is settled" in done.err
    assert "such as 2025-01" in done.err
    assert done.totals("a") == {"2025-01": 0, "2025-02": 0}, "if_missing: zero"


def test_it_is_spread_by_days(tmp_path: Path) -> None:
    text = decided(upgraded("annual-charge"), (REFUSED, "longer_charge: by_days"))
    done = settle("annual-charge", "2025-02-28", tmp_path, text)
    # 60,000.00 x 31 / 365 = 5,095.890..., x 28 / 365 = 4,602.739...: of these 10 %.
    assert (done.code, done.totals("a")) == (0, {"2025-01": 50959, "2025-02": 46027})
    (january, _) = done.statements
    assert january["figures"]["base/fee/2025-01"] == "5095.89"
    assert january["figures"]["spread/fee/2025/2025-01"] == (
        "the charge 'fee' of 2025 (event c): 60,000.00 EUR by days, 31 of 365: 5,095.89 EUR for "
        "2025-01"
    )


def test_it_is_spread_in_equal_parts(tmp_path: Path) -> None:
    text = decided(upgraded("annual-charge"), (REFUSED, "longer_charge: equal_parts"))
    done = settle("annual-charge", "2025-02-28", tmp_path, text)
    assert (done.code, done.totals("a")) == (0, {"2025-01": 50000, "2025-02": 50000})
