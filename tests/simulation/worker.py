"""A simulated worker: our part of `services.shell.kafka` as it is, Faust's part played.

Faust's part is what `services.shell.kafka` does not trust: what it fetches, in which order, from
where, and when it asks for the offsets. Here that is as bad as it may be, by the seed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP
from faust.utils.tracing import noop_span

from services.shell import kafka
from services.shell.relay import Relay
from services.shell.settings import Settings
from services.shell.steps import Dense
from services.shell.watchdog import StallDetector
from tests.simulation.broker import Member
from tests.simulation.handlers import Adder
from tests.simulation.postgres import Pool

FETCHED = 6
"""Records of one partition in one answer of the broker."""
LONG_POLL = 3.0
"""Seconds after which one that found nothing looks again."""


class Consumer(kafka.Consumer):
    """Our consumer on Faust's, with a simulated client of the broker below."""

    def __init__(self, app: Any, runtime: Runtime) -> None:
        # Not Faust's constructor: it would make threads and a client.
        self.app, self.runtime = app, runtime
        self.diag = SimpleNamespace(set_flag=_nothing, unset_flag=_nothing)
        self._active_partitions, self._paused_partitions = None, set()
        self._gap, self._acked, self._acked_index = {}, {}, defaultdict(set)
        self._read_offset, self._committed_offset = {}, {}
        self._on_partitions_revoked = runtime.revoked
        self._on_partitions_assigned = runtime.assigned

    def assignment(self) -> set[TP]:
        return set(self.runtime.positions)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        await asyncio.sleep(self.runtime.world.delay())
        for tp, offset in partitions.items():
            if tp not in self.runtime.positions:
                raise IllegalStateError(f"No current assignment for partition {tp}")
            self.runtime.positions[tp] = offset
        self.runtime.wake()

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        world = self.runtime.world

        def ends() -> dict[TP, int]:
            return {tp: world.broker.end(tuple(tp), committed=True) for tp in partitions}

        found: dict[TP, int] = await world.ask_broker("ends", ends)
        return found


def _nothing(*_: Any) -> None:
    """Of what only shows how things are."""


@dataclass(frozen=True, slots=True)
class _Event:
    message: Any


class _Stream:
    """What an agent takes events from."""

    def __init__(self) -> None:
        self.waiting: deque[_Event] = deque()
        self.came = asyncio.Event()

    async def take_events(self, most: int, within: float) -> AsyncIterator[list[_Event]]:
        while True:
            await self.came.wait()
            await asyncio.sleep(within)
            taken = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
            if not self.waiting:
                self.came.clear()
            if taken:
                yield taken


