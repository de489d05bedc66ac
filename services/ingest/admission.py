"""Admits the events of one request: validation, duplicates that are known, the broker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from services.catalogue.audit import Author
from services.catalogue.cached import CatalogueCopy
from services.core.events.facts import ANSWER, Row
from services.core.events.roles import Sender
from services.ingest.agreed_log import AgreedLog
from services.ingest.compiled.batch_validator import BatchValidator
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.dedupe_cache import Recent
from services.ingest.event_validator import EventValidator
from services.ingest.fast_validator import FastValidator
from services.ingest.publisher import Publisher
from services.ingest.rejection import CONFLICT, QUOTA_USED_UP, EventRejection
from services.ingest.rejection_store import KeptRecords, RejectedRecord
from services.ingest.subject_quota import SubjectQuota
from services.shell import metrics
from services.shell.clock import now_us
from services.shell.http.problems import Problem
from services.shell.refusals import NOBODY

AT_ONCE = 200
"""Events that are judged without letting another request in between."""

Status = Literal["accepted", "duplicate", "rejected"]


def _not_loaded() -> Problem:
    return Problem(
        503,
        "starting",
        "The catalogue is not loaded yet.",
        "Send it again in a moment.",
        headers={"Retry-After": "2"},
    )


class AdmissionResult(NamedTuple):
    """What became of one event."""

    status: Status
    source: str | None
    id: str | None
    refusal: EventRejection | None = None

    def document(self, index: int) -> dict[str, Any]:
        """The event's entry in the answer to a batch."""
        entry: dict[str, Any] = {
            "index": index,
            "source": self.source,
            "id": self.id,
            "status": self.status,
        }
        if self.refusal is not None:
            entry["problem"] = {**self.refusal.document(), "item": index}
        return entry


KeepRejected = Callable[[Sequence[RejectedRecord]], Awaitable[KeptRecords]]
"""Keeps what a person must look at, within its sender's quota. Raises Unavailable where it
cannot."""
AcceptedLookup = Callable[[Sequence[Row]], Awaitable[frozenset[bytes]]]
"""Of these rows, identity and payload in one, those that count already. Knows nothing where the
evaluator's tables cannot be asked."""
NoteAnswers = Callable[[Sequence[Row], Author], Awaitable[None]]
"""Writes down who sends answers to proposals. Raises Unavailable where it cannot."""
EventCheck = Callable[[FastValidator, bytes, int], Row | EventRejection]
"""Checks the bytes of one event; given the validator and the time."""


