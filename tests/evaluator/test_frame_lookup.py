"""A verdict on an event reads the frames that can hold it, whichever process is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from services.evaluator import frame_lookup
from services.evaluator.frame_lookup import FrameLookup, NobodyAnswers
from tests.evaluator.bench import House
from tests.evaluator.builders import NIMBUS, up
from tests.evaluator.test_closing_queue import JANUARY


@asynccontextmanager
async def listening(*lookups: FrameLookup) -> AsyncIterator[None]:
    """Processes that listen; given once each of them does."""
    tasks = [asyncio.create_task(each.run()) for each in lookups]
    try:
        for each in lookups:
            while each.is_deaf:  # noqa: ASYNC110 - connects in its own task
                await asyncio.sleep(0.01)
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def asked(house: House, lookup: FrameLookup, name: str) -> tuple[str, int, int]:
    """The standing of an event, the frames that are named, and from which one all are searched."""
    sent: list[Any] = []
    house.connection.add_query_logger(sent.append)
    found = await house.verdict(NIMBUS, name, lookup)
    house.connection.remove_query_logger(sent.append)
    (search,) = [one for one in sent if "in ids" in one.query]
    return found["standing"], len(search.args[2]), search.args[3]


async def test_whoever_is_asked_reads_the_frame_of_the_event_alone(house: House) -> None:
    await house.send(*([up(f"e{number}", JANUARY)] for number in range(9)))
    stored = house.frames.partitions[up("e", JANUARY).partition].next_number
    owner, other, third = house.lookup(), house.lookup(owns=False), house.lookup(owns=False)
    async with listening(owner, other, third):
        for each in (owner, other):
            assert await asked(house, each, "e4") == ("accepted", 1, stored)
            assert await asked(house, each, "nobody") == ("not_seen", 0, stored)


async def test_what_the_owner_has_not_committed_when_it_told_is_searched(house: House) -> None:
    await house.send([up("before", JANUARY)])
    held = house.frames.partitions[up("e", JANUARY).partition]
    seen, stored = type(held.seen)(), held.next_number
    await house.send([up("later", JANUARY)])
    held.seen, held.next_number = seen, stored
    assert await asked(house, house.lookup(), "later") == ("accepted", 0, stored)


async def test_where_no_process_owns_the_partition_it_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_lookup, "PATIENCE_S", 0.2)
    lonely = house.lookup(owns=False)
    with pytest.raises(NobodyAnswers):
        await house.verdict(NIMBUS, "e", lonely)  # it does not listen yet
    async with listening(lonely):
        with pytest.raises(NobodyAnswers):
            await house.verdict(NIMBUS, "e", lonely)
