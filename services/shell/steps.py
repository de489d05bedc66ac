"""The one consumer step: a batch of one partition becomes one transaction, exactly once.

Nothing here trusts what the framework says was handled. Records below the stored offset are
repeats and dropped; a record above the expected one means that something was skipped on the way,
and the partition is read again from the stored offset; and whatever goes wrong ends the process
rather than the handler, because a handler that raises is taken for one that has finished.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from time import monotonic
from typing import Any, NamedTuple, NoReturn, Protocol

from aiokafka.errors import KafkaError

from services.shell import metrics, progress
from services.shell.faults import faultpoint
from services.shell.logs import leave, log
from services.shell.outbox import OutboxBroken
from services.shell.postgres import Connection, NotReached, Pool, attempts, is_of_the_work
from services.shell.progress import NotOurs, PartitionClaim

REREAD_PAUSE = 5.0
"""Seconds given to a re-read before the partition is asked for again."""
REREADS = 4
"""After this many re-reads without the missing record it is taken for lost."""

SEQUENCE = "sequence"
"""Header with the number of a record on topics that our relay writes: 1, 2, 3 ... per partition,
as decimal text."""


class Record(NamedTuple):
    """One Kafka record as it came."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, or None."""
        found = [value for key, value in self.headers if key == name]
        return found[-1].decode("utf-8") if found else None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a handler did with a batch, inside a transaction that is not yet committed."""

    max_event_us: int | None = None
    """The latest event time in the batch, in microseconds since 1970 UTC; None when it says
    nothing about time."""
    committed: Callable[[], None] | None = None
    """Called once the commit is certain, and only then: the place to change what is held in
    memory. Must not raise."""


class Handler(Protocol):
    """What a service does with the records of one topic."""

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Read from Postgres what must be held in memory for these partitions. Replaces what was
        held."""

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what is held of these partitions: they are not ours any more. Never called for a
        partition while `apply` runs for it."""

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        """Write the effects of these records, in offset order, on the connection, which is in a
        transaction.

        May be called again for the same records when the transaction failed: memory is changed in
        `StepResult.committed` only. A record that can never be applied is written to a quarantine
        and passed over; raising ends the process.
        """


Prepare = Callable[[Pool, Sequence[Record]], Awaitable[int]]
"""Works out what the next transaction is to write, outside of it, as long as that takes. Gives how
many of the records, at least one, that transaction takes. Called again for each try of it; `apply`
raises Overtaken where what was worked out no longer fits."""


class Dense(Enum):
    """How a topic shows that nothing is missing between two records."""

    BY_OFFSET = "offset"
    """Offsets follow each other: never compacted and never written in a transaction."""
    BY_SEQUENCE = "sequence"
    """Records carry a `sequence` header; offsets have gaps from transaction markers."""


class InputLost(Exception):
    """Records between the stored offset and what the broker still has are gone, or never
    arrived."""


def leave_over(error: Exception, event: str, **fields: Any) -> NoReturn:
    """`leave` for an exception that is handled: with what it says where that is of the servers, and
    not where it may be of what a party has sent."""
    if is_of_the_work(error) and not _is_of_the_servers(error):
        leave(event, over_what_was_sent=True, **fields)
    leave(event, error=repr(error), **fields)


def _is_of_the_servers(error: Exception) -> bool:
    """Whether what it says is of ours alone; of a group: what each of it says."""
    kinds = (InputLost, NotReached, OutboxBroken, KafkaError)
    if isinstance(error, ExceptionGroup):
        return error.split(kinds)[1] is None
    return isinstance(error, kinds)


Rewind = Callable[[int, int], Awaitable[None]]
"""(partition, offset): make the consumer read again from there."""


class Steps:
    """Applies one topic's records for one worker. Owns the claims of that topic."""

    def __init__(
        self,
        *,
        app: str,
        topic: str,
        handler: Handler,
        dense: Dense,
        rewind: Rewind,
        prepare: Prepare | None = None,
    ) -> None:
        """``prepare``: where the handler works out beforehand; else a step takes all records."""
        self.app, self.topic = app, topic
        self.handler, self.dense = handler, dense
        self._prepare = prepare or _all_of_them
        self.claims: dict[int, PartitionClaim] = {}
        """What is held now. Read it freely; only this class writes it."""
        self.turn = asyncio.Lock()
        """Held during a step and during a claim: hold it to change memory that `load` or `apply`
        also change."""
        self._rewind = rewind
        self._rereads: dict[int, _Reread] = {}
        self._applying: int | None = None
        """The partition whose step runs now: its memory is needed until the step has ended."""

    async def claim(
        self, pool: Pool, beginnings: Mapping[int, int]
    ) -> Mapping[int, PartitionClaim]:
        """Claim exactly these partitions and load their state. All others are forgotten first."""
        async with self.turn:
            self._drop(set(self.claims))
            async for attempt in attempts(f"claim {self.topic}"):
                with attempt:
                    async with pool.acquire() as connection:
                        async with connection.transaction():
                            claims = await progress.claim(
                                connection, self.app, self.topic, beginnings
                            )
                            faultpoint("claim.before-commit")
                        faultpoint("claim.after-commit")
                        await self.handler.load(connection, claims)
                    attempt.done()
            self.claims = dict(claims)
            self._rereads.clear()
        log(__name__).info(
            "claimed", topic=self.topic, offsets={p: c.next_offset for p, c in claims.items()}
        )
        return self.claims

    def release(self, partitions: Collection[int]) -> None:
        """Stop applying these partitions. Records that still arrive are passed over.

        A step that runs comes to its end, or finds that another process has claimed its partition.
        """
        self._drop(set(partitions) & set(self.claims))

    async def take(self, pool: Pool, events: Iterable[Any]) -> None:
        """Apply Faust events. Never raises: what cannot be handled here ends the process."""
        batches: dict[int, list[Record]] = {}
        try:
            batches = by_partition(events)
            async with self.turn:
                for partition, records in batches.items():
                    await self._step(pool, partition, records)
        except asyncio.CancelledError:
            # Stopped in the middle: whether the commit went through is for the next claim to find
            # out.
            self.release(set(batches))
            raise
        except Exception as error:
            leave_over(error, "step_failed", topic=self.topic)

    async def _step(self, pool: Pool, partition: int, records: Sequence[Record]) -> None:
        held = self.claims.get(partition)
        if held is None:
            self._count("not_ours")
            return
        fresh = [record for record in records if record.offset >= held.next_offset]
        if not fresh:
            self._count("repeated")
            return
        dense = unbroken(held, fresh, self.dense)
        if dense:
            self._applying = partition
            try:
                await self._apply_all(pool, held, dense)
            finally:
                self._applying = None
                if partition not in self.claims:
                    self.handler.forget([partition])
        if len(dense) < len(fresh):
            await self._read_again(partition, fresh[len(dense)])

    async def _apply_all(self, pool: Pool, held: PartitionClaim, records: Sequence[Record]) -> None:
        """Apply records in one step, or in several where they are prepared for several."""
        reached: PartitionClaim | None = held
        while reached is not None and records[-1].offset >= reached.next_offset:
            rest = [record for record in records if record.offset >= reached.next_offset]
            await self._apply(pool, reached, rest)
            now = self.claims.get(held.partition)
            reached = None if now is reached else now

    async def _apply(self, pool: Pool, held: PartitionClaim, records: Sequence[Record]) -> None:
        step = _PendingStep(held, records, self.handler, self.dense, self._prepare)
        try:
            with metrics.STEP_SECONDS.labels(self.app, self.topic).time():
                moved, applied = await step.commit(pool)
        except NotOurs as error:
            log(__name__).warning("not_ours", topic=self.topic, reason=str(error))
            self._count("not_ours")
            self.release([held.partition])
            return
        if self.claims.get(held.partition) is held:
            self.claims[held.partition] = moved
        if applied.committed is not None:
            applied.committed()
        self._rereads.pop(held.partition, None)
        self._count("applied")
        metrics.APPLIED_OFFSET.labels(self.app, self.topic, held.partition).set(moved.next_offset)

    async def _read_again(self, partition: int, found: Record) -> None:
        """Seek back to the stored offset; give up when the missing record stays missing."""
        held = self.claims.get(partition)
        if held is None:
            return
        self._count("jumped")
        reread = self._rereads.setdefault(partition, _Reread())
        if monotonic() < reread.not_before:
            return
        if reread.times >= REREADS:
            raise InputLost(
                f"{self.topic}-{partition}: expected offset {held.next_offset} (last sequence "
                f"{held.last_sequence}), the next record found is {found.offset} "
                f"({found.header(SEQUENCE)}). Restore the missing input, then start again."
            )
        reread.times += 1
        reread.not_before = monotonic() + REREAD_PAUSE
        log(__name__).warning(
            "input_jumped",
            topic=self.topic,
            partition=partition,
            expected=held.next_offset,
            found=found.offset,
        )
        await self._rewind(partition, held.next_offset)

    def _drop(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self.claims.pop(partition, None)
            self._rereads.pop(partition, None)
        idle = [each for each in partitions if each != self._applying]
        if idle:
            self.handler.forget(idle)

    def _count(self, outcome: str) -> None:
        metrics.STEPS.labels(self.app, self.topic, outcome).inc()


@dataclass(slots=True)
class _Reread:
    times: int = 0
    not_before: float = 0.0


def unbroken(held: PartitionClaim, records: Sequence[Record], dense: Dense) -> Sequence[Record]:
    """Return the leading records that follow the claim without a gap.

    Raises:
        InputLost: a record carries no readable number on a topic that numbers its records.
    """
    expected = held.next_offset if dense is Dense.BY_OFFSET else None
    if dense is Dense.BY_SEQUENCE and held.last_sequence is not None:
        expected = held.last_sequence + 1
    for index, record in enumerate(records):
        number = record.offset if dense is Dense.BY_OFFSET else sequence_of(record)
        if expected is not None and number != expected:
            return records[:index]
        expected = number + 1
    return records


def sequence_of(record: Record) -> int:
    """Return a record's number.

    Raises:
        InputLost: it has none. Somebody else than the relay has written to the topic.
    """
    text = record.header(SEQUENCE)
    if text is None or not text.isdigit():
        raise InputLost(
            f"the record at offset {record.offset} has the {SEQUENCE} header {text!r}, "
            "which is no number: only the relay may write to this topic; remove the other writer"
        )
    return int(text)


async def commit(
    pool: Pool,
    held: PartitionClaim,
    records: Sequence[Record],
    handler: Handler,
    dense: Dense,
    prepare: Prepare | None = None,
) -> tuple[PartitionClaim, StepResult]:
    """Apply records that follow a claim without a gap in one step, outside of a worker. Gives the
    claim after it.

    Raises:
        NotOurs: the partition was claimed by another.
    """
    step = _PendingStep(held, records, handler, dense, prepare or _all_of_them)
    return await step.commit(pool)


@dataclass(slots=True)
class _PendingStep:
    """Records of one partition on their way into one transaction."""

    held: PartitionClaim
    records: Sequence[Record]
    handler: Handler
    dense: Dense
    prepare: Prepare
    reached: tuple[PartitionClaim, StepResult] | None = None
    """Where a commit was asked for: its outcome may be unknown afterwards."""

    async def commit(self, pool: Pool) -> tuple[PartitionClaim, StepResult]:
        """Apply and commit, again and again while the database is away, with the batch in hand."""
        async for attempt in attempts(f"apply {self.held.topic}-{self.held.partition}"):
            with attempt:
                if not await self._is_there(pool):
                    taken = self.records[: await self.prepare(pool, self.records)]
                    async with pool.acquire() as connection:
                        await self._transaction(connection, taken)
                attempt.done()
        assert self.reached is not None, "an attempt that is done has reached a commit"
        moved, applied = self.reached
        later = _later(self.held.max_event_us, applied.max_event_us)
        return replace(moved, max_event_us=later), applied

    async def _transaction(self, connection: Connection, records: Sequence[Record]) -> None:
        """One try."""
        last = sequence_of(records[-1]) if self.dense is Dense.BY_SEQUENCE else None
        moved = replace(self.held, next_offset=records[-1].offset + 1, last_sequence=last)
        try:
            async with connection.transaction():
                await progress.hold(connection, self.held)
                applied = await self.handler.apply(connection, self.held.partition, records)
                await progress.advance(
                    connection,
                    self.held,
                    self.held.next_offset,
                    moved.next_offset,
                    applied.max_event_us,
                    moved.last_sequence,
                )
                faultpoint("step.before-commit")
                self.reached = moved, applied
            faultpoint("step.after-commit")
        except NotOurs:
            # An earlier commit whose answer was lost may have finished only while we waited for its
            # lock.
            if not await self._has_moved(connection):
                raise

    async def _is_there(self, pool: Pool) -> bool:
        """Whether a commit that was asked for went through."""
        if self.reached is None:
            return False
        async with pool.acquire() as connection:
            return await self._has_moved(connection)

    async def _has_moved(self, connection: Connection) -> bool:
        if self.reached is None:
            return False
        return await progress.has_moved(connection, self.held, self.reached[0].next_offset)


async def _all_of_them(_: Pool, records: Sequence[Record]) -> int:
    return len(records)


def _later(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def by_partition(events: Iterable[Any]) -> dict[int, list[Record]]:
    """Sort Faust events into records by partition, in the order in which they came."""
    batches: dict[int, list[Record]] = {}
    for event in events:
        message = event.message
        batches.setdefault(message.partition, []).append(
            Record(
                offset=message.offset,
                timestamp_ms=round(message.timestamp * 1000),
                key=message.key,
                value=message.value,
                headers=_pairs(message.headers),
            )
        )
    return batches


def _pairs(headers: Any) -> Sequence[tuple[str, bytes]]:
    """Return headers as pairs: Faust passes on what the driver gave, a sequence or a mapping."""
    if not headers:
        return ()
    return tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)