class Admission:
    """Holds the validator of the current catalogue, and what was lately acknowledged."""

    def __init__(
        self,
        catalogue: CatalogueCopy,
        publisher: Publisher,
        keep: KeepRejected,
        latest: Mapping[str, int],
        accepted: AcceptedLookup,
        agreed: AgreedLog,
        subjects: SubjectQuota,
        note: NoteAnswers,
        loops: LazyLoops,
    ) -> None:
        """``latest``: how far each source has come; a mapping that is kept current. ``agreed``:
        what two have agreed on. ``subjects``: who has as many as it may have. ``note``: writes down
        who answers proposals. ``loops``: what judges batches at once, when it is there."""
        self._accepted, self._agreed, self._subjects = accepted, agreed, subjects
        self._note = note
        self._catalogue, self._publisher = catalogue, publisher
        self._keep, self._latest = keep, latest
        self._recent = Recent()
        self._validator: FastValidator | None = None
        self._loops = loops
        self._batches: BatchValidator | None = None

    async def admit(
        self,
        events: Sequence[bytes],
        check: EventCheck,
        sender: Sender | None,
        by: Author | None = None,
    ) -> list[AdmissionResult]:
        """Admit events; each has an outcome, and the accepted ones are with the broker.

        ``check``: how each of them is judged; of several, as events in structured mode of
        ``sender``. ``by``: who sends them, for what has to be asked
        for and for who answers proposals.

        Raises Unavailable when the broker does not take them or the database does not keep what
        was set aside, and Problem 503 before the catalogue is loaded; none is acknowledged then,
        and sending all again is safe.
        """
        now = now_us()
        fresh: dict[bytes, Row] = {}
        outcomes = [
            self._compare(verdict, fresh) if isinstance(verdict, Row) else _told(verdict)
            for verdict in await self._within_subjects(
                await self._judged(events, check, sender, now)
            )
        ]
        outcomes = await self._without_repeats(outcomes)
        records = {
            index: RejectedRecord(
                None, sender.party if sender else NOBODY, raw, outcome.refusal, now, by=by
            )
            for index, (raw, outcome) in enumerate(zip(events, outcomes, strict=True))
            if outcome.refusal is not None and outcome.refusal.for_review
        }
        outcomes = await self._kept(outcomes, records)
        answers = [row for row in fresh.values() if row.kind == ANSWER]
        if answers and by is not None:
            await self._note(answers, by)
        await self._publisher.publish(list(fresh.values()))
        for identity, row in fresh.items():
            self._recent.add(identity, row.payload)
        counted = Counter(outcome.status for outcome in outcomes)
        for status in ("accepted", "duplicate", "rejected"):
            metrics.EVENTS.labels("ingest", status).inc(counted[status])
        return outcomes

    async def _kept(
        self,
        outcomes: list[AdmissionResult],
        records: Mapping[int, RejectedRecord],
    ) -> list[AdmissionResult]:
        """Have kept what a person must decide on. What its sender's quota leaves no room for is
        told so: it is neither kept nor acknowledged."""
        if not records:
            return outcomes
        beyond = (await self._keep(list(records.values()))).beyond
        return [
            _beyond_quota(outcome)
            if index in records and records[index].name in beyond
            else outcome
            for index, outcome in enumerate(outcomes)
        ]

    async def _judged(
        self, events: Sequence[bytes], check: EventCheck, sender: Sender | None, now: int
    ) -> list[Row | EventRejection]:
        """Validate each. What is refused may have been allowed a moment ago: then all are
        judged by the newest catalogue, and by what was agreed to since."""
        validator, agreed = self._current_validator(), len(self._agreed.decisions)
        verdicts = await self._checked(validator, events, check, sender, now)
        if EventRejection in map(type, verdicts):
            await asyncio.gather(self._catalogue.look(), self._agreed.look())
            newest = self._current_validator()
            if newest is not validator or len(self._agreed.decisions) > agreed:
                return await self._checked(newest, events, check, sender, now)
        return verdicts

    async def _checked(
        self,
        validator: FastValidator,
        events: Sequence[bytes],
        check: EventCheck,
        sender: Sender | None,
        now: int,
    ) -> list[Row | EventRejection]:
        """Judge each, where it can be all at once; else others' requests come in between."""
        usual: list[Row | None] = [None] * len(events)
        loops = self._loops.of(len(events))
        if loops is not None:
            if self._batches is None or self._batches.fast is not validator:
                self._batches = BatchValidator(validator, loops, partitions=1)
            usual = self._batches.judged(events, [(sender, len(events))], now).usual_rows()
        verdicts: list[Row | EventRejection] = []
        for start in range(0, len(events), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            if start and None in usual[some]:
                await asyncio.sleep(0)
            verdicts += [
                row or check(validator, raw, now)
                for row, raw in zip(usual[some], events[some], strict=True)
            ]
        validator.forget()
        return verdicts

    async def _within_subjects(
        self, verdicts: list[Row | EventRejection]
    ) -> list[Row | EventRejection]:
        """Refuse what names a subject too many, as far as that is known here."""
        rows = [each for each in verdicts if isinstance(each, Row)]
        beyond = await self._subjects.beyond(rows, self._catalogue.current.sources)
        if not beyond:
            return verdicts
        return [
            beyond.get(each.identity, each) if isinstance(each, Row) else each for each in verdicts
        ]

    async def _without_repeats(self, outcomes: list[AdmissionResult]) -> list[AdmissionResult]:
        """Tell as a repeat what would be refused, but is word for word what was accepted."""
        doubtful = {
            outcome.refusal.row.identity + outcome.refusal.row.payload: outcome.refusal.row
            for outcome in outcomes
            if outcome.refusal is not None and outcome.refusal.row is not None
        }
        if not doubtful:
            return outcomes
        counting = await self._accepted(list(doubtful.values()))
        for key, row in doubtful.items():
            if key in counting:
                self._recent.put(row.identity, row.payload)
        return [_repeat_of(outcome, counting) for outcome in outcomes]

    def _current_validator(self) -> FastValidator:
        catalogue = self._catalogue.current
        if catalogue.revision < 0:
            raise _not_loaded()
        if self._validator is None or self._validator.validator.revision != catalogue.revision:
            full = EventValidator(catalogue, self._latest.get, agreed=self._agreed.decisions)
            # Rows are shared out among partitions by the publisher; here all are in one.
            self._validator = FastValidator(full, partitions=1)
        return self._validator

    def _compare(self, row: Row, fresh: dict[bytes, Row]) -> AdmissionResult:
        """Tell a repeat or a conflict as far as this process can; else take the row in."""
        twin = fresh.get(row.identity)
        known = twin.payload if twin is not None else self._recent.get(row.identity)
        if known is None:
            fresh[row.identity] = row
            return AdmissionResult("accepted", row.source, row.id)
        if known == row.payload:
            return AdmissionResult("duplicate", row.source, row.id)
        return AdmissionResult("rejected", row.source, row.id, _conflict(row, known))


def _repeat_of(outcome: AdmissionResult, counting: frozenset[bytes]) -> AdmissionResult:
    row = None if outcome.refusal is None else outcome.refusal.row
    if row is None or row.identity + row.payload not in counting:
        return outcome
    return AdmissionResult("duplicate", row.source, row.id)


def _beyond_quota(outcome: AdmissionResult) -> AdmissionResult:
    refusal = outcome.refusal
    assert refusal is not None
    told = EventRejection(
        QUOTA_USED_UP,
        refusal.pointer,
        f"it is refused ({refusal.reason.code}: {refusal.detail}), and as much is kept of the "
        "refused events of its sender today as there is room for",
        "mend the sender; what is refused after midnight (UTC) is kept again. GET /v1/usage of the "
        "settlement API, or `earnback usage`, shows what is kept",
        source=refusal.source,
        id=refusal.id,
    )
    return AdmissionResult("rejected", outcome.source, outcome.id, told)


def _told(refusal: EventRejection) -> AdmissionResult:
    return AdmissionResult("rejected", refusal.source, refusal.id, refusal)


def _conflict(row: Row, known: bytes) -> EventRejection:
    return EventRejection(
        CONFLICT,
        "/id",
        "an event of that source and id was accepted before with another type, time or data; this "
        "one is in quarantine",
        "send a correction of the first, or give what is another event an id of its own; GET "
        "/v1/events/{source}/{id} of the settlement API shows which one counts",
        source=row.source,
        id=row.id,
        more=(("first_payload", known.hex()), ("second_payload", row.payload.hex())),
        for_review=True,
        row=row,
    )
