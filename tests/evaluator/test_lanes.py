"""Pieces of work beside each other: a long one holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.evaluator.lanes import LANES, OF_ONE_BUYER, LaneJob, Lanes


class Line:
    """A connection that only says whether it was ended."""

    def __init__(self) -> None:
        self.ended = False

    def terminate(self) -> None:
        self.ended = True


class Work:
    """Jobs that go on until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.lines: list[Line] = []
        self._gates: dict[str, asyncio.Event] = {}

    async def connect(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]

    def job(self, buyer: str, agreement: str, *, ordered: bool = False) -> LaneJob:
        return LaneJob(buyer, agreement, ordered, self._until_let_go(agreement))

    def _until_let_go(self, agreement: str) -> Callable[[Any], Awaitable[None]]:
        async def work(_: Any) -> None:
            self.begun.append(agreement)
            await self._gates.setdefault(agreement, asyncio.Event()).wait()

        return work

    def let_go(self, agreement: str) -> None:
        self._gates.setdefault(agreement, asyncio.Event()).set()


async def test_a_buyers_long_work_leaves_lanes_for_the_others() -> None:
    work = Work()
    lanes = Lanes(work.connect)
    jobs = [work.job("big", f"a{number}") for number in range(100)]
    assert lanes.offer([*jobs, work.job("small", "mine")]) == OF_ONE_BUYER + 1
    await lanes.wait(0.01)
    assert work.begun.count("mine") == 1
    assert lanes.offer([work.job("big", "z", ordered=True)]) == 0, "its share is taken"
    work.let_go("mine")
    await lanes.wait(5)
    assert lanes.offer([*jobs, work.job("small", "mine")]) == 1
    await lanes.close()
    assert all(line.ended for line in work.lines)
    assert len(work.lines) == OF_ONE_BUYER + 1, "connections are used again"


async def test_orders_go_first_and_an_agreement_has_one_piece_at_a_time() -> None:
    work = Work()
    lanes = Lanes(work.connect)
    buyers = [f"b{number}" for number in range(LANES + 2)]
    jobs = [work.job(buyer, f"due-{buyer}") for buyer in buyers]
    ordered = work.job("b9", "asked", ordered=True)
    assert lanes.offer([*jobs, ordered]) == LANES
    await lanes.wait(0.01)
    assert "asked" in work.begun
    assert lanes.offer([ordered]) == 0
    await lanes.close()


async def test_who_was_served_is_served_last_the_next_time() -> None:
    work = Work()
    lanes = Lanes(work.connect)
    for turn in range(6):
        jobs = [work.job("one", f"a{turn}-{number}") for number in range(50)]
        lanes.offer([*jobs, work.job("two", f"b{turn}")])
        await lanes.wait(0.01)
        assert f"b{turn}" in work.begun
        for agreement in list(work.begun):
            work.let_go(agreement)
        while not lanes.is_idle:
            await lanes.wait(5)
    await lanes.close()


async def test_what_a_piece_of_work_raises_is_raised_to_whoever_waits() -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("the database is away")

    work = Work()
    lanes = Lanes(work.connect)
    lanes.offer([LaneJob("b", "a", False, broken)])
    with pytest.raises(RuntimeError, match="away"):
        await lanes.wait(5)
    assert lanes.is_idle
    assert work.lines[0].ended
