"""The relay: publishes the outbox in Kafka transactions, each record once and in order.

Where it stands is not remembered but read: it first fences any older relay through the
transactional id, then looks at the last committed record of each output partition.
"""

import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from services.shell import metrics
from services.shell.broker import NONE, Security, for_aiokafka, parted
from services.shell.faults import faultpoint
from services.shell.log_reader import LogReader, log_reader
from services.shell.logs import log
from services.shell.outbox import EVENT_ID, OutboxBroken
from services.shell.postgres import Pool
from services.shell.settings import Settings
from services.shell.steps import SEQUENCE, Record

MAX_ROWS = 500
"""Rows of one partition in one Kafka transaction."""
MAX_BYTES = 16 * 1024 * 1024
"""Bodies of all partitions in one Kafka transaction, together; one record may be larger."""
MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""The largest record that is published. The topics of the outbox take as much."""
POLL = 0.05
"""Seconds between looks while nothing waits."""
LEASE = 5.0
"""Seconds after which another relay may take over from a silent one."""
TAIL_SECONDS = 30.0
"""A stretch at the end of a partition is read in this time."""
CLEAN_EVERY = 60.0
CLEAN_ROWS = 5000


class Relay:
    """Publishes the outbox of some topics. Any number may run; per topic one works and the others
    wait."""

    def __init__(
        self, settings: Settings, pool: Pool, topics: Sequence[str], *, lease: float = LEASE
    ) -> None:
        self._settings, self._pool, self._topics, self._lease = settings, pool, topics, lease
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Finish the transaction under way, give the leases back and let `run` return."""
        self._stopped.set()

    async def run(self) -> None:
        """Publish until stopped.

        Raises:
            OutboxBroken: Kafka and the outbox contradict each other; a person must look.
        """
        async with asyncio.TaskGroup() as group:
            for topic in self._topics:
                group.create_task(self._keep_publishing(topic))

    async def _keep_publishing(self, topic: str) -> None:
        """Take turns; on error, restart from Kafka's committed position."""
        pause = POLL
        while not self._stopped.is_set():
            try:
                if await self._take_lease(topic):
                    faultpoint("relay.after-lease")
                    renewing = asyncio.create_task(self._renew(topic))
                    try:
                        await self._turn(topic)
                    finally:
                        renewing.cancel()
                        await asyncio.wait({renewing})
                        await self._give_back(topic)
                    pause = POLL
            except OutboxBroken:
                raise
            except Exception as error:
                log(__name__).warning("relay_begins_anew", topic=topic, error=repr(error))
                pause = min(max(pause * 2, 0.2), 5.0)
            await self._sleep(pause if pause > POLL else self._lease / 10)

    async def _turn(self, topic: str) -> None:
        """Hold the topic: fence, find the place, publish until stopped, fenced or without lease."""
        producer = AIOKafkaProducer(
            **for_aiokafka(self._settings.kafka, self._settings.security),
            transactional_id=self._settings.transactional_id(topic),
            acks="all",
            max_batch_size=512 * 1024,
            max_request_size=MAX_REQUEST_BYTES,
            compression_type="lz4",
            transaction_timeout_ms=30_000,
        )
        try:
            await producer.start()
            # Beginning a transaction waits for the producer id, which shuts out any older relay
            # and ends what it left
            # open. Only from then on is the tail of the output final.
            async with asyncio.timeout(60):
                await producer.begin_transaction()
            await producer.commit_transaction()
            faultpoint("relay.after-fence")
            positions = await self._recover(topic)
            log(__name__).info("relay_holds", topic=topic, positions=positions)
            await self._publish_all(topic, producer, positions)
        finally:
            await parted(producer.stop())

    async def _publish_all(
        self, topic: str, producer: AIOKafkaProducer, positions: dict[int, int]
    ) -> None:
        noted = cleaned = monotonic()
        while not self._stopped.is_set():
            rows = await self._next_rows(topic, positions)
            if rows:
                faultpoint("relay.before-send")
                await _publish(producer, topic, rows)
                for row in rows:
                    positions[row["partition"]] = row["seq"]
                faultpoint("relay.after-publish")
                metrics.PUBLISHED.labels(topic).inc(len(rows))
            if rows or monotonic() - noted > self._lease / 3:
                if not await self._note(topic, positions):
                    return
                noted = monotonic()
            if monotonic() - cleaned > CLEAN_EVERY:
                await self._clean(topic)
                cleaned = monotonic()
            if not rows:
                await self._sleep(POLL)

    async def _recover(self, topic: str) -> dict[int, int]:
        """Return the last published number of each partition, from Kafka itself where it has any
        record."""
        heads = await self._pool.fetch(
            "select head.partition, head.next_seq, coalesce(at.published_seq, 0) as published"
            "  from outbox_head head left join relay_position at using (topic, partition)"
            " where topic = $1",
            topic,
        )
        if not heads:
            raise LookupError(f"topic {topic} is not known to the outbox: declare it first")
        tails = await committed_tails(
            self._settings.kafka,
            topic,
            [head["partition"] for head in heads],
            self._settings.security,
        )
        positions = {}
        for head in heads:
            tail = tails[head["partition"]]
            positions[head["partition"]] = head["published"] if tail is None else tail
            if tail is not None and tail >= head["next_seq"]:
                raise OutboxBroken(
                    f"{topic}-{head['partition']} ends with sequence {tail}, the outbox has given "
                    f"out only {head['next_seq'] - 1}: the database is older than the topic. "
                    "Stop all processes and run 'earnback recover'."
                )
        return positions

    async def _next_rows(self, topic: str, positions: Mapping[int, int]) -> list[Any]:
        rows: list[Any] = await self._pool.fetch(
            _NEXT, topic, list(positions), list(positions.values()), MAX_ROWS, MAX_BYTES
        )
        expected = dict(positions)
        for row in rows:
            expected[row["partition"]] += 1
            if row["seq"] != expected[row["partition"]]:
                raise OutboxBroken(
                    f"{topic}-{row['partition']}: the next number is {expected[row['partition']]}, "
                    f"the outbox goes on with {row['seq']}. Rows were removed before they were "
                    "published, or Kafka lost its tail: restore the missing rows."
                )
        return rows

    async def _take_lease(self, topic: str) -> bool:
        taken = await self._pool.fetchval(
            "insert into relay_lease as held (topic, holder, expires_at)"
            " values ($1, $2, clock_timestamp() + make_interval(secs => $3))"
            " on conflict (topic) do update set holder = excluded.holder,"
            "   expires_at = excluded.expires_at"
            " where held.expires_at < clock_timestamp() or held.holder = excluded.holder"
            " returning true",
            topic,
            self._holder,
            self._lease,
        )
        return bool(taken)

    async def _renew(self, topic: str) -> None:
        """Renew the lease while the search for the place or a Kafka transaction takes long.

        A relay that is slow keeps it: two that take it from each other would publish nothing.
        """
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                await self._pool.execute(_RENEW, topic, self._holder, self._lease)
            except Exception as error:
                log(__name__).info("lease_not_renewed", topic=topic, error=repr(error))

    async def _give_back(self, topic: str) -> None:
        await self._pool.execute(
            "delete from relay_lease where topic = $1 and holder = $2", topic, self._holder
        )

    async def _note(self, topic: str, positions: Mapping[int, int]) -> bool:
        """Note how far Kafka has it and renew the lease. False when another relay holds it by
        now."""
        async with self._pool.acquire() as connection, connection.transaction():
            tag = await connection.execute(_RENEW, topic, self._holder, self._lease)
            if tag != "UPDATE 1":
                return False
            depth = await connection.fetchval(_NOTE, topic, list(positions), [*positions.values()])
            faultpoint("relay.before-note")
        faultpoint("relay.after-note")
        metrics.OUTBOX_DEPTH.labels(topic).set(depth or 0)
        return True

    async def _clean(self, topic: str) -> None:
        """Remove rows that were published and are older than the time kept, a bounded number at a
        time."""
        await self._pool.execute(
            "delete from outbox o using (select o.topic, o.partition, o.seq"
            "   from outbox o join relay_position at using (topic, partition)"
            "  where o.topic = $1 and o.seq <= at.published_seq"
            "    and o.recorded_at < clock_timestamp() - make_interval(hours => $2)"
            "  order by o.partition, o.seq limit $3) old"
            " where o.topic = old.topic and o.partition = old.partition and o.seq = old.seq",
            topic,
            self._settings.outbox_keep_hours,
            CLEAN_ROWS,
        )

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return


