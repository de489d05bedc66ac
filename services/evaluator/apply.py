"""One step of a partition: frames in, each fact counted once, the rest set aside.

Everything is decided from what the partition has accepted before, in offset order; how the
records were cut into steps changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.frame import Bools, Int8s, UInt64s
from services.catalogue.cached import CatalogueCopy
from services.core.events.horizon import Latest
from services.evaluator import columns as cols
from services.evaluator import link_store, links, occurrences, store
from services.evaluator.columns import Columns
from services.evaluator.frame_rows import stored_frames
from services.evaluator.horizon import REVIEW, Horizons, moved
from services.evaluator.identity_index import (
    BEYOND,
    CONFLICT,
    DUPLICATE,
    NEW,
    REFUSED,
    Seen,
    settle,
)
from services.evaluator.payloads import Payloads
from services.evaluator.quarantine import Quarantine
from services.evaluator.store import StoredFact, Tallies
from services.evaluator.subjects import KnownSubjects, SubjectLimits, judge
from services.evaluator.tallies import tallies
from services.evaluator.topics import EvaluatorTopics
from services.shell import metrics
from services.shell.frames import NotAFrame
from services.shell.logs import log, stack_of
from services.shell.postgres import Connection, is_of_the_work
from services.shell.progress import PartitionClaim
from services.shell.refusals import USUAL, RefusalQuota
from services.shell.steps import Record, StepResult


@dataclass(slots=True)
class Partition:
    """What is held in memory of one partition: always what is committed, never more."""

    seen: Seen = field(default_factory=Seen)
    next_number: int = 0
    latest: Latest = field(default_factory=Latest)
    waiting: UInt64s = field(default_factory=lambda: np.empty(0, np.uint64))
    """High halves of the identities that corrections wait for, sorted."""

    def wait_for(self, identities: Collection[bytes]) -> None:
        """Remember what corrections wait for."""
        if identities:
            highs = [int.from_bytes(each[:8], "big") for each in identities]
            self.waiting = np.union1d(self.waiting, np.array(highs, np.uint64))


@dataclass(frozen=True, slots=True)
class StepInput:
    """The records of a step: readable frames with their batches, and the unreadable ones."""

    frames: tuple[tuple[Record, Any], ...]
    poison: tuple[tuple[Record, str], ...]

    @property
    def offsets(self) -> list[int]:
        """The offset of each frame's record."""
        return [record.offset for record, _ in self.frames]


