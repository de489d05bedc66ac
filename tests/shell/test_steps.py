"""What happens to a step while its partition is taken away."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from faust.types import Message

from services.shell.postgres import Connection, Overtaken, open_pool
from services.shell.progress import PartitionClaim
from services.shell.steps import Dense, Record, StepResult, Steps

TOPIC = "numbers"


class Pausing:
    """Holds a total per partition, and stops in the middle of a step until it is let go."""

    def __init__(self) -> None:
        self.totals: dict[int, int] = {}
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        self.totals = dict.fromkeys(claims, 0)

    def forget(self, partitions: Collection[int]) -> None:
        for each in partitions:
            del self.totals[each]

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        self.reached.set()
        await self.go_on.wait()
        total = self.totals[partition] + len(records)
        return StepResult(committed=partial(self.totals.__setitem__, partition, total))


class Event:
    """What Faust hands to an agent, as far as a step reads it."""

    def __init__(self, partition: int, offset: int) -> None:
        self.message = Message(
            TOPIC,
            partition,
            offset,
            timestamp=0.0,
            timestamp_type=0,
            headers=(),
            key=None,
            value=b"1",
            checksum=None,
        )


@asynccontextmanager
async def applying(database: str) -> AsyncIterator[tuple[Steps, Pausing, Any, Any]]:
    """Two partitions are held; a step of the first one runs."""

    async def rewind(partition: int, offset: int) -> None:
        raise AssertionError("nothing is missing")

    handler = Pausing()
    steps = Steps(app="adder", topic=TOPIC, handler=handler, dense=Dense.BY_OFFSET, rewind=rewind)
    pool = await open_pool(database, name="adder")
    try:
        await steps.claim(pool, {0: 0, 1: 0})
        step = asyncio.create_task(steps.take(pool, [Event(0, 0)]))
        await asyncio.wait_for(handler.reached.wait(), 10)
        yield steps, handler, step, pool
    finally:
        await pool.close()


async def test_a_step_keeps_its_memory_until_it_has_ended(database: str) -> None:
    async with applying(database) as (steps, handler, step, pool):
        steps.release([0, 1])
        assert not steps.claims
        assert set(handler.totals) == {0}, "the idle one is forgotten at once"
        handler.go_on.set()
        await asyncio.wait_for(step, 10)
        assert not handler.totals
        stored = await pool.fetchval("select next_offset from progress where partition = 0")
        assert stored == 1, "nobody else had claimed it: the step counts"


async def test_the_claim_of_another_waits_for_the_step_and_starts_behind_it(database: str) -> None:
    async with applying(database) as (steps, handler, step, pool):
        # A claim waits for the row that the step holds, and so for the step.
        other = Steps(
            app="adder",
            topic=TOPIC,
            handler=Pausing(),
            dense=Dense.BY_OFFSET,
            rewind=steps._rewind,
        )
        claiming = asyncio.create_task(other.claim(pool, {0: 0}))
        steps.release([0])
        handler.go_on.set()
        claims = await asyncio.wait_for(claiming, 10)
        await asyncio.wait_for(step, 10)
        assert claims[0].next_offset == 1
        # What still arrives at the first one is passed over.
        await steps.take(pool, [Event(0, 1)])
        assert await pool.fetchval("select next_offset from progress where partition = 0") == 1


async def test_a_claim_waits_for_the_step_and_then_loads_anew(database: str) -> None:
    async with applying(database) as (steps, handler, step, pool):
        steps.release([0])
        claiming = asyncio.create_task(steps.claim(pool, {0: 0}))
        await asyncio.sleep(0.05)
        assert not claiming.done()
        handler.go_on.set()
        await asyncio.wait_for(step, 10)
        claims = await asyncio.wait_for(claiming, 10)
        assert claims[0].next_offset == 1
        assert handler.totals == {0: 0}


class Singly:
    """Takes one record a transaction; the first one is overtaken once."""

    def __init__(self) -> None:
        self.prepared: list[int] = []
        self.applied: list[list[int]] = []

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Nothing is held."""

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is held."""

    async def prepare(self, pool: Any, records: Sequence[Record]) -> int:
        self.prepared.append(len(records))
        return 1

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        self.applied.append([record.offset for record in records])
        if len(self.applied) == 1:
            raise Overtaken("somebody was faster")
        return StepResult()


async def test_what_is_prepared_for_several_transactions_is_committed_in_several(
    database: str,
) -> None:
    async def rewind(partition: int, offset: int) -> None:
        raise AssertionError("nothing is missing")

    handler = Singly()
    steps = Steps(
        app="adder",
        topic=TOPIC,
        handler=handler,
        dense=Dense.BY_OFFSET,
        rewind=rewind,
        prepare=handler.prepare,
    )
    pool = await open_pool(database, name="adder")
    try:
        await steps.claim(pool, {0: 0})
        await steps.take(pool, [Event(0, offset) for offset in range(3)])
        assert handler.prepared == [3, 3, 2, 1], "the first one was tried twice"
        assert handler.applied == [[0], [0], [1], [2]]
        assert steps.claims[0].next_offset == 3
        assert await pool.fetchval("select next_offset from progress") == 3
    finally:
        await pool.close()
