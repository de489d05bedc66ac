"""A simulated broker: partitions, transactions with fencing, read_committed, groups.

It keeps what Kafka promises. What may happen between it and a client is in `world`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import ProducerFenced

from tests.simulation.loop import Process

TP = tuple[str, int]
TRANSACTION_SECONDS = 30.0
"""A transaction that stays open longer is aborted."""


@dataclass(slots=True)
class OpenTransaction:
    """A transaction of a producer; its records are seen once it is committed."""

    state: str = "open"
    places: set[TP] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in a log: a record, or the marker at a transaction's end, which is no record."""

    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    transaction: OpenTransaction | None = None
    marker: bool = False


@dataclass(slots=True)
class ProducerState:
    """What the coordinator knows of a transactional id."""

    epoch: int = -1
    open: OpenTransaction | None = None


class Broker:
    """The logs, and who may write in transactions."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.logs: dict[TP, list[Entry]] = {}
        self.producers: dict[str, ProducerState] = {}
        self.groups: dict[str, Group] = {}
        self.fenced = 0
        """How often a producer was shut out that had not ended."""
        self.grown: dict[str, list[asyncio.Future[None]]] = {}
        """By topic, of those who wait for anything new."""

    def create(self, topic: str, partitions: int) -> None:
        self.logs |= {(topic, each): [] for each in range(partitions)}

    def append(self, place: TP, entry: Entry) -> None:
        self.logs[place].append(entry)
        for each in self.grown.pop(place[0], ()):
            if not each.done():
                each.set_result(None)

    def end(self, place: TP, *, committed: bool) -> int:
        """The offset after the last; of committed records: before the first open transaction."""
        log = self.logs[place]
        if committed:
            for offset, entry in enumerate(log):
                if entry.transaction is not None and entry.transaction.state == "open":
                    return offset
        return len(log)

    def read(
        self, place: TP, start: int, most: int, *, committed: bool
    ) -> tuple[list[tuple[int, Entry]], int]:
        """Records from an offset on, and the offset at which to go on."""
        found: list[tuple[int, Entry]] = []
        at, end = start, self.end(place, committed=committed)
        while at < end and len(found) < most:
            entry = self.logs[place][at]
            aborted = entry.transaction is not None and entry.transaction.state == "aborted"
            if not entry.marker and not (committed and aborted):
                found.append((at, entry))
            at += 1
        return found, at

    # Transactions

    def begin_epoch(self, identity: str) -> int:
        """Give a producer its epoch: whoever had the id before is shut out, and what it left open
        is aborted."""
        state = self.producers.setdefault(identity, ProducerState())
        if state.epoch >= 0:
            self.fenced += 1
        self._end(state, commit=False)
        state.epoch += 1
        return state.epoch

    def _checked(self, identity: str, epoch: int) -> ProducerState:
        state = self.producers[identity]
        if state.epoch != epoch:
            raise ProducerFenced(f"epoch {epoch} of {identity} is over")
        return state

    def send(self, identity: str, epoch: int, place: TP, entry: Entry) -> None:
        """Write a record in the open transaction; opens one. Raises ProducerFenced."""
        state = self._checked(identity, epoch)
        if state.open is None:
            state.open = OpenTransaction()
            self._loop.at_server(TRANSACTION_SECONDS, self._time_out, state, state.open)
        state.open.places.add(place)
        self.append(place, Entry(entry.key, entry.value, entry.headers, transaction=state.open))

    def end_transaction(self, identity: str, epoch: int, *, commit: bool) -> None:
        """Commit or abort. Raises ProducerFenced."""
        self._end(self._checked(identity, epoch), commit=commit)

    def _time_out(self, state: ProducerState, transaction: OpenTransaction) -> None:
        if state.open is transaction:
            self._end(state, commit=False)
            state.epoch += 1

    def _end(self, state: ProducerState, *, commit: bool) -> None:
        if state.open is not None:
            transaction, state.open = state.open, None
            transaction.state = "committed" if commit else "aborted"
            for place in sorted(transaction.places):
                self.append(place, Entry(None, b"", marker=True))


class Member:
    """A member of a group as the coordinator sees it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.outdated: asyncio.Future[None]
        """Made by the member before it joins; done when it has heard that it must join anew."""
        self.answer: asyncio.Future[tuple[int, tuple[TP, ...]]] | None = None
        """Of a member that has joined and waits for the others."""


class Group:
    """One consumer group with eager rebalancing: all let go of everything, then all join."""

    def __init__(
        self, places: Sequence[TP], tell: Callable[[Member], None], shift: Callable[[int], int]
    ) -> None:
        """``tell``: has a member hear, at some moment, that it must join anew. ``shift``: where the
        assignment begins."""
        self.places, self._tell, self._shift = places, tell, shift
        self.members: list[Member] = []
        self.generation = 0
        self._preparing = False

    def join(self, member: Member, answer: asyncio.Future[Any]) -> None:
        """A member asks for its part; the answer comes when all have asked."""
        if member not in self.members:
            self.members.append(member)
        member.answer = answer
        self._prepare()

    def rebalance(self) -> None:
        """Have all join anew."""
        self._prepare()

    def expire(self, member: Member) -> None:
        """A member was not heard of for too long, or has gone."""
        if member in self.members:
            self.members.remove(member)
            member.answer = None
            if self.members:
                self._prepare()

    def _prepare(self) -> None:
        if not self._preparing:
            self._preparing = True
            for each in self.members:
                if each.answer is None:
                    self._tell(each)
        if all(each.answer is not None for each in self.members):
            self._complete()

    def _complete(self) -> None:
        self._preparing = False
        self.generation += 1
        first = self._shift(len(self.members))
        for number, member in enumerate(self.members):
            mine = tuple(
                place
                for index, place in enumerate(self.places)
                if (index + first) % len(self.members) == number
            )
            assert member.answer is not None, "all have joined"
            answer, member.answer = member.answer, None
            if not answer.done():
                answer.set_result((self.generation, mine))

    def holders(self) -> Collection[Process]:
        """The processes that are members."""
        return [each.process for each in self.members]
