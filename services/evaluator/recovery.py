"""After a restore: what was evaluated later is evaluated again, from the same facts and in the same
order.

Facts are read from `measurements` up to the last one that each evaluation had counted; then its
period is counted. It comes to what was published, and is not published again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.evaluation import PeriodEvaluation
from services.catalogue.cached import CatalogueCopy
from services.evaluator.apply import Frames
from services.evaluator.closing import Closer
from services.evaluator.period_close import COUNTED_THROUGH
from services.evaluator.settings import Pace
from services.evaluator.topics import EvaluatorTopics
from services.shell import progress
from services.shell.log_reader import LogReader
from services.shell.metrics import Health
from services.shell.postgres import Pool, connect
from services.shell.progress import PartitionClaim
from services.shell.settings import Settings
from services.shell.steps import Dense, InputLost, commit

RECORDS = 64
"""Records of a step."""


@dataclass(frozen=True, slots=True)
class EvaluatedBefore:
    """An evaluation that was published. ``counted_through``: by partition, the last record that it
    had counted; None: a release before this one did not say so."""

    evaluation: PeriodEvaluation
    counted_through: Mapping[int, int] | None

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes) -> EvaluatedBefore:
        """As it is in the record."""
        told = headers.get(COUNTED_THROUGH)
        offsets = None if told is None else {int(k): v for k, v in json.loads(told).items()}
        data = json.dumps(json.loads(body)["data"])
        return cls(PeriodEvaluation.model_validate_json(data), offsets)


class EvaluatorRecovery:
    """Facts and evaluations, for a command, while no evaluator runs."""

    def __init__(
        self, settings: Settings, pace: Pace, pool: Pool, reader: LogReader, topics: EvaluatorTopics
    ) -> None:
        self._settings, self._pace, self._pool, self._reader = settings, pace, pool, reader
        self._topics = topics
        self._catalogue = CatalogueCopy(pool)
        self._frames = Frames(lambda: self._catalogue, topics, settings.service, settings.refusals)
        self._claims: dict[int, PartitionClaim] = {}
        self._ends: dict[int, int] = {}

    async def replay(self, published: Sequence[EvaluatedBefore]) -> None:
        """Count again what was published, in order.

        Raises:
            InputLost: the topic no longer holds the facts.
            NotOurs: an evaluator runs.
        """
        await self._catalogue.refresh()
        await self._claim()
        closer = self._closer()
        for each in sorted(published, key=self._order):
            offsets = each.counted_through or {p: end - 1 for p, end in self._ends.items()}
            for partition, last in sorted(offsets.items()):
                await self._apply_to(partition, last)
            made = each.evaluation
            async with self._pool.acquire() as connection:
                await closer.count(
                    connection, (made.agreement, made.period), made.reason, {"recovered": True}
                )

    def _order(self, each: EvaluatedBefore) -> tuple[int, str, str, int]:
        """One closer works at a time, and each count sees all facts of one moment: what has
        counted fewer was earlier."""
        offsets = each.counted_through
        seen = sum(self._ends.values()) if offsets is None else sum(offsets.values())
        made = each.evaluation
        return seen, made.agreement, made.period, made.revision

    async def _claim(self) -> None:
        topic = self._topics.measurements
        partitions = await self._reader.partitions(topic)
        bounds = await self._reader.bounds(topic, partitions)
        self._ends = {partition: end for partition, (_, end) in bounds.items()}
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                self._claims = await progress.claim(
                    connection,
                    self._settings.app,
                    topic,
                    {partition: first for partition, (first, _) in bounds.items()},
                )
            await self._frames.load(connection, self._claims)

    async def _apply_to(self, partition: int, last: int) -> None:
        """Apply the facts of a partition up to a record, where they are not."""
        held = self._claims[partition]
        if held.next_offset > last:
            return
        topic, applied = self._topics.measurements, held
        async for batch in self._reader.records(topic, partition, held.next_offset, last + 1):
            for place in range(0, len(batch), RECORDS):
                records = batch[place : place + RECORDS]
                if records[0].offset != applied.next_offset:
                    raise InputLost(
                        f"{topic}-{partition} lacks the records from {applied.next_offset} to "
                        f"{records[0].offset - 1}: restore the topic"
                    )
                applied, done = await commit(
                    self._pool, applied, records, self._frames, Dense.BY_OFFSET
                )
                if done.committed is not None:
                    done.committed()
        self._claims[partition] = applied

    def _closer(self) -> Closer:
        async def no_ends() -> Mapping[int, int] | None:
            return None

        return Closer(
            app=self._settings.app,
            catalogue=self._catalogue,
            connect=lambda: connect(self._settings.postgres, name="earnback-recover"),
            ends=no_ends,
            pace=self._pace,
            health=Health(),
            topics=self._topics,
        )
