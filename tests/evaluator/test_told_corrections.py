"""The corrections of events that may count for a period, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.catalogue import store as catalogue
from services.evaluator.told_corrections import corrections
from tests.evaluator.bench import House
from tests.evaluator.builders import CIRRUS, NIMBUS, an_agreement, correction, stated, up

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
MARCH = datetime(2025, 3, 10, 12, tzinfo=UTC)
DOWN = {"metric": "availability", "up": False}


async def _walked(house: House, agreement: str, period: str, limit: int) -> list[dict[str, Any]]:
    await house.copy.refresh()
    found: list[dict[str, Any]] = []
    after = (-1, -1, -1)
    while True:
        page = await corrections(house.pool, house.copy.current, agreement, period, after, limit)
        assert len(page.items) <= limit
        found += page.items
        if page.following is None:
            return found
        after = page.following


async def test_each_correction_is_told_once_with_its_event(house: House) -> None:
    await catalogue.apply(house.connection, an_agreement("other", "latency"))
    charge = {"base": "fee", "period": "2025-01", "amount": "1.00", "currency": "EUR"}
    fee = stated("fee", JANUARY, "charge", NIMBUS, agreement="hosting", **charge)
    mine, theirs = up("mine", JANUARY), up("theirs", JANUARY, CIRRUS)
    later = up("later", MARCH)
    worse = correction("worse", JANUARY + timedelta(hours=1), mine, DOWN)
    await house.send([mine, later, fee], [theirs, correction("gone", MARCH, theirs)])
    await house.send(
        [
            worse,
            correction("undone", MARCH, worse),
            correction("less", MARCH, fee, {"agreement": "hosting", **charge, "amount": "2.00"}),
            correction("of-march", MARCH, later),
        ]
    )
    told = await _walked(house, "hosting", "2025-01", 2)
    assert told == await _walked(house, "hosting", "2025-01", 500)
    by_id = {one["id"]: one for one in told}
    assert len(by_id) == len(told)
    assert set(by_id) == {"worse", "undone", "less", "gone"}
    assert by_id["worse"]["event"]["id"] == by_id["undone"]["event"]["id"] == "mine"
    assert by_id["worse"]["event"]["data"]["up"] is True
    assert (by_id["worse"]["data"], by_id["worse"]["takes_back"]) == (DOWN, False)
    assert (by_id["undone"]["corrects"], by_id["undone"]["takes_back"]) == ("worse", True)
    assert by_id["less"]["event"]["data"]["amount"] == "1.00"
    assert by_id["less"]["data"]["amount"] == "2.00"
    assert [one["id"] for one in await _walked(house, "hosting", "2025-03", 9)] == ["of-march"]
    assert await _walked(house, "other", "2025-01", 9) == []
