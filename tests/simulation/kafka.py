"""What stands in for Kafka's clients: a producer in transactions, a reader without a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.broker import Entry
from tests.simulation.loop import PROCESS


def _world() -> Any:
    return asyncio.get_running_loop().world  # type: ignore[attr-defined]


class Producer:
    """As far as the relay uses `AIOKafkaProducer`."""

    def __init__(self, *, transactional_id: str, **_: Any) -> None:
        self._identity, self._world = transactional_id, _world()
        self._epoch: int | None = None
        self._sent: list[tuple[tuple[str, int], Entry]] = []

    async def start(self) -> None:
        """Nothing is asked before the first transaction."""

    async def stop(self) -> None:
        """What is open stays open until the next of the same id begins."""

    async def begin_transaction(self) -> None:
        if self._epoch is None:
            self._epoch = await self._world.ask_broker(
                f"init {self._identity}", self._world.broker.begin_epoch, self._identity
            )

    async def send(
        self, topic: str, *, value: bytes, key: bytes, partition: int, headers: Sequence[Any]
    ) -> None:
        self._sent.append(((topic, partition), Entry(key, value, tuple(headers))))
        if self._world.chance.random() < 0.3:  # it sends by itself, whenever it likes
            await self._flush()

    async def commit_transaction(self) -> None:
        await self._flush()
        await self._end(commit=True)

    async def abort_transaction(self) -> None:
        self._sent.clear()
        await self._end(commit=False)

    async def _flush(self) -> None:
        sent, self._sent = self._sent, []
        by_place: dict[tuple[str, int], list[Entry]] = {}
        for place, entry in sent:
            by_place.setdefault(place, []).append(entry)
        for place, entries in by_place.items():
            await self._world.ask_broker(f"send {len(entries)}", self._append, place, entries)

    def _append(self, place: tuple[str, int], entries: Iterable[Entry]) -> None:
        assert self._epoch is not None, "records are sent in a transaction"
        for entry in entries:
            self._world.broker.send(self._identity, self._epoch, place, entry)

    async def _end(self, *, commit: bool) -> None:
        assert self._epoch is not None, "a transaction is ended after it has begun"
        await self._world.ask_broker(
            "commit transaction" if commit else "abort transaction",
            lambda: self._world.broker.end_transaction(self._identity, self._epoch, commit=commit),
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self.begin_transaction()
        try:
            yield
            await self._flush()
        except Exception:
            await self.abort_transaction()
            raise
        await self._end(commit=True)


@dataclass(frozen=True, slots=True)
class ConsumerRecord:
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Reader:
    """As far as `log_reader` and the watchdog use `AIOKafkaConsumer`."""

    def __init__(self, *, isolation_level: str = "read_uncommitted", **_: Any) -> None:
        self._committed = isolation_level == "read_committed"
        self._world = _world()
        self._at: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """It is connected with the first request."""

    async def stop(self) -> None:
        """Nothing is held."""

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[Any, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        def ends() -> dict[TopicPartition, int]:
            broker = self._world.broker
            return {each: broker.end(tuple(each), committed=self._committed) for each in places}

        found: dict[TopicPartition, int] = await self._world.ask_broker("ends", ends)
        return found

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._at[place]

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int = 0, max_records: int = 50
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        def read() -> dict[TopicPartition, Any]:
            return {
                place: self._world.broker.read(
                    tuple(place), self._at[place], max_records, committed=self._committed
                )
                for place in places or self._at
            }

        found = await self._world.ask_broker("read", read)
        records: dict[TopicPartition, list[ConsumerRecord]] = {}
        for place, (entries, after) in found.items():
            self._at[place] = after
            if entries:
                records[place] = [
                    ConsumerRecord(*place, offset, 0, each.key, each.value, each.headers)
                    for offset, each in entries
                ]
        if not records:
            await asyncio.sleep(timeout_ms / 1000)
        return records


async def dial_database(*_: Any, **__: Any) -> Any:
    """In place of `services.shell.postgres.connect`."""
    from tests.simulation.postgres import dial

    return await dial(PROCESS.get() and _world())
