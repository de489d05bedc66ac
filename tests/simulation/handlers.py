"""What the simulated workers do with a record: small enough to be counted by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from services.shell import outbox
from services.shell.postgres import Connection, Overtaken
from services.shell.progress import PartitionClaim
from services.shell.steps import Record, StepResult


class Differs(Exception):
    """What a worker holds in memory is not what is stored."""


class Adder:
    """Adds whole numbers per partition, in a table and in memory; gives each on where it is told.

    Writes down each record that it applies; no table refuses one that is applied twice.
    """

    def __init__(self, topic: str, output: str | None, world: Any) -> None:
        self.topic, self.output, self._world = topic, output, world
        self.totals: dict[int, int] = {}
        self._prepared: Sequence[int] = ()

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        self.totals = dict.fromkeys(claims, 0) | await self._stored(connection, [*claims])

    async def _stored(self, connection: Connection, partitions: list[int]) -> dict[int, int]:
        rows = await connection.fetch(
            "select partition, total from simulated_total where topic = $1 and partition = any($2)",
            self.topic,
            partitions,
        )
        return {row["partition"]: row["total"] for row in rows}

    def forget(self, partitions: Collection[int]) -> None:
        for each in partitions:
            self.totals.pop(each, None)

    async def prepare(self, pool: Any, records: Sequence[Record]) -> int:
        """Take some of the records, at least one."""
        taken = self._world.chance.randint(1, len(records))
        self._prepared = [record.offset for record in records[:taken]]
        return taken

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        if self._prepared and self._world.chance.random() < 0.1:
            raise Overtaken("somebody was faster")
        stored = (await self._stored(connection, [partition])).get(partition, 0)
        if stored != self.totals[partition]:
            raise Differs(f"{self.topic}-{partition}: {self.totals[partition]} held, {stored} kept")
        values = [int(record.value) for record in records]
        total = stored + sum(values)
        await connection.execute(
            "insert into simulated_applied select $1::text, $2::int, a.at, a.value"
            " from unnest($3::bigint[], $4::bigint[]) as a(at, value)",
            self.topic,
            partition,
            [record.offset for record in records],
            values,
        )
        await connection.execute(
            "insert into simulated_total values ($1, $2, $3)"
            " on conflict (topic, partition) do update set total = excluded.total",
            self.topic,
            partition,
            total,
        )
        if self.output:
            await outbox.enqueue_many(
                connection, self.output, [_outgoing(partition, record) for record in records]
            )
        return StepResult(max(values), partial(self.totals.__setitem__, partition, total))


def _outgoing(partition: int, record: Record) -> outbox.Outgoing:
    key = (record.key or b"").decode()
    return outbox.Outgoing(key, f"{partition}:{record.offset}", record.value, {"of": "simulation"})
