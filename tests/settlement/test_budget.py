"""Settling one evaluation takes no longer than it may, and its transaction lives meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from services.catalogue.parked import OverBudget
from services.settlement import consumer
from services.settlement.consumer import within


class Asked:
    """A connection that counts what it is asked."""

    def __init__(self) -> None:
        self.times = 0

    async def fetchval(self, _: str) -> int:
        self.times += 1
        return 1


async def after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def test_what_takes_long_is_waited_for_with_signs_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "_SIGN_OF_LIFE", 0.01)
    connection = Asked()
    assert await within(connection, after(0.1), 60, ["hosting"]) == "done"
    assert connection.times > 1


async def test_what_takes_longer_than_it_may_is_over_budget() -> None:
    with pytest.raises(OverBudget, match="settling a and b takes longer"):
        await within(Asked(), after(60), 0.02, ["b", "a"])


async def test_what_fails_fails_as_it_did() -> None:
    async def fails() -> None:
        raise ValueError("no such base")

    with pytest.raises(ValueError, match="no such base"):
        await within(Asked(), fails(), 60, ["a"])
