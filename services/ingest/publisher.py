"""Rows of many requests become frames; published means that the broker has them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.core.events.facts import Row
from services.ingest.framing import HEADERS, frames_of
from services.shell.broker import NONE, Security, for_aiokafka
from services.shell.faults import faultpoint
from services.shell.frames import MAX_ROWS, partition_of
from services.shell.logs import log, stack_of

LINGER = 0.010
"""Seconds that rows wait for others to share a frame with; and for as long as one of their
partition is under way: the more there is to do, the larger the frames."""
MAX_IN_FLIGHT = 200_000
"""Rows taken in and not yet acknowledged by the broker; more is refused, not queued."""


class Unavailable(Exception):
    """The rows are not, or not surely, with the broker. Sending them again is safe."""


@dataclass(slots=True)
class _Buffer:
    """What waits for one partition, and who waits for it."""

    rows: list[Row] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    is_due: bool = False


class Publisher:
    """Publishes rows to `measurements`."""

    def __init__(
        self,
        kafka: str,
        *,
        name: str,
        topic: str,
        timeout: float = 10.0,
        security: Security = NONE,
    ) -> None:
        self._producer: Any = None
        self._kafka, self._security = kafka, security
        self._name, self._topic, self._timeout = name, topic, timeout
        self._buffers: dict[int, _Buffer] = {}
        self._under_way: Counter[int] = Counter()
        self._sending: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._partitions = 0
        self.failure: str | None = "has not started"

    @property
    def in_flight(self) -> int:
        """Rows taken and not yet acknowledged."""
        return self._in_flight

    async def start(self) -> None:
        """Connect. Raises KafkaError where the broker or the topic is not there."""
        self._producer = AIOKafkaProducer(
            **for_aiokafka(self._kafka, self._security),
            client_id=self._name,
            enable_idempotence=True,
            acks="all",
            # Frames are compressed inside; once more would only cost time.
            max_batch_size=512 * 1024,
            max_request_size=4 * 1024 * 1024,
            linger_ms=0,
            request_timeout_ms=int(self._timeout * 1000),
        )
        try:
            await self._producer.start()
            self._partitions = len(await self._producer.partitions_for(self._topic))
        except BaseException:
            await self._producer.stop()
            raise
        self.failure = None

    async def stop(self) -> None:
        """Send what waits, wait for the broker, and disconnect."""
        for partition in list(self._buffers):
            self._flush(partition)
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._timeout)
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, rows: Sequence[Row]) -> None:
        """Return once the broker has acknowledged all rows.

        Raises Unavailable when there is too much under way, or the broker does not acknowledge.
        """
        if not rows:
            return
        if self._in_flight + len(rows) > MAX_IN_FLIGHT:
            raise Unavailable(f"{self._in_flight} events wait for the broker")
        self._in_flight += len(rows)
        try:
            done = self._enqueue(rows)
            finished, waiting = await asyncio.wait(done, timeout=self._timeout)
            for each in finished:
                each.result()
            if waiting:
                raise Unavailable("the broker has not acknowledged in time")
        finally:
            self._in_flight -= len(rows)

    async def probe(self) -> None:
        """Raise Unavailable where the last attempt to reach the broker failed."""
        try:
            async with asyncio.timeout(3):
                await self._producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError, AttributeError) as error:
            raise Unavailable(f"the broker does not answer: {error!r}") from error
        if self.failure is not None:
            raise Unavailable(self.failure)

    def _enqueue(self, rows: Sequence[Row]) -> list[asyncio.Future[None]]:
        loop = asyncio.get_running_loop()
        by_partition: dict[int, list[Row]] = {}
        for row in rows:
            partition = partition_of(row.source, self._partitions)
            by_partition.setdefault(partition, []).append(row)
        waiters = []
        for partition, own in by_partition.items():
            buffer = self._buffers.setdefault(partition, _Buffer())
            waiters.append(loop.create_future())
            buffer.waiters.append(waiters[-1])
            buffer.rows += own
            if len(buffer.rows) >= MAX_ROWS:
                self._flush(partition)
            elif buffer.timer is None:
                buffer.timer = loop.call_later(LINGER, self._when_due, partition)
        return waiters

    def _when_due(self, partition: int) -> None:
        """Send what waits, or have it sent once nothing of the partition is under way."""
        if self._under_way[partition]:
            self._buffers[partition].is_due = True
        else:
            self._flush(partition)

    def _flush(self, partition: int) -> None:
        buffer = self._buffers.pop(partition, None)
        if buffer is None:
            return
        if buffer.timer is not None:
            buffer.timer.cancel()
        self._under_way[partition] += 1
        task = asyncio.create_task(self._send(partition, buffer))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, partition: int, buffer: _Buffer) -> None:
        """Send one buffer's frames and tell all who wait what came of it."""
        error: Exception | None = None
        try:
            faultpoint("publish.before-send")
            acks = [
                await self._producer.send(self._topic, frame, partition=partition, headers=HEADERS)
                for frame in frames_of(buffer.rows)
            ]
            await asyncio.gather(*acks)
            faultpoint("publish.after-send")
            self.failure = None
        except KafkaError as failed:
            self.failure = f"the broker does not acknowledge: {failed!r}"
            log(__name__).warning("not_acknowledged", partition=partition, error=repr(failed))
            error = Unavailable(self.failure)
        except Exception as failed:
            log(__name__).error("frames_failed", partition=partition, traceback=stack_of(failed))
            error = failed
        self._under_way[partition] -= 1
        if partition in self._buffers and self._buffers[partition].is_due:
            self._flush(partition)
        for waiter in buffer.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
