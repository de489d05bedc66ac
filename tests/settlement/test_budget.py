"""Settling one evaluation takes no longer than it may."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.core.exact.budget import OverBudget
from services.core.settling.member import History
from services.core.visibility.parties import Parties
from services.settlement.replay import replayed
from services.settlement.store import SettlementTerms
from services.settlement.working_out import about, within
from tests.core.told import evaluation, months, terms


async def after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def test_what_takes_long_is_waited_for() -> None:
    assert await within(after(0.1), 60, "hosting") == "done"


async def test_what_takes_longer_than_it_may_is_over_budget() -> None:
    together = SettlementTerms({"a": (), "zq-b": (), "zq-c": ()}, (), Parties("town"), "UTC")
    with pytest.raises(OverBudget) as over:
        await within(after(60), 0.02, about("a", together))
    said = str(over.value)
    assert said.startswith("settling a with 2 more that share a cap with it takes longer")
    assert "zq-" not in said, "others' names are not for its vendor"


async def test_what_fails_fails_as_it_did() -> None:
    async def fails() -> None:
        raise ValueError("no such base")

    with pytest.raises(ValueError, match="no such base"):
        await within(fails(), 60, "a")


async def test_a_replay_that_nobody_waits_for_ends_in_its_thread() -> None:
    history = History([terms()], [evaluation(month, 98) for month in months(240)])
    many = {f"a{number:03}": history for number in range(200)}
    with ThreadPoolExecutor(1) as pool:  # what is asked of it next waits for the replay's end
        asyncio.get_running_loop().set_default_executor(pool)
        work = replayed(SettlementTerms({}, (), "town", "UTC"), many, ())
        with pytest.raises(OverBudget):
            await within(work, 0.05, "a")
        async with asyncio.timeout(30):  # to its end the replay would take minutes
            assert await asyncio.to_thread(len, many) == 200
