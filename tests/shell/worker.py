"""A worker and a relay small enough to be counted by hand, run as processes of their own."""

import asyncio
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from services.shell import logs
from services.shell import steps as steps_module
from services.shell.kafka import consume, make_app, run_worker
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection, open_pool
from services.shell.progress import PartitionClaim
from services.shell.relay import Relay
from services.shell.settings import read
from services.shell.steps import Dense, Record, StepResult

TABLES = """
    create table if not exists test_seen (
        topic text, partition int, at bigint, value bigint, worker text,
        primary key (topic, partition, at)
    );
    create table if not exists test_total (
        topic text, partition int, total bigint not null, primary key (topic, partition)
    );
"""


class Adder:
    """Adds whole numbers per partition, in a table and in memory, and says when the two differ."""

    def __init__(self, topic: str, output: str | None, pause: float) -> None:
        self.topic, self.output, self.pause = topic, output, pause
        self.totals: dict[int, int] = {}

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        rows = await connection.fetch(
            "select partition, total from test_total where topic = $1 and partition = any($2)",
            self.topic,
            list(claims),
        )
        self.totals = dict.fromkeys(claims, 0) | {r["partition"]: r["total"] for r in rows}

    def forget(self, partitions: Collection[int]) -> None:
        for each in partitions:
            self.totals.pop(each, None)

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        values = [int(record.value) for record in records]
        total = self.totals[partition] + sum(values)
        # No "on conflict": a record that is applied twice must be seen.
        await connection.executemany(
            "insert into test_seen values ($1, $2, $3, $4, $5)",
            [
                (self.topic, partition, record.offset, value, str(os.getpid()))
                for record, value in zip(records, values, strict=True)
            ],
        )
        await connection.execute(
            "insert into test_total values ($1, $2, $3)"
            " on conflict (topic, partition) do update set total = excluded.total",
            self.topic,
            partition,
            total,
        )
        if self.output:
            await enqueue_many(
                connection,
                self.output,
                [
                    Outgoing(str(value), f"{partition}:{record.offset}", record.value)
                    for record, value in zip(records, values, strict=True)
                ],
            )
        await asyncio.sleep(self.pause)
        return StepResult(max(values), partial(self.totals.__setitem__, partition, total))


def work() -> None:
    """Run the adder on TEST_TOPIC; give every record on to TEST_OUTPUT when that is set."""
    settings = read(os.environ.get("TEST_SERVICE", "adder"))
    app = make_app(settings)
    output, pause = os.environ.get("TEST_OUTPUT"), float(os.environ.get("TEST_PAUSE", "0.02"))
    steps_module.REREADS = int(os.environ.get("TEST_REREADS", "4"))
    steps_module.REREAD_PAUSE = float(os.environ.get("TEST_REREAD_PAUSE", "5"))
    dense = Dense(os.environ.get("TEST_DENSE", "offset"))
    most = int(os.environ.get("TEST_MAX", "50"))
    for topic in os.environ["TEST_TOPIC"].split(","):
        consume(app, topic, Adder(topic, output, pause), dense=dense, max_records=most)
    run_worker(app)


async def relay() -> None:
    """Run a relay on TEST_OUTPUT until killed."""
    settings = read("relay")
    logs.configure("relay", settings.log_level)
    pool = await open_pool(settings.postgres, name="relay")
    lease = float(os.environ.get("TEST_LEASE", "2"))
    await Relay(settings, pool, [os.environ["TEST_OUTPUT"]], lease=lease).run()


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        asyncio.run(relay())
    else:
        work()
