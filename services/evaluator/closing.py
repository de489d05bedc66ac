"""Closing periods: when they are due or asked for, once each, and again when facts come late.

One closer works at a time, held by a lock that lives and dies with its connection. Everything it
decides is read from the database, so that it may be killed anywhere and started anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import msgspec
import pyarrow as pa

from schemas.evaluation import PeriodEvaluation
from schemas.statement import canonical
from services.catalogue.cached import CatalogueCopy
from services.catalogue.parked import (
    WorkFailure,
    WorkItem,
    input_digest,
    park,
    resolve,
    show_parked,
)
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import instant
from services.core.counting.evaluation import EvaluationReason
from services.evaluator import (
    evaluation_store,
    gauges,
    late_facts,
    link_store,
    parking,
    recount,
    refused_corrections,
)
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.recount import NoSuchPeriod, RecountTarget, Snapshot
from services.evaluator.topics import EvaluatorTopics
from services.evaluator.watermark import (
    PartitionProgress,
    Watermark,
    begun,
    due_at_us,
    feeding,
    version_of,
    watermark,
)
from services.shell import metrics
from services.shell.faults import faultpoint
from services.shell.logs import correlated, log
from services.shell.outbox import enqueue
from services.shell.postgres import Connection, is_of_the_work, is_transient

EVALUATED = "earnback.period.evaluated.v1"
SHOWN = 20
"""At most so many differences are told at once."""
MAX_BODY_BYTES = 12 * 1024 * 1024
"""A larger evaluation could not be published, and would hold up all that come after it."""
ALARM_RETRY_S = 60.0
"""A period whose tallies differ is counted again after this long, or at once when asked for. So
long after it was looked at, a parked one is looked at again: whether its inputs have changed."""

_LOCK = 0x6561_726E_636C_6F73  # any constant, the same in every closer

Ends = Callable[[], Awaitable[Mapping[int, int] | None]]
"""Partition of `measurements` to the end of its log; None when the broker does not say."""
CloseOutcome = Literal["closed", "revised", "unchanged", "refused", "alarm"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. ``idle_after``: when a silent partition no longer holds others back.

    ``quiet``: how long nothing may have come before late facts are counted. ``every``: between
    two looks.
    """

    idle_after: float
    quiet: float
    every: float


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one close."""

    outcome: CloseOutcome
    detail: str
    revision: int | None = None


class Closer:
    """Closes periods for one worker. ``app``: whose progress tells how far the partitions are."""

    def __init__(
        self,
        *,
        app: str,
        catalogue: CatalogueCopy,
        connect: Callable[[], Awaitable[Connection]],
        ends: Ends,
        pace: Pace,
        health: metrics.Health,
        topics: EvaluatorTopics | None = None,
    ) -> None:
        self._topics = topics or EvaluatorTopics()
        self._app, self._catalogue, self._connect = app, catalogue, connect
        self._ends, self._pace, self._health = ends, pace, health
        self._targets: dict[AgreementPeriod, RecountTarget] = {}
        self._parked: dict[AgreementPeriod, str] = {}
        """Parked periods, each with the digest of what it failed with; read at every look."""
        self._looked: dict[AgreementPeriod, float] = {}
        """When that digest was last held against what the period would be counted from now."""
        self._revision = -1
        self._closed: late_facts.ClosedPeriods | None = None

    async def run(self) -> None:
        """Close for as long as the process lives; begin anew when the database was away."""
        while True:
            try:
                await self._turn()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not is_transient(error):
                    raise
                log(__name__).warning("closer_begins_anew", error=repr(error))
                await asyncio.sleep(1.0)

    async def _turn(self) -> None:
        """Wait for the lock, then look again and again over the connection that holds it."""
        connection = await self._connect()
        self._closed = None  # another may have closed since
        try:
            holds = False
            while True:
                if not holds:
                    holds = await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK)
                if holds:
                    await self.look(connection)
                await asyncio.sleep(self._pace.every)
        finally:
            connection.terminate()

    async def look(self, connection: Connection) -> None:
        """One poll: late facts, requests, due closes, recounts.

        Nothing before the catalogue is loaded: late facts would be held against no agreement and
        never looked at again, and orders to close would be answered as unknown.
        """
        if not self._catalogue.loaded:
            return
        orders = await evaluation_store.waiting(connection)
        if orders:  # through another process, perhaps for what was applied a moment ago
            await self._catalogue.refresh()
        catalogue = self._catalogue.current
        if self._revision != catalogue.revision:
            self._targets.clear()
            self._looked.clear()
            self._closed = None
            await parking.park_unreadable(connection, catalogue)
            self._revision = catalogue.revision
        self._parked = await parking.tried_with(connection)
        if await link_store.is_behind(connection):
            return
        if self._closed is None:
            self._closed = await self._closed_periods(connection, catalogue)
        while await late_facts.scan(connection, self._closed, catalogue.numbers):
            pass
        while await refused_corrections.tell_waiting(
            connection, self._topics.quarantine, self._pace.quiet
        ):
            pass
        await self._answer_requests(connection, catalogue, orders)
        await self._close_due(connection, catalogue)
        stuck = await self._stuck(connection)
        for place in await evaluation_store.quiet(connection, self._pace.quiet):
            if place not in stuck and not await self._stays_parked(connection, catalogue, place):
                await self._close(connection, catalogue, place, "late_facts", {})
        await self._report(connection)

    async def _closed_periods(
        self, connection: Connection, catalogue: Catalogue
    ) -> late_facts.ClosedPeriods:
        """What is closed, with the frames that were counted; read once, then kept current."""
        found = late_facts.ClosedPeriods()
        for place, counted in (await evaluation_store.counted_through(connection)).items():
            try:
                found.put(late_facts.ClosedPeriod(self._target(catalogue, place), counted))
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                found.unknown.append(place)
            await asyncio.sleep(0)
        return found

    def _target(self, catalogue: Catalogue, place: AgreementPeriod) -> RecountTarget:
        """What is to be counted for a period, kept while the catalogue stays the same.

        Raises NoSuchPeriod, and whatever else the contracts of one agreement make fail.
        """
        if place not in self._targets:
            self._targets[place] = recount.target_of(catalogue, *place)
        return self._targets[place]

    async def _stuck(self, connection: Connection) -> set[AgreementPeriod]:
        """Periods whose tallies differ and that are not to be tried again yet."""
        alarms = await evaluation_store.alarms(connection)
        return {place for place, age in alarms.items() if age < ALARM_RETRY_S}

    async def _stays_parked(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> bool:
        """Whether a period is parked, and what it would be counted from is what it failed with."""
        if place not in self._parked:
            return False
        if monotonic() - self._looked.get(place, -ALARM_RETRY_S) < ALARM_RETRY_S:
            return True
        self._looked[place] = monotonic()
        return await self._inputs(connection, catalogue, place) == self._parked[place]

    async def _inputs(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> str:
        """The digest of what a period is counted from, as far as it can be told."""
        versions = tuple(one.version for one in catalogue.agreements.get(place[0], ()))
        try:
            return await recount.inputs_of(connection, self._target(catalogue, place))
        except Exception as error:
            if not is_of_the_work(error):
                raise
            return input_digest(versions, WorkFailure.of(error).reason)

    async def _answer_requests(
        self,
        connection: Connection,
        catalogue: Catalogue,
        orders: Sequence[evaluation_store.Request],
    ) -> None:
        """Close what was asked for; requests for one period are answered together."""
        asked: dict[AgreementPeriod, list[evaluation_store.Request]] = {}
        for request in orders:
            asked.setdefault((request.agreement, request.period), []).append(request)
        for place, requests in asked.items():
            numbers = [request.number for request in requests]
            by = sorted({request.requested_by for request in requests})
            record = {"requests": numbers, "requested_by": by}
            with correlated(f"close-{numbers[0]}"):
                await self._close(connection, catalogue, place, "commanded", record, numbers)

    async def _close_due(self, connection: Connection, catalogue: Catalogue) -> None:
        marks = await _marks(connection, self._app, self._topics.measurements, await self._ends())
        done = (await evaluation_store.counted_through(connection)).keys()
        stuck = await self._stuck(connection)
        waiting = 0
        for agreement in sorted(catalogue.agreements) if marks else ():
            for period in await self._periods(connection, catalogue, agreement, marks):
                place = (agreement, period)
                if place in done:
                    continue
                if place in stuck or await self._stays_parked(connection, catalogue, place):
                    break  # later periods rest on earlier ones
                try:
                    why = self._due(catalogue, place, marks)
                except Exception as error:
                    await self._park(connection, catalogue, place, error, ())
                    break
                if why is None:
                    waiting += 1
                    continue
                result = await self._close(connection, catalogue, place, "closed", why)
                if result.outcome in ("alarm", "refused"):
                    break
        metrics.WINDOWS_OPEN.labels("evaluator").set(waiting)

    async def _periods(
        self,
        connection: Connection,
        catalogue: Catalogue,
        agreement: str,
        marks: Mapping[int, PartitionProgress],
    ) -> Sequence[str]:
        """The agreement's settlement periods up to the latest fact; none where it is parked."""
        whole = (agreement, "")
        if await self._stays_parked(connection, catalogue, whole):
            return ()
        try:
            found = _begun(catalogue, agreement, marks)
        except Exception as error:
            await self._park(connection, catalogue, whole, error, ())
            return ()
        if whole in self._parked:
            await resolve(connection, "evaluator", "close", [agreement], "")
        return found

    def _due(
        self, catalogue: Catalogue, place: AgreementPeriod, marks: Mapping[int, PartitionProgress]
    ) -> dict[str, Any] | None:
        """Why a period is due now; None when it is not."""
        versions = catalogue.agreements[place[0]]
        programmes = catalogue.programmes[versions[-1].programme]
        version = version_of(versions, place[1])
        if version is None:
            return None
        due = due_at_us(version, place[1], programmes[-1].time_zone)
        feeds = feeding(programmes, self._target(catalogue, place).metrics, len(marks))
        mark = watermark([marks[each] for each in feeds], self._pace.idle_after)
        return None if mark.at_us is None or mark.at_us < due else _why(mark, marks, due)

    async def _close(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        reason: EvaluationReason,
        record: dict[str, Any],
        requests: Sequence[int] = (),
    ) -> Done:
        """Count a period, and store what it comes to, if that is new. What fails is parked."""
        try:
            return await self._count(connection, catalogue, place, reason, record, requests)
        except NoSuchPeriod as unknown:
            if reason != "commanded":
                return await self._park(connection, catalogue, place, unknown, requests)
            await evaluation_store.answer(connection, requests, "refused", str(unknown), None)
            return Done("refused", str(unknown))
        except Exception as error:
            return await self._park(connection, catalogue, place, error, requests)

    async def _count(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        reason: EvaluationReason,
        record: dict[str, Any],
        requests: Sequence[int] = (),
    ) -> Done:
        started = monotonic()
        target = self._target(catalogue, place)
        snapshot = await recount.take(connection, target)
        found = await asyncio.to_thread(recount.differences, snapshot)
        if found:
            return await self._alarm(connection, place, found, requests)
        last = snapshot.last
        why: EvaluationReason = reason
        if last is not None and reason == "commanded" and last.versions != target.versions:
            why = "changed_agreement"
        revision = 1 if last is None else last.revision + 1
        faultpoint("close.counted")
        made, refused = await asyncio.to_thread(recount.evaluation, target, snapshot, revision, why)
        if (size := len(canonical(made))) > MAX_BODY_BYTES:
            raise ValueError(_too_large(size))
        if last is not None and recount.same_content(made, last.body):
            done = Done("unchanged", f"revision {last.revision} stands", last.revision)
            made_new = None
        else:
            outcome: CloseOutcome = "closed" if last is None else "revised"
            done = Done(outcome, f"revision {revision}", revision)
            made_new = made
        full = {**record, "versions": target.versions}

        async def corrections() -> None:
            await refused_corrections.record(
                connection,
                self._topics.quarantine,
                place,
                snapshot.linked,
                refused,
            )

        await self._commit(connection, place, made_new, snapshot, full, done, requests, corrections)
        if self._closed is not None:
            self._closed.put(late_facts.ClosedPeriod(target, snapshot.counted_through))
        metrics.CLOSE_SECONDS.observe(monotonic() - started)
        pa.default_memory_pool().release_unused()  # a recount may have held millions of facts
        log(__name__).info(
            "period_counted",
            agreement=place[0],
            period=place[1],
            outcome=done.outcome,
            revision=done.revision,
            reason=why,
            facts=len(snapshot.loaded.facts),
        )
        return done

    async def _commit(
        self,
        connection: Connection,
        place: AgreementPeriod,
        made: PeriodEvaluation | None,
        snapshot: Snapshot,
        record: Mapping[str, Any],
        done: Done,
        requests: Sequence[int],
        corrections: Callable[[], Awaitable[None]],
    ) -> None:
        """The evaluation, its announcement, the answers and refused corrections, all or nothing."""
        async with connection.transaction():
            await corrections()
            if made is not None:
                body = await evaluation_store.insert(
                    connection, made, snapshot.counted_through, record
                )
                identity = event_id(made)
                await enqueue(
                    connection,
                    self._topics.evaluations,
                    made.agreement,
                    identity,
                    announcement(made, body),
                    {"content-type": "application/cloudevents+json"},
                )
            await evaluation_store.dequeue_recount(connection, place)
            await evaluation_store.resolve_alarm(connection, place)
            await resolve(connection, "evaluator", "close", [place[0]], place[1])
            await evaluation_store.answer(
                connection, requests, done.outcome, done.detail, done.revision
            )
            faultpoint("close.before-commit")
        faultpoint("close.after-commit")

    async def _alarm(
        self,
        connection: Connection,
        place: AgreementPeriod,
        found: Sequence[Mapping[str, Any]],
        requests: Sequence[int],
    ) -> Done:
        """Stop this period's close, loudly."""
        detail = (
            f"tallies and stored facts differ in {len(found)} places, first {dict(found[0])}; the "
            "period stays open until they agree: find out which of the two was changed"
        )
        async with connection.transaction():
            await evaluation_store.raise_alarm(connection, place, found[:SHOWN])
            await evaluation_store.answer(connection, requests, "alarm", detail, None)
        log(__name__).critical(
            "tallies_differ", agreement=place[0], period=place[1], found=found[:SHOWN]
        )
        return Done("alarm", detail)

    async def _park(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        error: Exception,
        requests: Sequence[int],
    ) -> Done:
        """Park a period that cannot be counted: say so, and go on with the others.

        Raises what is not the period's own trouble.
        """
        if not is_of_the_work(error):
            raise error
        failure = WorkFailure.of(error)
        log(__name__).exception("counting_failed", agreement=place[0], period=place[1])
        tried = await self._inputs(connection, catalogue, place)
        item = WorkItem("close", agreement=place[0], period=place[1])
        async with connection.transaction():
            await park(connection, "evaluator", item, failure, tried)
            await evaluation_store.answer(connection, requests, "refused", failure.reason, None)
        self._parked[place], self._looked[place] = tried, monotonic()
        return Done("refused", failure.reason)

    async def _report(self, connection: Connection) -> None:
        """Show open alarms and parked work where operators look.

        What is parked is one agreement's: it does not make the process unready.
        """
        stuck = await evaluation_store.alarms(connection)
        gauges.CLOSE_ALARMS.set(len(stuck))
        await show_parked(connection, "evaluator")
        said = [f"{' '.join(place)}: tallies and facts differ" for place in sorted(stuck)]
        if said:
            self._health.not_ready("close", "; ".join(said[:SHOWN]))
        else:
            self._health.ready("close")


