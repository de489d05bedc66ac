"""A charge for a quarter under monthly settlement: refused, or spread as its base states."""

from pathlib import Path

import pytest

from tests.cases.settling import decided, settle, upgraded

REFUSED = "longer_charge: refused"


def test_it_is_refused_where_the_base_does_not_spread_it(tmp_path: Path) -> None:
    done = settle("quarterly-invoice", "2025-06-30", tmp_path)
    assert done.code == 1
    assert "2025-Q2 is more than a month, by which x is settled" in done.err


@pytest.mark.parametrize(
    ("rule", "totals"),
    [("by_days", [9890, 10220, 9890]), ("equal_parts", [10000, 10000, 10000])],
)
def test_it_is_spread(rule: str, totals: list[int], tmp_path: Path) -> None:
    text = decided(upgraded("quarterly-invoice"), (REFUSED, f"longer_charge: {rule}"))
    done = settle("quarterly-invoice", "2025-06-30", tmp_path, text)
    # 3,000.00 x 30 / 91 = 989.01, x 31 / 91 = 1,021.98: of these 10 %.
    assert (done.code, list(done.totals("x").values())) == (0, totals)
