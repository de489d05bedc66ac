"""One look for all who ask at the same time, and never one from before."""

from __future__ import annotations

import asyncio

import pytest

from services.shell.shared_look import SharedLook


async def test_many_at_once_cost_two_looks_and_see_what_was_there_when_they_asked() -> None:
    state, looks, side_by_side = 0, 0, 0
    goes_on = asyncio.Event()

    async def look() -> int:
        nonlocal looks, side_by_side
        looks, side_by_side = looks + 1, side_by_side + 1
        assert side_by_side == 1
        seen = state
        await goes_on.wait()
        side_by_side -= 1
        return seen

    shared = SharedLook(look)
    first = asyncio.create_task(shared())
    await asyncio.sleep(0)
    state = 1
    later = [asyncio.create_task(shared()) for _ in range(20)]
    await asyncio.sleep(0)
    goes_on.set()
    assert await first == 0
    assert await asyncio.gather(*later) == [1] * 20
    assert looks == 2
    assert await shared() == 1
    assert looks == 3


async def test_a_look_that_fails_is_no_answer_for_the_others() -> None:
    answers = iter([RuntimeError("away"), 5])

    async def look() -> int:
        await asyncio.sleep(0)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedLook(look)
    first, second = (asyncio.create_task(shared()) for _ in range(2))
    with pytest.raises(RuntimeError, match="away"):
        await first
    assert await second == 5