def _begun(
    catalogue: Catalogue, agreement: str, marks: Mapping[int, PartitionProgress]
) -> list[str]:
    """The agreement's settlement periods up to the latest fact."""
    latest = max((m.max_event_us for m in marks.values() if m.max_event_us), default=None)
    if latest is None:
        return []
    versions = catalogue.agreements[agreement]
    zone = catalogue.programmes[versions[-1].programme][-1].time_zone
    return begun(versions, zone, latest)


def _too_large(size: int) -> str:
    return (
        f"the evaluation has {size} bytes, {MAX_BODY_BYTES} can be published; settle the agreement "
        "in shorter periods, or spread its subjects over several metrics or agreements"
    )


def event_id(made: PeriodEvaluation) -> str:
    """The same for the same revision, whoever announces it."""
    return f"{made.agreement}/{made.period}/{made.revision}"


def announcement(made: PeriodEvaluation, body: bytes) -> bytes:
    """The CloudEvent that tells settlement of an evaluation. ``body``: its canonical JSON."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event_id(made),
            "source": "/earnback/evaluator",
            "type": EVALUATED,
            "subject": f"{made.agreement}/{made.period}",
            "datacontenttype": "application/json",
            "data": msgspec.Raw(body),
        },
        order="sorted",
    )


def _why(mark: Watermark, marks: Mapping[int, PartitionProgress], due_us: int) -> dict[str, Any]:
    """What the decision to close rested on."""
    assert mark.at_us is not None
    return {
        "due": instant(due_us).isoformat(),
        "watermark": instant(mark.at_us).isoformat(),
        "held_by": mark.held_by,
        "idle": [
            {"partition": each, "silent_seconds": round(marks[each].silent_s)} for each in mark.idle
        ],
    }


async def _marks(
    connection: Connection, app: str, topic: str, ends: Mapping[int, int] | None
) -> dict[int, PartitionProgress]:
    """How far every partition has come. What the broker does not tell of counts as behind."""
    rows = await connection.fetch(
        "select partition, next_offset, max_event_us,"
        " extract(epoch from clock_timestamp() - last_advanced_at)::float8 as silent"
        " from progress where app = $1 and topic = $2",
        app,
        topic,
    )
    known = {row["partition"]: row for row in rows}
    count = max([*known, *(ends or {}), -1]) + 1
    marks = {}
    for partition in range(count):
        row = known.get(partition)
        end = None if ends is None else ends.get(partition)
        if row is None:
            marks[partition] = PartitionProgress(partition, None, 0.0, True)
        else:
            behind = end is None or row["next_offset"] < end
            marks[partition] = PartitionProgress(
                partition, row["max_event_us"], row["silent"], behind
            )
    return marks