class Runtime:
    """One worker process from its start to its end."""

    def __init__(self, world: Any, process: Any, plan: WorkerPlan) -> None:
        self.world, self.process, self.plan = world, process, plan
        self.positions: dict[TP, int] = {}
        self.flowing = False
        self._resting: asyncio.Future[None] | None = None
        self.stream = _Stream()
        self.member = Member(process)
        self._agents: list[Callable[[Any], Any]] = []

    async def run(self) -> None:
        """Be a worker: what `services.shell.kafka` and Faust do together."""
        settings = self.plan.settings
        app = SimpleNamespace(
            wires=kafka.Wires(settings),
            topic=lambda name, **_: name,
            agent=lambda *_, **__: self._agents.append,
            _start_span_from_rebalancing=lambda _: noop_span(),
            on_rebalance_return=_nothing,
        )
        app.consumer = self.consumer = Consumer(app, self)
        wires = self.wires = app.wires
        wires._pool = Pool(self.world)
        await self._checked(wires)
        if self.plan.output:
            relay = Relay(settings, wires.pool, [self.plan.output])
            self._beside("relay", relay.run)
        if self.plan.reads:
            await self._read(app)

    async def _read(self, app: Any) -> None:
        handler = Adder(self.plan.topic, self.plan.output, self.world)
        kafka.consume(
            app,
            self.plan.topic,
            handler,
            dense=self.plan.dense,
            max_records=4,
            prepare=handler.prepare if self.plan.dense is Dense.BY_SEQUENCE else None,
        )
        self._beside("watchdog", self._watch)
        for agent in self._agents:
            self.process.spawn(agent(self.stream))
        self.process.spawn(self._fetch())
        await self._membership()

    async def _checked(self, wires: Any) -> None:
        async for attempt in kafka.attempts("open the pool"):
            with attempt:
                await wires._check()
                attempt.done()

    def _beside(self, name: str, work: Any) -> None:
        self.process.spawn(self.wires._guard(name, work))

    async def _watch(self) -> None:
        """The watchdog's thread."""
        judge, pause = StallDetector(self.plan.settings.stall), self.plan.settings.stall / 5
        while True:
            try:
                await self.wires._watchdog._watch(judge, pause)
            except Exception as error:
                self.world.note(self.process, "watchdog", repr(error))
            await asyncio.sleep(pause)

    # The group

    async def _membership(self) -> None:
        loop = self.world.loop
        await asyncio.sleep(self.world.delay())
        while True:
            self.member.outdated = loop.create_future()
            answer = loop.create_future()
            await self.world.ask_broker("join", self.world.join, self.plan, self.member, answer)
            await asyncio.wait({answer, self.member.outdated}, return_when="FIRST_COMPLETED")
            if answer.done():
                await asyncio.sleep(self.world.delay())
                await self._assigned(*answer.result())
            await self.member.outdated
            self.flowing = False
            revoked = set(self.positions)
            await self.consumer.on_partitions_revoked(revoked)
            self.positions.clear()

    async def _assigned(self, generation: int, places: tuple[tuple[str, int], ...]) -> None:
        world, chance = self.world, self.world.chance
        # Kafka's committed offset is only a gauge: it may be anywhere.
        ends = {place: len(world.broker.logs[place]) for place in places}
        self.positions = {TP(*each): chance.randint(0, ends[each]) for each in places}
        world.note(self.process, "assigned", f"{generation}: {list(places)}")
        self.flowing = chance.random() < 0.1
        await self.consumer.on_partitions_assigned(set(self.positions), generation)
        for _ in range(2 if chance.random() < 0.2 else 1):
            self.process.spawn(self._recover(self.member.outdated))

    async def _recover(self, outdated: asyncio.Future[None]) -> None:
        """Faust asks for the offsets a little later, and perhaps too late."""
        late = self.world.chance.random() < 0.2
        await asyncio.sleep(self.world.delay() * (200 if late else 1))
        await self.consumer.perform_seek()
        if not outdated.done():
            self.flowing = True
            self.wake()

    async def revoked(self, revoked: set[TP]) -> None:
        """What Faust does in between: it clears the buffers; what was taken out of them stays."""
        if self.world.chance.random() < 0.8:
            self.stream.waiting.clear()
            self.stream.came.clear()

    async def assigned(self, assigned: set[TP], generation: int) -> None:
        """What Faust does in between takes its time."""
        await asyncio.sleep(self.world.delay())

    # Fetching

    async def _fetch(self) -> None:
        world = self.world
        while True:
            asked = dict(self.positions) if self.flowing else {}
            if not asked:
                await self._rest()
                continue

            def read(asked: dict[TP, int] = asked) -> dict[TP, Any]:
                return {
                    tp: world.broker.read(tuple(tp), at, FETCHED, committed=True)
                    for tp, at in asked.items()
                    if tuple(tp) in world.broker.logs
                }

            found = await world.ask_broker("fetch", read)
            fresh = [tp for tp, (records, after) in found.items() if after > asked[tp]]
            if not fresh:
                await self._rest(LONG_POLL)
            for tp in fresh:
                self._deliver(tp, asked[tp], *found[tp])

    async def _rest(self, most: float | None = None) -> None:
        """Wait until the topic grows or a place changes."""
        self._resting = self.world.loop.create_future()
        self.world.broker.grown.setdefault(self.plan.topic, []).append(self._resting)
        timer = self.world.loop.call_later(most, self.wake) if most is not None else None
        await self._resting
        if timer is not None:
            timer.cancel()

    def wake(self) -> None:
        """Have the fetching look again."""
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)

    def _deliver(self, tp: TP, asked: int, records: list[Any], after: int) -> None:
        """Pass records on, unless the seek that came meanwhile is known; that it is not always."""
        chance = self.world.chance
        if tp not in self.positions or not self.flowing:
            return
        if self.positions[tp] == asked:
            self.positions[tp] = after
        elif chance.random() < 0.5:
            return
        for offset, entry in records:
            if self.world.skips():
                self.world.note(self.process, "skipped", f"{tp.topic}-{tp.partition} {offset}")
                continue
            message = SimpleNamespace(
                partition=tp.partition, offset=offset, timestamp=0.0, key=entry.key,
                value=entry.value, headers=entry.headers,
            )  # fmt: skip
            self.stream.waiting.append(_Event(message))
            if self.world.skips():
                self.positions[tp] = offset  # and what was given is given again
        if self.stream.waiting:
            self.stream.came.set()


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a kind of worker reads and writes."""

    settings: Settings
    topic: str
    output: str | None
    dense: Dense
    reads: bool = True
    """False: it only relays."""
