"""A count in a thread ends when nobody waits for it, and when it takes too many steps."""

from __future__ import annotations

import asyncio
import threading
from datetime import date

import pytest

from services.core.events.horizon import Horizon
from services.core.exact.budget import Budget, OverBudget
from services.evaluator import recount
from services.evaluator.recount import FEW_FACTS, STEPS_A_FACT, RecountTarget
from tests.core.told import terms

TARGET = RecountTarget(
    programmes=(),
    agreements=(terms(),),
    period="2025-01",
    numbers={},
    spans={},
    metrics=frozenset(),
    days=(date.min, date.max),
    horizon=Horizon(0, "UTC", "month"),
    occurrences={},
)


async def test_a_count_ends_with_the_task_that_waits_for_it() -> None:
    begun, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(budget: Budget) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                budget.spend(0)
        except OverBudget:
            ended.set()
            raise

    task = asyncio.create_task(recount.in_thread(TARGET, 1, work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 60)


async def test_a_count_of_too_many_steps_is_refused_with_what_helps() -> None:
    def work(budget: Budget) -> None:
        budget.spend(FEW_FACTS * STEPS_A_FACT)
        budget.spend()

    with pytest.raises(OverBudget, match="settle hosting in shorter periods, measure fewer"):
        await recount.in_thread(TARGET, 1, work)