_RENEW = """
    update relay_lease set expires_at = clock_timestamp() + make_interval(secs => $3)
    where topic = $1 and holder = $2
"""
# Partitions take turns, the one that waits longest first, as long as the bodies together are small
# enough; the first row is taken whatever its size. A size is known without the body being read.
_NEXT = """
    with next as (
        select at.partition, o.seq, o.place, o.recorded_at, octet_length(o.body) as bytes
          from unnest($2::int[], $3::bigint[]) as at(partition, seq)
         cross join lateral (
                select seq, body, recorded_at, row_number() over (order by seq) as place from outbox
                 where topic = $1 and partition = at.partition and seq > at.seq
                 order by seq limit $4) o
    ), taken as (
        select partition, seq, bytes,
               sum(bytes) over (order by place, recorded_at, partition) - bytes as before
          from next
    )
    select o.*
      from (select partition, seq from taken where before = 0 or before + bytes <= $5) taken
     cross join lateral (
            select * from outbox
             where topic = $1 and partition = taken.partition and seq = taken.seq
            offset 0) o
     order by o.partition, o.seq
"""


_NOTE = """
    with noted as (
        insert into relay_position (topic, partition, published_seq)
        select $1, n.partition, n.seq from unnest($2::int[], $3::bigint[]) as n(partition, seq)
        on conflict (topic, partition) do update set published_seq = excluded.published_seq
            where relay_position.published_seq <> excluded.published_seq
    )
    select sum(head.next_seq - 1 - n.seq)::bigint
      from outbox_head head join unnest($2::int[], $3::bigint[]) as n(partition, seq)
        on head.topic = $1 and head.partition = n.partition
"""


