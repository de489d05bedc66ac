"""A database with one catalogue, and partitions that are applied by hand, without a broker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from services.catalogue import store as catalogue
from services.catalogue.cached import CatalogueCopy
from services.evaluator import preview
from services.evaluator.apply import Frames
from services.evaluator.closing import Closer
from services.evaluator.frame_lookup import FrameLookup
from services.evaluator.recount import MOST_FACTS
from services.evaluator.settings import Pace
from services.evaluator.topics import EvaluatorTopics
from services.shell import progress
from services.shell.frames import partition_of
from services.shell.metrics import Health
from services.shell.outbox import declare
from services.shell.postgres import Connection, Pool, connect, open_pool
from tests.evaluator.builders import PARTITIONS, Event, a_programme, an_agreement, record

APP = "earnback-evaluator"
TOPICS = EvaluatorTopics()


class House:
    """One database, one evaluator's memory, and a closer that looks when it is told to."""

    def __init__(self, dsn: str, pool: Pool, connection: Connection) -> None:
        self.dsn, self.pool, self.connection = dsn, pool, connection
        self.copy = CatalogueCopy(pool)
        self.frames = Frames(lambda: self.copy)
        self.health = Health()
        self.claims: dict[int, progress.PartitionClaim] = {}
        self.ends: dict[int, int] | None = dict.fromkeys(range(PARTITIONS), 0)

    @classmethod
    async def open(
        cls, dsn: str, *documents: Programme | Agreement, partitions: int = PARTITIONS
    ) -> House:
        house = cls(dsn, await open_pool(dsn, name="test"), await connect(dsn, name="test"))
        for document in documents or (a_programme(), an_agreement()):
            await catalogue.apply(house.connection, document)
        for topic in (TOPICS.evaluations, TOPICS.quarantine):
            await declare(house.connection, topic, 4)
        await house.claim(partitions)
        return house

    async def close(self) -> None:
        await self.connection.close()
        await self.pool.close()

    async def claim(self, partitions: int = PARTITIONS) -> None:
        """As a worker that has just been started."""
        await self.copy.refresh()
        async with self.connection.transaction():
            beginnings = dict.fromkeys(range(partitions), 0)
            self.claims = await progress.claim(
                self.connection, APP, TOPICS.measurements, beginnings
            )
        self.frames = Frames(lambda: self.copy)
        await self.frames.load(self.connection, self.claims)

    async def send(self, *batches: Sequence[Event] | bytes, partition: int | None = None) -> None:
        """Apply a step per partition: each batch is a record of the partition of its source."""
        records: dict[int, list[Any]] = {}
        for batch in batches:
            place = partition if partition is not None else batch[0].partition  # type: ignore[union-attr]
            held = records.setdefault(place, [])
            held.append(record(self.claims[place].next_offset + len(held), batch))
        for place, given in records.items():
            claim = self.claims[place]
            past = claim.next_offset + len(given)
            async with self.connection.transaction():
                applied = await self.frames.apply(self.connection, place, given)
                await progress.advance(
                    self.connection, claim, claim.next_offset, past, applied.max_event_us
                )
            assert applied.committed is not None
            applied.committed()
            self.claims[place] = progress.PartitionClaim(
                APP, TOPICS.measurements, place, claim.epoch, past
            )
            if self.ends is not None:
                self.ends[place] = past

    async def look(
        self, *, idle_after: float = 3600, quiet: float = 0.01, facts: int = MOST_FACTS
    ) -> None:
        """A closer that is started, and does what there is to do now."""
        await self.copy.refresh()
        await self.closer(idle_after=idle_after, quiet=quiet, facts=facts).work_off(self.connection)

    def closer(
        self, *, idle_after: float = 3600, quiet: float = 0.01, facts: int = MOST_FACTS
    ) -> Closer:
        async def ends() -> dict[int, int] | None:
            return self.ends

        async def dial() -> Connection:
            return await connect(self.dsn, name="closer")

        return Closer(
            app=APP,
            catalogue=self.copy,
            connect=dial,
            ends=ends,
            pace=Pace(idle_after, quiet, 0.05, facts),
            health=self.health,
        )

    def lookup(self, *, owns: bool = True) -> FrameLookup:
        """What a process asks that owns all partitions, or none."""

        async def dial() -> Connection:
            return await connect(self.dsn, name="lookup")

        return FrameLookup(dial, self.frames.partitions if owns else {})

    async def verdict(
        self, source: str, event_id: str, lookup: FrameLookup | None = None
    ) -> dict[str, Any]:
        """What the API tells of an event."""
        partition = partition_of(source, PARTITIONS)
        high, _ = preview.halves_of(source, event_id)
        where = await (lookup or self.lookup())(partition, high)
        return await preview.verdict(
            self.connection, self.copy.current, source, event_id, partition, where
        )

    async def ask_to_close(self, agreement: str, period: str) -> None:
        await self.connection.execute(
            "insert into close_request (agreement, period, requested_by) values ($1, $2, 'test')",
            agreement,
            period,
        )

    async def evaluations(self, agreement: str = "hosting") -> list[PeriodEvaluation]:
        rows = await self.connection.fetch(
            "select body from evaluation where agreement = $1 order by period, revision", agreement
        )
        return [PeriodEvaluation.model_validate_json(row["body"]) for row in rows]

    async def announced(self, topic: str = TOPICS.evaluations) -> list[dict[str, Any]]:
        rows = await self.connection.fetch(
            "select body from outbox where topic = $1 order by partition, seq", topic
        )
        return [json.loads(row["body"]) for row in rows]

    async def quarantine(self) -> list[dict[str, Any]]:
        rows = await self.connection.fetch("select * from quarantine_item order by number")
        return [dict(row) for row in rows]

    async def stored(self) -> int:
        return int(await self.connection.fetchval("select coalesce(sum(n), 0) from fact_frame"))
