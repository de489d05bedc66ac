"""The floor of what is payable limits what is booked, not only what is shown."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle


def test_the_seller_owes_no_more_than_the_price(tmp_path: Path) -> None:
    done = settle("floor-of-what-is-payable", "2025-01-31", tmp_path)
    assert done.totals("v29") == {"2025-01": 0}
    assert done.code == 0
    (statement,) = done.statements
    assert statement["figures"]["payable"] == "0"
    assert {one["line"]: one["minor_units"] for one in statement["lines"]} == {
        "goods/price": -450000,
        "goods/temperature": 185294,
        "goods/humidity": 264706,
    }