async def _publish(producer: AIOKafkaProducer, topic: str, rows: Sequence[Any]) -> None:
    """Publish rows in one Kafka transaction: readers of committed records see all of them or
    none."""
    async with producer.transaction():
        for row in rows:
            await producer.send(
                topic,
                value=row["body"],
                key=row["key"].encode("utf-8"),
                partition=row["partition"],
                headers=_wire_headers(row),
            )
        faultpoint("relay.before-commit")


def _wire_headers(row: Any) -> list[tuple[str, bytes]]:
    own = {SEQUENCE: str(row["seq"]), EVENT_ID: row["event_id"]}
    given = {name: value for name, value in json.loads(row["headers"]).items() if name not in own}
    return [(name, value.encode("utf-8")) for name, value in {**own, **given}.items()]


async def committed_tails(
    kafka: str, topic: str, partitions: Sequence[int], security: Security = NONE
) -> dict[int, int | None]:
    """Return the number of the last committed record of each partition; None where there is no
    record."""
    async with log_reader(kafka, security) as reader:
        bounds = await reader.bounds(topic, partitions)
        return {each: await _committed_tail(reader, topic, each, *bounds[each]) for each in bounds}


async def _committed_tail(
    reader: LogReader, topic: str, partition: int, begin: int, end: int
) -> int | None:
    """Look at the end, then further and further back: markers and aborted records may be any
    number."""
    back = 64
    while begin < end:
        start = max(begin, end - back)
        last: int | None = None
        async with asyncio.timeout(TAIL_SECONDS):
            async for batch in reader.records(topic, partition, start, end):
                for record in batch:
                    last = _sequence(topic, partition, record)
        if last is not None or start == begin:
            return last
        back *= 8
    return None


def _sequence(topic: str, partition: int, record: Record) -> int:
    number = record.header(SEQUENCE)
    if number is None:
        raise OutboxBroken(
            f"{topic}-{partition} offset {record.offset} has no {SEQUENCE} header: "
            "only the relay may write to this topic; remove the other writer"
        )
    return int(number)