class Frames:
    """Applies the records of `measurements`. See `services.shell.steps.Handler`."""

    def __init__(
        self,
        catalogue: Callable[[], CatalogueCopy],
        topics: EvaluatorTopics | None = None,
        service: str = "evaluator",
        quota: RefusalQuota = USUAL,
        subjects: KnownSubjects | None = None,
    ) -> None:
        """``catalogue``: gives the process's copy; asked for no sooner than it is needed.

        ``subjects``: what is held of them; None: nothing yet.
        """
        self._copy, self._service = catalogue, service
        self._topics = topics or EvaluatorTopics()
        self._quarantine = Quarantine(catalogue, self._topics, quota)
        self.partitions: dict[int, Partition] = {}
        self._horizons: Horizons | None = None
        self._most_subjects, self._subjects = quota.subjects, subjects or KnownSubjects()
        self._limited: tuple[int, SubjectLimits] | None = None

    @property
    def _catalogue(self) -> CatalogueCopy:
        return self._copy()

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Read the identities of these partitions from their stored frames."""
        await self._catalogue.refresh()
        loaded: dict[int, Partition] = {}
        for number, claim in claims.items():
            loaded[number] = await _load(
                connection, claim, self._catalogue.current.metrics, self._topics.quarantine
            )
        self.partitions.update(loaded)

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what is held of these partitions."""
        for number in partitions:
            self.partitions.pop(number, None)

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        """Write the effects of these records."""
        held = self.partitions[partition]
        given = await self._read(records)
        try:
            async with connection.transaction():
                return await self._applied(connection, partition, held, given)
        except Exception as error:
            if not is_of_the_work(error):
                raise
            told = {"partition": partition, "traceback": stack_of(error)}
            log(__name__).error("frames_not_applied", **told)
        given = await self._without_poison(connection, partition, held, given)
        return await self._applied(connection, partition, held, given)

    async def _without_poison(
        self, connection: Connection, partition: int, held: Partition, given: StepInput
    ) -> StepInput:
        """The step without the records that cannot be applied even alone; these are set aside."""
        frames, poison = [], list(given.poison)
        for record, batch in given.frames:
            alone = StepInput(((record, batch),), ())
            trial = connection.transaction()
            await trial.start()
            try:
                await self._applied(connection, partition, held, alone)
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                poison.append((record, _unforeseen(error)))
            else:
                frames.append((record, batch))
            finally:
                await trial.rollback()
        return StepInput(tuple(frames), tuple(poison))

    async def _applied(
        self, connection: Connection, partition: int, held: Partition, given: StepInput
    ) -> StepResult:
        columns = cols.joined([batch for _, batch in given.frames]) if given.frames else None
        if columns is None or not len(columns):
            aside = await self._quarantine.add_unreadable(connection, partition, given.poison)
            return StepResult(committed=lambda: self._count(None, len(given.poison), aside))
        verdict, known = await self._compare(connection, partition, held, columns)
        verdict = self._current().judge(columns, verdict, held.latest).copy()
        subjects = await judge(connection, self._subjects, columns, verdict, self._limits())
        linked = await links.link(
            connection,
            partition,
            columns,
            verdict,
            held.seen,
            held.waiting,
            self._catalogue.current.metrics,
        )
        fresh = verdict == NEW
        further = moved(columns, verdict, held.latest)
        frames, numbers = stored_frames(given.frames, columns, verdict, held.next_number)
        await store.insert_frames(connection, partition, frames)
        await linked.write(connection, partition, numbers, fresh)
        await occurrences.note(connection, partition, columns, fresh, numbers)
        await store.note_latest(connection, partition, _heard(columns, further, held.latest))
        await store.add_tallies(connection, partition, self._tallies(columns, fresh))
        aside = await self._quarantine.add_facts(
            connection, partition, columns, given.offsets, verdict, known, linked.refused
        )
        aside += await self._quarantine.add_unreadable(connection, partition, given.poison)
        latest = int(columns.at_us[fresh].max()) if fresh.any() else None

        def committed() -> None:
            held.seen.add(
                columns.high[fresh],
                columns.payload_high[fresh],
                columns.payload_low[fresh],
                numbers[fresh],
            )
            held.next_number += len(frames)
            held.wait_for(linked.awaited)
            self._subjects.add(subjects)
            self._subjects.forget()
            for source, at_us in further.items():
                held.latest.accepted(source, at_us)
            self._count(verdict, len(given.poison), aside)

        return StepResult(latest, committed)

    async def _read(self, records: Sequence[Record]) -> StepInput:
        """Tell frames from poison. What the copy does not know yet makes it look again."""
        frames, poison = [], []
        for record in records:
            try:
                batch = cols.checked(record.value)
                await self._look_again_for(batch)
                frames.append((record, batch))
            except NotAFrame as error:
                poison.append((record, str(error)))
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                told = {"offset": record.offset, "traceback": stack_of(error)}
                log(__name__).error("frame_unreadable", **told)
                poison.append((record, _unforeseen(error)))
        return StepInput(tuple(frames), tuple(poison))

    async def _look_again_for(self, batch: Any) -> None:
        """Have a catalogue that knows a frame's metrics and sources, where there is one.

        Raises NotAFrame for a metric that is nowhere. A source that is nowhere has no horizon.
        """
        numbers = np.unique(batch.column("metric").to_numpy()).tolist()
        sources = batch.column("source").dictionary.to_pylist()
        if self._current().knows(numbers) and self._current().knows_sources(sources):
            return
        await self._catalogue.refresh()
        if not self._current().knows(numbers):
            raise NotAFrame("a metric number that the catalogue does not know")

    def _current(self) -> Horizons:
        catalogue = self._catalogue.current
        if self._horizons is None or self._horizons.revision != catalogue.revision:
            self._horizons = Horizons(catalogue)
        return self._horizons

    def _limits(self) -> SubjectLimits:
        catalogue = self._catalogue.current
        if self._limited is None or self._limited[0] != catalogue.revision:
            limits = SubjectLimits.of(catalogue, self._most_subjects)
            self._limited = catalogue.revision, limits
        return self._limited[1]

    async def _compare(
        self, connection: Connection, partition: int, held: Partition, columns: Columns
    ) -> tuple[Int8s, dict[tuple[int, int], StoredFact]]:
        """Whether each row is new, and the stored facts that doubts were settled with."""
        high, low = columns.high, columns.low
        judged = held.seen.judge(high, low, columns.payload_high, columns.payload_low)
        verdict, known = judged.verdict, {}
        if len(judged.doubtful):
            highs = set(high[judged.doubtful].tolist())
            known = await store.known_facts(connection, partition, judged.frames, highs)
            told = {identity: fact.payload for identity, fact in known.items()}
            payloads = Payloads(columns, self._catalogue.current.metrics)
            verdict = settle(verdict, high, low, payloads, told)
        return verdict, known

    def _tallies(self, columns: Columns, fresh: Bools) -> Tallies:
        return tallies(columns, fresh, self._current().tally_windows)

    def _count(self, verdict: Int8s | None, poison: int, told: int) -> None:
        counted = {"unreadable": poison, "quarantined": told}
        if verdict is not None:
            for outcome, codes in _OUTCOMES.items():
                counted[outcome] = int(np.isin(verdict, codes).sum())
        for outcome, number in counted.items():
            metrics.EVENTS.labels(self._service, outcome).inc(number)


def _unforeseen(error: Exception) -> str:
    return f"counting it failed ({type(error).__name__}: {error}); report it with the record"


def _heard(columns: Columns, further: Mapping[str, int], latest: Latest) -> dict[str, int]:
    """The sources of a step of which something was accepted, ever, and how far each has come."""
    names, _ = cols.sources_of(columns.batches)
    reached = {name: further.get(name, latest.of(name)) for name in names}
    return {name: at_us for name, at_us in reached.items() if at_us is not None}


_OUTCOMES = {
    "accepted": (NEW,),
    "duplicate": (DUPLICATE,),
    "conflict": (CONFLICT,),
    "review": (REVIEW,),
    "refused": (REFUSED, BEYOND),
}


async def _load(
    connection: Connection, claim: PartitionClaim, names: links.Metrics, topic: str
) -> Partition:
    parts = []
    last = -1
    async with connection.transaction(readonly=True):
        async for number, *hashes in store.index_rows(connection, claim.partition):
            parts.append((*hashes, np.full(len(hashes[0]), number, np.uint32)))
            last = number
    latest = Latest(await store.latest_of(connection, claim.partition))
    partition = Partition(next_number=last + 1, latest=latest)
    if parts:
        partition.seen.add(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    await links.link_backlog(connection, claim.partition, partition.seen, names, topic)
    partition.wait_for(await link_store.waiting(connection, claim.partition))
    return partition
