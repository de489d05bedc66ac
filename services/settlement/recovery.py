"""After a restore: the evaluations are settled again in the order in which they were, so that
statements, entries and their numbers are those that finance has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from schemas.evaluation import PeriodEvaluation
from services.core.books.ledger import run_id
from services.settlement.consumer import Settler, read
from services.settlement.finance_events import BOOK_POSITION, SettlementTopics
from services.settlement.store import Unprocessable
from services.shell import progress
from services.shell.clock import now
from services.shell.log_reader import LogReader
from services.shell.postgres import Pool
from services.shell.progress import PartitionClaim
from services.shell.settings import Settings
from services.shell.steps import Dense, Record, commit


@dataclass
class PublishedRuns:
    """What finance was told of each run.

    ``positions``: its first place in the book; ``times``: when. ``agreements``: of which anything
    was published.
    """

    positions: dict[UUID, int] = field(default_factory=dict)
    times: dict[UUID, datetime] = field(default_factory=dict)
    agreements: set[str] = field(default_factory=set)

    def add(self, headers: Mapping[str, str], body: bytes) -> None:
        """Add a record of `settlements` or `ledger-entries`.

        Statements take a place in the book as entries do. One that was published by a release
        before this one does not say its own.
        """
        told = json.loads(body)
        data = told["data"]
        if "run_id" not in data:
            return  # of a dispute: no run leads to it, whoever raised it repeats it
        run = UUID(data["run_id"])
        self.agreements.add(data["agreement"])
        self.times[run] = datetime.fromisoformat(told["time"])
        position = headers.get(BOOK_POSITION, data.get("position"))
        if position is not None:
            self.positions[run] = min(self.positions.get(run, int(position)), int(position))

    def runs_of(self, evaluation: PeriodEvaluation) -> list[UUID]:
        """The runs that an evaluation causes: its own, and those of agreements that share a cap."""
        agreement, period, revision = evaluation.agreement, evaluation.period, evaluation.revision
        others = sorted(self.agreements - {agreement})
        return [
            run_id(agreement=agreement, because_of=period, revision=revision),
            *(
                run_id(agreement=each, because_of=period, revision=revision, caused_by=agreement)
                for each in others
            ),
        ]

    def position(self, evaluation: PeriodEvaluation) -> int | None:
        """Its first place in the book; None: it posted nothing."""
        found = [self.positions[run] for run in self.runs_of(evaluation) if run in self.positions]
        return min(found, default=None)

    def time(self, evaluation: PeriodEvaluation) -> datetime | None:
        """When it was settled; None: nothing was published of it."""
        found = [self.times[run] for run in self.runs_of(evaluation) if run in self.times]
        return min(found, default=None)


@dataclass
class _UnsettledPartition:
    """What is still to be settled of one partition."""

    held: PartitionClaim
    records: list[Record]


class SettlementRecovery:
    """Settles evaluations for a command, while no settlement process runs."""

    def __init__(
        self, settings: Settings, pool: Pool, reader: LogReader, topics: SettlementTopics
    ) -> None:
        self._settings, self._pool, self._reader = settings, pool, reader
        self._topics = topics
        self._at: datetime | None = None
        self._settler = Settler(topics, clock=lambda: self._at or now())

    async def replay(self, published: PublishedRuns) -> None:
        """Settle what was evaluated since, in the order of the book.

        Raises:
            NotOurs: a settlement process runs.
        """
        waiting = await self._waiting()
        while waiting:
            partition = min(waiting, key=lambda each: self._rank(waiting[each], published))
            one = waiting[partition]
            record = one.records.pop(0)
            evaluation = _evaluation(record)
            self._at = None if evaluation is None else published.time(evaluation)
            one.held, done = await commit(
                self._pool,
                one.held,
                [record],
                self._settler,
                Dense.BY_SEQUENCE,
                self._settler.prepare,
            )
            if done.committed is not None:
                done.committed()
            if not one.records:
                del waiting[partition]

    def _rank(self, one: _UnsettledPartition, published: PublishedRuns) -> int:
        """What posted nothing goes first: it takes no place in the book."""
        evaluation = _evaluation(one.records[0])
        position = None if evaluation is None else published.position(evaluation)
        return 0 if position is None else position

    async def _waiting(self) -> dict[int, _UnsettledPartition]:
        topic = self._topics.evaluations
        bounds = await self._reader.bounds(topic, await self._reader.partitions(topic))
        async with self._pool.acquire() as connection, connection.transaction():
            claims = await progress.claim(
                connection,
                self._settings.app,
                topic,
                {partition: first for partition, (first, _) in bounds.items()},
            )
        found: dict[int, _UnsettledPartition] = {}
        for partition, held in claims.items():
            records = [
                record
                async for batch in self._reader.records(
                    topic, partition, held.next_offset, bounds[partition][1]
                )
                for record in batch
            ]
            if records:
                found[partition] = _UnsettledPartition(held, records)
        return found


def _evaluation(record: Record) -> PeriodEvaluation | None:
    try:
        return read(record)
    except Unprocessable:
        return None
