"""What a step may not count: described, kept, and published once to the quarantine topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from schemas.frame import Int8s, UInt64s
from schemas.quarantined import FACT_QUARANTINED
from services.catalogue.cached import CatalogueCopy
from services.core.events.rejections import Rejection
from services.evaluator import columns as cols
from services.evaluator import store
from services.evaluator.columns import Columns
from services.evaluator.horizon import REVIEW
from services.evaluator.identity_index import BEYOND, CONFLICT, NEW, REFUSED, Indices
from services.evaluator.payloads import Payloads
from services.evaluator.store import Aside, StoredFact
from services.evaluator.topics import EvaluatorTopics
from services.shell import clock
from services.shell.frames import read_batch
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection
from services.shell.refusals import MOST_RAW, NOBODY, USUAL, RefusalQuota, Refused, within_quota
from services.shell.steps import Record

AT_ONCE = 500
"""At most so many are put into words between two statements."""

_CONFLICT = (
    "This identity was accepted with another payload, which stands. Send a correction that names "
    "the event, or send the new fact under an id of its own."
)
_TOO_OLD = (
    "The fact's period ended more than restated_for_days before the latest event of its source. To "
    "have it counted, apply a version of the programme with a larger restated_for_days and send "
    "the event again."
)

_TOO_MANY = (
    "A level is judged for each subject of this metric, its sender has as many subjects there as "
    "it may have, and this event names another one. Correct the subject; or have "
    "EARNBACK_MOST_SUBJECTS raised, and send the event again."
)

REFUSED_CORRECTION = "refused_correction"
_REASONS = {
    CONFLICT: "conflict",
    REVIEW: "beyond_horizon",
    REFUSED: REFUSED_CORRECTION,
    BEYOND: "too_many_subjects",
}


class Quarantine:
    """Sets aside what may not be counted, in the transaction of the step."""

    def __init__(
        self,
        catalogue: Callable[[], CatalogueCopy],
        topics: EvaluatorTopics,
        quota: RefusalQuota = USUAL,
    ) -> None:
        """``catalogue``: gives the process's copy; asked for no sooner than it is needed.
        ``quota``: how much is kept of what one party sent; the rest is counted."""
        self._catalogue, self._topics, self._quota = catalogue, topics, quota

    async def add_facts(
        self,
        connection: Connection,
        partition: int,
        columns: Columns,
        offsets: Sequence[int],
        verdict: Int8s,
        known: Mapping[tuple[int, int], StoredFact],
        refused: Mapping[int, Rejection],
    ) -> int:
        """Set aside conflicts, refused corrections, what is for review and what is of a subject
        too many. Gives how many were new.

        ``offsets``: of the record of each batch. ``known``: stored facts by identity. ``refused``:
        row to the reason.
        A flood of conflicts is written piece by piece: a transaction may not stand idle while
        thousands of them are put into words.
        """
        rows = np.flatnonzero(np.isin(verdict, tuple(_REASONS)))
        first = _first_accepted(columns, verdict, rows)
        told = 0
        for start in range(0, len(rows), AT_ONCE):
            piece = rows[start : start + AT_ONCE].tolist()
            held = await self._held_against(connection, partition, columns, piece, known, first)
            told += await self._set_aside(
                connection,
                partition,
                self._describe(columns, offsets, verdict, piece, held, refused),
            )
        return told

    async def add_unreadable(
        self, connection: Connection, partition: int, records: Sequence[tuple[Record, str]]
    ) -> int:
        """Set aside records that are no frames, each with the reason. Gives how many were new."""
        place = f"{self._topics.measurements}/{partition}"
        items = [_unreadable(f"{place}/{record.offset}", record, why) for record, why in records]
        return await self._set_aside(connection, partition, items)

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
        offsets: Sequence[int],
        verdict: Int8s,
        rows: Sequence[int],
        held: Mapping[tuple[int, int], dict[str, Any]],
        refused: Mapping[int, Rejection],
    ) -> list[Aside]:
        """What is set aside, with both payloads where they conflict."""
        by_batch: dict[int, list[tuple[int, int]]] = {}
        for row in rows:
            index, place = columns.place(row)
            by_batch.setdefault(index, []).append((row, place))
        items = []
        payloads = Payloads(columns, self._catalogue().current.metrics)
        for index, places in by_batch.items():
            events = self._events(columns.batches[index], [place for _, place in places])
            for (row, _), told in zip(places, events, strict=True):
                identity = (int(columns.high[row]), int(columns.low[row]))
                conflict = verdict[row] == CONFLICT
                items.append(
                    Aside(
                        reason=_REASONS[int(verdict[row])],
                        id128=cols.identity_bytes(*identity),
                        payload=payloads.of(row),
                        payload_before=payloads.before(row),
                        source=told["source"],
                        event_id=told["id"],
                        offset=offsets[index],
                        problem=_why(verdict[row], refused.get(row)),
                        told=told,
                        held=held.get(identity) if conflict else None,
                    )
                )
        return items

    def _events(self, batch: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
        return cols.events_of(batch, rows, self._catalogue().current.metrics)

    async def _set_aside(
        self, connection: Connection, partition: int, items: Sequence[Aside]
    ) -> int:
        """Quarantine, and tell the first time of each. Gives how many were told."""
        known = await store.set_aside_before(connection, items)
        items = [item.as_kept(known) for item in items]
        times = Counter(item.key for item in items)
        once = {item.key: item for item in reversed(items)}
        kept = await self._within_quota(connection, partition, list(reversed(once.values())), known)
        first = await store.set_aside(
            connection, partition, [(item, times[item.key]) for item in kept]
        )
        first.sort(key=lambda one: (one[0].offset, one[0].key))
        notices = [notice(item, at) for item, at in first]
        await enqueue_many(connection, self._topics.quarantine, notices)
        return len(first)

    async def _within_quota(
        self,
        connection: Connection,
        partition: int,
        items: Sequence[Aside],
        known: Set[tuple[str, bytes, bytes]],
    ) -> list[Aside]:
        """What is in quarantine already, by its key, and as much of the rest as is kept of its
        sender."""
        fresh = [item for item in items if item.key not in known]
        verdicts = await within_quota(
            connection,
            self._quota,
            clock.now().date(),
            f"{self._topics.measurements}/{partition}",
            [self._counted(item) for item in fresh],
        )
        within = {item.key for item, kept in zip(fresh, verdicts, strict=True) if kept}
        return [item for item in items if item.key in known or item.key in within]

    def _counted(self, item: Aside) -> Refused:
        owner = self._catalogue().current.sources.get(item.source)
        raw = item.raw if item.raw is not None else msgspec.json.encode(item.told)
        # The payloads are kept twice: in the table, and for a time in the outbox.
        size = 2 * (len(raw) + len(msgspec.json.encode(item.held)))
        party = NOBODY if owner is None else owner.party
        return Refused(party, item.reason, raw, item.problem, size)


def _why(verdict: int, refused: Rejection | None) -> str:
    if refused is not None:
        return problem_text(refused)
    return {CONFLICT: _CONFLICT, BEYOND: _TOO_MANY}.get(verdict, _TOO_OLD)


def problem_text(problem: Rejection) -> str:
    """A rejection in one sentence: field, reason, remedy."""
    field = f"{problem.field}: " if problem.field else ""
    return f"{field}{problem.reason}; {problem.remedy}"


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
        payload=blake2b(record.value, digest_size=16).digest(),
        payload_before=blake2b(record.value, digest_size=8).digest(),
        source=place,
        event_id=str(record.offset),
        offset=record.offset,
        problem=f"{why}. The record was skipped; correct the program that wrote it and send its "
        "facts again.",
        raw=record.value[:MOST_RAW],
    )


def notice(item: Aside, at: datetime) -> Outgoing:
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
