"""Topics, workers and relays for these tests: started, hurt and counted."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import httpx
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.group import LeaveGroupRequest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from services.shell.outbox import declare
from services.shell.steps import SEQUENCE
from tests.forked import PATIENCE, Forked
from tests.shell.worker import TABLES

ROOT = Path(__file__).parents[2]


class Bench:
    """One test's servers and processes. Names are its own, so tests do not meet."""

    def __init__(self, kafka: str, database: str, folder: Path, stack: ExitStack) -> None:
        self.kafka, self.database, self.folder, self._stack = kafka, database, folder, stack
        self.group = f"g{token_hex(4)}"
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self._children = 0

    def topic(self, partitions: int, **config: str) -> str:
        name = f"shell-{token_hex(4)}"
        for done in self.admin.create_topics(
            [NewTopic(name, partitions, 1, config=config)]
        ).values():
            done.result()
        self._stack.callback(self.admin.delete_topics, [name])
        return name

    def produce(self, topic: str, values: Iterable[int], partitions: int) -> None:
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 20})
        for value in values:
            producer.produce(topic, str(value).encode(), partition=value % partitions)
        assert producer.flush(30) == 0

    def produce_raw(
        self, topic: str, records: Sequence[tuple[bytes, Sequence[tuple[str, bytes]]]]
    ) -> None:
        producer = Producer({"bootstrap.servers": self.kafka})
        for value, headers in records:
            producer.produce(topic, value, partition=0, headers=list(headers))
        assert producer.flush(30) == 0

    def transaction(
        self, topic: str, values: Sequence[int], *, commit: bool, first_sequence: int = 0
    ) -> None:
        """Write values to partition 0 in a transaction that ends one way or the other."""
        producer = Producer({"bootstrap.servers": self.kafka, "transactional.id": token_hex(4)})
        producer.init_transactions(30)
        producer.begin_transaction()
        for place, value in enumerate(values):
            number = str(first_sequence + place).encode()
            headers: list[tuple[str, str | bytes | None]] = [(SEQUENCE, number)]
            producer.produce(topic, str(value).encode(), partition=0, headers=headers)
        # Sent before the end, so that aborted records really stand in the log.
        assert producer.flush(30) == 0
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)

    def lag(self, topic: str, records: int) -> str:
        """The line by which a worker tells the lag of partition 0."""
        labels = f'app="{self.group}-adder",partition="0",topic="{topic}"'
        return f"earnback_lag_records{{{labels}}} {records}.0"

    async def shows(self, port: int, line: str) -> None:
        """Wait until the metrics of a worker hold a line."""
        deadline = time.monotonic() + PATIENCE
        while line not in (text := (await self.get(port, "/metrics"))[1]):
            assert time.monotonic() < deadline, text
            await asyncio.sleep(0.2)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Remove records as retention does."""
        for done in self.admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            done.result()

    async def forget_members(self, service: str = "adder") -> None:
        """Have the broker let go of a killed worker now instead of at its session's end."""
        group = f"{self.group}-{service}"
        described = self.admin.describe_consumer_groups([group])[group].result()
        client = AIOKafkaClient(bootstrap_servers=self.kafka)
        await client.bootstrap()
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            await client.ready(node, group=ConnectionGroup.COORDINATION)
            for member in described.members:
                leave = LeaveGroupRequest(group, member.member_id)
                await client.send(node, leave, group=ConnectionGroup.COORDINATION)
        finally:
            await client.close()

    async def get(self, port: int, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.get(f"http://127.0.0.1:{port}{path}")
        return answer.status_code, answer.text

    def start(self, what: str, **environ: str) -> Forked:
        """Start `work` or `relay` as a process that this test may do anything to."""
        self._children += 1
        child = Forked(
            "tests.shell.worker",
            what,
            log=self.folder / f"{what}-{self._children}.log",
            env={
                **os.environ,
                "EARNBACK_KAFKA": self.kafka,
                "EARNBACK_POSTGRES": self.database,
                "EARNBACK_GROUP": self.group,
                "EARNBACK_SESSION_TIMEOUT": "6",
                "EARNBACK_HEARTBEAT": "1",
                "EARNBACK_IDLE_IN_TRANSACTION": "5",
                **environ,
            },
        )
        self._stack.callback(child.kill)
        return child

    async def connect(self) -> Any:
        return await asyncpg.connect(self.database)

    async def prepare(self, *outputs: tuple[str, int]) -> Any:
        """Make the test's tables and return a connection."""
        connection = await self.connect()
        await connection.execute(TABLES)
        for topic, partitions in outputs:
            await declare(connection, topic, partitions)
        return connection

    def read_committed(self, topic: str, partitions: int) -> dict[int, list[tuple[int, str]]]:
        """Return (sequence, event id) of every committed record, as a plain reader sees them."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": f"reader-{token_hex(4)}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(topic, each, 0) for each in range(partitions)])
        found: dict[int, list[tuple[int, str]]] = {each: [] for each in range(partitions)}
        ended: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        while len(ended) < partitions:
            assert time.monotonic() < deadline, "the topic could not be read to its end"
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
                continue
            headers = {name: value.decode() for name, value in message.headers()}
            found[message.partition()].append((int(headers["sequence"]), headers["event_id"]))
        consumer.close()
        return found


def wait(what: str, ready: Callable[[], bool], seconds: float, *children: Forked) -> None:
    """Wait for something outside this process; show the logs when it does not come."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {child.log.name}\n{child.tail(30)}" for child in children)
            raise AssertionError(f"{what} did not happen in {seconds} s\n{logs}")
        time.sleep(0.05)
