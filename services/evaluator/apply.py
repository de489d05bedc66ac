"""One step of a partition: frames in, each fact counted once, the rest set aside.

Everything is decided from what the partition has accepted before, in offset order; how the
records were cut into steps changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.frame import Bools, Int8s, UInt64s
from schemas.quarantined import FACT_QUARANTINED
from services.catalogue.cached import CatalogueCopy
from services.core.calendar.windows import DAY_US
from services.core.events.horizon import Latest
from services.evaluator import columns as cols
from services.evaluator import store
from services.evaluator.columns import Columns
from services.evaluator.horizon import REVIEW, Horizons
from services.evaluator.identity_index import CONFLICT, DUPLICATE, NEW, Indices, Seen, settle
from services.evaluator.store import Aside, StoredFact, StoredFrame, Tallies
from services.evaluator.topics import EvaluatorTopics
from services.shell import metrics
from services.shell.frames import MAX_ROWS, NotAFrame, read_batch
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection
from services.shell.progress import NotOurs, PartitionClaim
from services.shell.steps import Record, StepResult

AT_ONCE = 500
"""At most so many are put into words between two statements."""


@dataclass(slots=True)
class Partition:
    """What is held in memory of one partition: always what is committed, never more."""

    seen: Seen = field(default_factory=Seen)
    next_number: int = 0
    latest: Latest = field(default_factory=Latest)


@dataclass(frozen=True, slots=True)
class Input:
    """The records of a step: readable frames with their batches, and the unreadable ones."""

    frames: tuple[tuple[Record, Any], ...]
    poison: tuple[tuple[Record, str], ...]


class Frames:
    """Applies the records of `measurements`. See `services.shell.steps.Handler`."""

    def __init__(
        self,
        catalogue: Callable[[], CatalogueCopy],
        topics: EvaluatorTopics | None = None,
        service: str = "evaluator",
    ) -> None:
        """``catalogue``: gives the process's copy; asked for no sooner than it is needed."""
        self._copy, self._service = catalogue, service
        self._topics = topics or EvaluatorTopics()
        self.partitions: dict[int, Partition] = {}
        self._horizons: Horizons | None = None

    @property
    def _catalogue(self) -> CatalogueCopy:
        return self._copy()

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Read the identities of these partitions from their stored frames."""
        await self._catalogue.refresh()
        loaded: dict[int, Partition] = {}
        for number, claim in claims.items():
            loaded[number] = await _load(connection, claim)
        self.partitions.update(loaded)

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what is held of these partitions."""
        for number in partitions:
            self.partitions.pop(number, None)

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        """Write the effects of these records.

        Raises NotOurs where the partition was taken from us since the step began.
        """
        held = self.partitions.get(partition)
        if held is None:
            raise NotOurs(f"partition {partition} was released while its step waited")
        given = await self._read(records)
        columns = cols.joined([batch for _, batch in given.frames]) if given.frames else None
        if columns is None or not len(columns):
            aside = await self._set_aside(connection, partition, self._poison(partition, given))
            return StepResult(committed=lambda: self._count(None, len(given.poison), aside))
        verdict, known = await self._compare(connection, partition, held, columns)
        judged = self._current().judge(columns, verdict, held.latest)
        verdict = judged.verdict
        fresh = verdict == NEW
        frames, numbers = stored_frames(given.frames, columns, verdict, held.next_number)
        await store.insert_frames(connection, partition, frames)
        await store.note_latest(connection, partition, judged.moved)
        await store.add_tallies(connection, partition, self._tallies(columns, fresh))
        aside = await self._quarantine(connection, partition, columns, given, verdict, known)
        aside += await self._set_aside(connection, partition, self._poison(partition, given))
        latest = int(columns.at_us[fresh].max()) if fresh.any() else None

        def committed() -> None:
            held.seen.add(columns.high[fresh], columns.payload[fresh], numbers[fresh])
            held.next_number += len(frames)
            for source, at_us in judged.moved.items():
                held.latest.accepted(source, at_us)
            self._count(verdict, len(given.poison), aside)

        return StepResult(latest, committed)

    async def _read(self, records: Sequence[Record]) -> Input:
        """Tell frames from poison. What the copy does not know yet makes it look again."""
        frames, poison = [], []
        for record in records:
            try:
                batch = cols.checked(record.value)
                await self._look_again_for(batch)
                frames.append((record, batch))
            except NotAFrame as error:
                poison.append((record, str(error)))
        return Input(tuple(frames), tuple(poison))

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

    async def _compare(
        self, connection: Connection, partition: int, held: Partition, columns: Columns
    ) -> tuple[Int8s, dict[tuple[int, int], StoredFact]]:
        """Whether each row is new, and the stored facts that doubts were settled with."""
        high, low, payload = columns.high, columns.low, columns.payload
        judged = held.seen.judge(high, low, payload)
        verdict, known = judged.verdict, {}
        if len(judged.doubtful):
            highs = set(high[judged.doubtful].tolist())
            known = await store.known_facts(connection, partition, judged.frames, highs)
            told = {identity: fact.payload for identity, fact in known.items()}
            verdict = settle(verdict, high, low, payload, told)
        return verdict, known

    def _tallies(self, columns: Columns, fresh: Bools) -> Tallies:
        return tallies(columns, fresh, self._current().tally_windows)

    async def _quarantine(
        self,
        connection: Connection,
        partition: int,
        columns: Columns,
        given: Input,
        verdict: Int8s,
        known: Mapping[tuple[int, int], StoredFact],
    ) -> int:
        """Set aside what readable frames hold and may not be counted. Gives how many were told.

        A flood of conflicts is written piece by piece: a transaction may not stand idle while
        thousands of them are put into words.
        """
        rows = np.flatnonzero((verdict == CONFLICT) | (verdict == REVIEW))
        first = _first_accepted(columns, verdict, rows)
        told = 0
        for start in range(0, len(rows), AT_ONCE):
            piece = rows[start : start + AT_ONCE].tolist()
            held = await self._held_against(connection, partition, columns, piece, known, first)
            told += await self._set_aside(
                connection, partition, self._describe(columns, given, verdict, piece, held)
            )
        return told

    async def _held_against(
        self,
        connection: Connection,
        partition: int,
        columns: Columns,
        rows: Sequence[int],
        known: Mapping[tuple[int, int], StoredFact],
        first: Mapping[tuple[int, int], int],
    ) -> dict[tuple[int, int], dict[str, Any]]:
        """By identity, the accepted events that these rows conflict with."""
        identities = set(_identities(columns, rows))
        stored: dict[int, list[tuple[tuple[int, int], int]]] = {}
        for identity in identities:
            fact = known.get(identity)
            if fact is None:
                continue
            stored.setdefault(fact.number, []).append((identity, fact.row))
        found: dict[tuple[int, int], dict[str, Any]] = {}
        bodies = await store.frame_bodies(connection, partition, sorted(stored))
        for number, places in stored.items():
            events = self._events(read_batch(bodies[number]), [row for _, row in places])
            found.update(zip((identity for identity, _ in places), events, strict=True))
        for identity in identities:
            if identity in known or identity not in first:
                continue
            index, place = columns.place(first[identity])
            (found[identity],) = self._events(columns.batches[index], [place])
        return found

    def _describe(
        self,
        columns: Columns,
        given: Input,
        verdict: Int8s,
        rows: Sequence[int],
        held: Mapping[tuple[int, int], dict[str, Any]],
    ) -> list[Aside]:
        """What is set aside, with both payloads where they conflict."""
        by_batch: dict[int, list[tuple[int, int]]] = {}
        for row in rows:
            index, place = columns.place(row)
            by_batch.setdefault(index, []).append((row, place))
        items = []
        for index, places in by_batch.items():
            events = self._events(columns.batches[index], [place for _, place in places])
            for (row, _), told in zip(places, events, strict=True):
                identity = (int(columns.high[row]), int(columns.low[row]))
                conflict = verdict[row] == CONFLICT
                items.append(
                    Aside(
                        reason="conflict" if conflict else "beyond_horizon",
                        id128=cols.identity_bytes(*identity),
                        payload=int(columns.payload[row]).to_bytes(8, "big"),
                        source=told["source"],
                        event_id=told["id"],
                        offset=given.frames[index][0].offset,
                        problem=_CONFLICT if conflict else _TOO_OLD,
                        told=told,
                        held=held.get(identity) if conflict else None,
                    )
                )
        return items

    def _events(self, batch: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
        return cols.events_of(batch, rows, self._catalogue.current.metrics)

    async def _set_aside(
        self, connection: Connection, partition: int, items: Sequence[Aside]
    ) -> int:
        """Quarantine, and tell the first time of each. Gives how many were told."""
        times = Counter(item.key for item in items)
        once = {item.key: item for item in reversed(items)}
        first = await store.set_aside(
            connection, partition, [(item, times[key]) for key, item in once.items()]
        )
        first.sort(key=lambda one: (one[0].offset, one[0].key))
        notices = [_notice(item, at) for item, at in first]
        await enqueue_many(connection, self._topics.quarantine, notices)
        return len(first)

    def _poison(self, partition: int, given: Input) -> list[Aside]:
        return [
            _unreadable(f"{self._topics.measurements}/{partition}/{record.offset}", record, why)
            for record, why in given.poison
        ]

    def _count(self, verdict: Int8s | None, poison: int, told: int) -> None:
        counted = {"unreadable": poison, "quarantined": told}
        if verdict is not None:
            for outcome, code in _OUTCOMES.items():
                counted[outcome] = int((verdict == code).sum())
        for outcome, number in counted.items():
            metrics.EVENTS.labels(self._service, outcome).inc(number)


_OUTCOMES = {"accepted": NEW, "duplicate": DUPLICATE, "conflict": CONFLICT, "review": REVIEW}
_CONFLICT = (
    "This identity was accepted with another payload, which stands. Send a correction that names "
    "the event, or send the new fact under an id of its own."
)
_TOO_OLD = (
    "The fact lies in a period that is past its restatement, held against the latest event of its "
    "source; a person must decide whether the "
    "period is to be opened again."
)


async def _load(connection: Connection, claim: PartitionClaim) -> Partition:
    highs, payloads, frames = [], [], []
    last = -1
    async with connection.transaction(readonly=True):
        async for number, high, payload in store.index_rows(connection, claim.partition):
            highs.append(high)
            payloads.append(payload)
            frames.append(np.full(len(high), number, np.uint32))
            last = number
    latest = Latest(await store.latest_of(connection, claim.partition))
    partition = Partition(next_number=last + 1, latest=latest)
    if highs:
        partition.seen.add(np.concatenate(highs), np.concatenate(payloads), np.concatenate(frames))
    return partition


def stored_frames(
    given: Sequence[tuple[Record, Any]], columns: Columns, verdict: Int8s, number: int
) -> tuple[list[StoredFrame], npt.NDArray[np.uint32]]:
    """The rows of `fact_frame` for a step, and the number of the one that holds each fact.

    Small frames that follow each other share a row; a full one of which everything was accepted
    is kept as it came.
    """
    fresh, repeated = verdict == NEW, verdict == DUPLICATE
    numbers = np.zeros(len(columns), np.uint32)
    bounds = np.cumsum([0, *(batch.num_rows for _, batch in given)])
    counts = [int(fresh[a:b].sum()) for a, b in pairwise(bounds)]
    stored: list[StoredFrame] = []
    for first, last in _groups(counts):
        rows = slice(int(bounds[first]), int(bounds[last]))
        if not (fresh[rows].any() or repeated[rows].any()):
            continue
        keep = [fresh[bounds[each] : bounds[each + 1]] for each in range(first, last)]
        numbers[rows] = number + len(stored)
        stored.append(
            _stored_frame(given[first:last], columns, rows, keep, repeated, number + len(stored))
        )
    return stored, numbers


def _groups(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring frames whose accepted rows fit into one, as ranges of positions."""
    groups: list[tuple[int, int]] = []
    filled = 0
    for place, count in enumerate(counts):
        if groups and filled + count <= MAX_ROWS:
            groups[-1] = (groups[-1][0], place + 1)
            filled += count
        else:
            groups.append((place, place + 1))
            filled = count
    return groups


def _stored_frame(
    given: Sequence[tuple[Record, Any]],
    columns: Columns,
    rows: slice,
    keep: Sequence[Bools],
    repeated: Bools,
    number: int,
) -> StoredFrame:
    fresh = np.concatenate(keep)
    high, low = columns.high[rows], columns.low[rows]
    at_us, again = columns.at_us[rows][fresh], repeated[rows]
    untouched = len(given) == 1 and bool(fresh.all())
    return StoredFrame(
        number=number,
        first_offset=given[0][0].offset,
        last_offset=given[-1][0].offset,
        n=len(at_us),
        min_us=int(at_us.min()) if len(at_us) else None,
        max_us=int(at_us.max()) if len(at_us) else None,
        metrics=np.unique(columns.metric[rows][fresh]).tolist(),
        frame=given[0][0].value
        if untouched
        else cols.frame_of([batch for _, batch in given], keep),
        ids=cols.identities(high[fresh], low[fresh]),
        payloads=columns.payload[rows][fresh].astype(">u8").tobytes(),
        dup_ids=cols.identities(high[again], low[again]),
    )


def tallies(columns: Columns, fresh: Bools, widths: Mapping[int, int]) -> Tallies:
    """Sums per metric and window of the accepted rows.

    ``widths``: metric to microseconds, a day where it says nothing. What is summed is the law of
    `services.core.events.tally`, here without an object per window, and modulo 2^62.
    """
    metric, at_us = columns.metric[fresh], columns.at_us[fresh]
    if not len(metric):
        return Tallies([], [], [], [], [], [])
    names, place = np.unique(metric, return_inverse=True)
    width = np.array([widths.get(name, DAY_US) for name in names.tolist()])[place]
    window = at_us - at_us % width
    order = np.lexsort((window, metric))
    metric, window = metric[order], window[order]
    new = np.ones(len(metric), np.bool_)
    new[1:] = (metric[1:] != metric[:-1]) | (window[1:] != window[:-1])
    starts = np.flatnonzero(new)
    payload = columns.payload[fresh][order]
    return Tallies(
        metric=metric[starts].tolist(),
        window_us=window[starts].tolist(),
        n=np.diff(starts, append=len(metric)).tolist(),
        a=store.modular(np.add.reduceat(columns.a[fresh][order], starts)),
        b=store.modular(np.add.reduceat(columns.b[fresh][order], starts)),
        checksum=store.modular(np.add.reduceat(payload, starts)),
    )


def _identities(columns: Columns, rows: Sequence[int]) -> list[tuple[int, int]]:
    return [(int(columns.high[row]), int(columns.low[row])) for row in rows]


def _first_accepted(columns: Columns, verdict: Int8s, rows: Indices) -> dict[tuple[int, int], int]:
    """Among this step's rows, the accepted ones that others conflict with."""
    highs: UInt64s = np.unique(columns.high[rows])
    accepted = np.flatnonzero((verdict == NEW) & np.isin(columns.high, highs)).tolist()
    return dict(zip(_identities(columns, accepted), accepted, strict=True))


def _unreadable(place: str, record: Record, why: str) -> Aside:
    return Aside(
        reason="unreadable",
        id128=blake2b(place.encode(), digest_size=16).digest(),
        payload=blake2b(record.value, digest_size=8).digest(),
        source=place,
        event_id=str(record.offset),
        offset=record.offset,
        problem=f"{why}. The record was passed over; mend the writer and send its facts again.",
        raw=record.value,
    )


def _notice(item: Aside, at: datetime) -> Outgoing:
    """The record that tells operations of something set aside, and when."""
    name = f"{item.reason}-{item.id128.hex()}-{item.payload.hex()}"
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "/earnback/evaluator",
        "type": FACT_QUARANTINED,
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "reason": item.reason,
            "problem": item.problem,
            "event_source": item.source,
            "event_id": item.event_id,
            "told": item.told,
            "held": item.held,
        },
    }
    body = msgspec.json.encode(event, order="sorted")
    return Outgoing(item.source, name, body, {"content-type": "application/cloudevents+json"})
