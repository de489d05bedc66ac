"""Closing periods: when they are due or asked for, once each, and again when facts come late.

One closer works at a time, held by a lock that lives and dies with its connection. Everything it
decides is read from the database, so that it may be killed anywhere and started anew. Periods are
counted in lanes beside each other, so that orders and other agreements do not wait for a long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from traceback import format_exception
from typing import Any

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
from services.evaluator.lanes import LaneJob, Lanes
from services.evaluator.late_facts import ClosedPeriod, ClosedPeriods
from services.evaluator.period_close import SHOWN, Done, close_period
from services.evaluator.recount import NoSuchPeriod, RecountTarget
from services.evaluator.topics import EvaluatorTopics
from services.evaluator.watermark import (
    SourceMark,
    Watermark,
    begun,
    begun_count,
    due_at_us,
    feeding,
    source_marks,
    version_of,
    watermark,
)
from services.shell import metrics
from services.shell.logs import correlated, correlated_if_alone, log
from services.shell.postgres import Connection, Fenced, is_of_the_work, is_transient

ALARM_RETRY_S = 60.0
"""A period whose tallies differ is counted again after this long, or at once when asked for."""
IN_A_ROW = 12
"""So many due periods of an agreement are closed before the others have their turn."""
BREATH = 50
"""After so many agreements or periods looked at, other work of the process goes on."""

_LOCK = 0x6561_726E_636C_6F73  # any constant, the same in every closer

Ends = Callable[[], Awaitable[Mapping[int, int] | None]]
"""Partition of `measurements` to the end of its log; None when the broker does not say."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. ``idle_after``: when a silent source no longer holds others back.

    ``quiet``: how long nothing may have come before late facts are counted. ``every``: between
    two looks. ``facts``: at most so many are read for one period.
    """

    idle_after: float
    quiet: float
    every: float
    facts: int = recount.MOST_FACTS


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
        self._lanes = Lanes(connect)
        self._targets: dict[AgreementPeriod, RecountTarget] = {}
        self._parked: dict[AgreementPeriod, str] = {}
        """Parked periods, each with the digest of what it failed with; read at every look."""
        self._looked: dict[AgreementPeriod, float] = {}
        """When that digest was last held against what the period would be counted from now."""
        self._reached: dict[str, str] = {}
        self._revision = -1
        self._closed: ClosedPeriods | None = None

    async def run(self) -> None:
        """Close for as long as the process lives; begin anew when the database was away."""
        while True:
            try:
                await self._turn()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not is_transient(error) and not isinstance(error, Fenced):
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
                await self._lanes.wait(self._pace.every)
        finally:
            await self._lanes.close()
            connection.terminate()

    async def work_off(self, connection: Connection) -> None:
        """Look until nothing is left that could be done now."""
        try:
            while await self.look(connection) or not self._lanes.is_idle:
                await self._lanes.wait(self._pace.every)
        finally:
            await self._lanes.close()

    async def look(self, connection: Connection) -> int:
        """One poll: late facts, requests, due closes, recounts. Gives how much work was begun.

        Nothing before the catalogue is loaded: late facts would be held against no agreement and
        never looked at again, and orders to close would be answered as unknown.
        """
        if not self._catalogue.loaded or await link_store.is_behind(connection):
            return 0
        orders = await evaluation_store.waiting(connection)
        if orders:  # through another process, perhaps for what was applied a moment ago
            await self._catalogue.refresh()
        catalogue = self._catalogue.current
        self._parked = await parking.tried_with(connection)
        closed = await self._current(connection, catalogue)
        while await late_facts.scan(connection, closed, catalogue.numbers):
            pass
        while await refused_corrections.tell_waiting(
            connection, self._topics.quarantine, self._pace.quiet
        ):
            pass
        jobs = list(self._ordered(catalogue, orders))
        stuck = await self._stuck(connection)
        jobs += await self._due_jobs(connection, catalogue, closed, stuck)
        jobs += await self._recounts(connection, catalogue, closed, stuck)
        started = self._lanes.offer(jobs)
        await self._report(connection)
        return started

    async def _current(self, connection: Connection, catalogue: Catalogue) -> ClosedPeriods:
        """What is closed, with the frames that were counted; read once, then kept current."""
        if self._revision != catalogue.revision:
            self._looked.clear()
            self._reached.clear()
            await parking.park_unreadable(connection, catalogue)
        known = self._closed
        if known is None or self._revision != catalogue.revision:
            before, known = known, ClosedPeriods()
            for each in before.being_closed() if before is not None else ():
                known.put(each)
            self._closed = known
            for place, counted in (await evaluation_store.counted_through(connection)).items():
                try:
                    known.put(ClosedPeriod(await self._target(catalogue, place), counted))
                except Exception as error:
                    if not is_of_the_work(error):
                        raise
                    known.unknown.append(place)
        self._revision = catalogue.revision
        return known

    async def _target(self, catalogue: Catalogue, place: AgreementPeriod) -> RecountTarget:
        """What is to be counted for a period, kept while its contracts stay the same."""
        known = self._targets.get(place)
        if known is None or not _is_current(known, catalogue):
            known = await asyncio.to_thread(recount.target_of, catalogue, *place)
            self._targets[place] = known
        return known

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
            return await recount.inputs_of(connection, await self._target(catalogue, place))
        except Exception as error:
            if not is_of_the_work(error):
                raise
            return input_digest(versions, WorkFailure.of(error).reason)

    def _ordered(
        self, catalogue: Catalogue, orders: Sequence[evaluation_store.Request]
    ) -> Iterator[LaneJob]:
        """Closes that were asked for; requests for one period are answered together."""
        asked: dict[AgreementPeriod, list[evaluation_store.Request]] = {}
        for request in orders:
            asked.setdefault((request.agreement, request.period), []).append(request)
        for place, requests in asked.items():
            buyer = _buyer(catalogue, place[0])
            yield LaneJob(buyer, place[0], True, partial(self._answer, catalogue, place, requests))

    async def _answer(
        self,
        catalogue: Catalogue,
        place: AgreementPeriod,
        requests: Sequence[evaluation_store.Request],
        connection: Connection,
    ) -> None:
        numbers = [request.number for request in requests]
        by = sorted({request.requested_by for request in requests})
        record = {"requests": numbers, "requested_by": by}
        with correlated(f"close-{numbers[0]}"):
            await self._close(connection, catalogue, place, "commanded", record, numbers)

    async def _due_jobs(
        self,
        connection: Connection,
        catalogue: Catalogue,
        closed: ClosedPeriods,
        stuck: Collection[AgreementPeriod],
    ) -> list[LaneJob]:
        """Agreements of which a period is due, in order; the first that is open decides."""
        marks = await source_marks(
            connection, self._app, self._topics.measurements, await self._ends()
        )
        jobs, waiting = [], 0
        for number, agreement in enumerate(sorted(catalogue.agreements)):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            place = await self._first_or_park(connection, catalogue, agreement, marks)
            if place is None:
                continue
            waiting += _open_count(catalogue, agreement, marks, closed)
            if place in stuck or await self._stays_parked(connection, catalogue, place):
                continue  # later periods rest on earlier ones
            if await self._due_or_park(connection, catalogue, place, marks) is not None:
                work = partial(self._close_due, catalogue, agreement, marks)
                jobs.append(LaneJob(_buyer(catalogue, agreement), agreement, False, work))
        metrics.WINDOWS_OPEN.labels("evaluator").set(waiting)
        return jobs

    async def _first_or_park(
        self,
        connection: Connection,
        catalogue: Catalogue,
        agreement: str,
        marks: Mapping[str, SourceMark],
    ) -> AgreementPeriod | None:
        """The first open period; the agreement as a whole is parked where it cannot be told."""
        whole = (agreement, "")
        if await self._stays_parked(connection, catalogue, whole):
            return None
        try:
            place = await self._first_open(catalogue, agreement, marks)
        except Exception as error:
            await self._park(connection, catalogue, whole, error)
            return None
        if whole in self._parked:
            await resolve(connection, "evaluator", "close", [agreement], "")
        return place

    async def _due_or_park(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        marks: Mapping[str, SourceMark],
    ) -> dict[str, Any] | None:
        """Why a period is due now; None when it is not. It is parked where that cannot be told."""
        try:
            return await self._due(catalogue, place, marks)
        except Exception as error:
            await self._park(connection, catalogue, place, error)
            return None

    async def _close_due(
        self,
        catalogue: Catalogue,
        agreement: str,
        marks: Mapping[str, SourceMark],
        connection: Connection,
    ) -> None:
        """Close what is due of an agreement, so many periods in a row."""
        for _ in range(IN_A_ROW):
            place = await self._first_open(catalogue, agreement, marks)
            if place is None:
                return
            why = await self._due_or_park(connection, catalogue, place, marks)
            if why is None:
                return
            done = await self._close(connection, catalogue, place, "closed", why)
            if done.outcome in ("alarm", "refused"):
                return  # later periods rest on earlier ones

    async def _first_open(
        self, catalogue: Catalogue, agreement: str, marks: Mapping[str, SourceMark]
    ) -> AgreementPeriod | None:
        """The first period of an agreement that has begun and is not closed."""
        assert self._closed is not None
        versions, zone, latest = _heard(catalogue, agreement, marks)
        if latest is None:
            return None
        since = self._reached.get(agreement)
        for number, period in enumerate(begun(versions, zone, latest, since)):
            self._reached[agreement] = period
            if (agreement, period) not in self._closed:
                return agreement, period
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        return None

    async def _due(
        self, catalogue: Catalogue, place: AgreementPeriod, marks: Mapping[str, SourceMark]
    ) -> dict[str, Any] | None:
        """Why a period is due now; None when it is not."""
        versions = catalogue.agreements[place[0]]
        programmes = catalogue.programmes[versions[-1].programme]
        version = version_of(versions, place[1])
        if version is None:
            return None
        target = await self._target(catalogue, place)
        due = due_at_us(version, place[1], programmes[-1].time_zone)
        feeds = feeding(programmes, target.metrics) & marks.keys()
        if not feeds:  # nobody reports its metrics: it goes with the programme
            own = frozenset(one.source for each in programmes for one in each.sources)
            feeds = own & marks.keys()
        mark = watermark([marks[each] for each in feeds], self._pace.idle_after)
        return None if mark.at_us is None or mark.at_us < due else _why(mark, marks, due)

    async def _recounts(
        self,
        connection: Connection,
        catalogue: Catalogue,
        closed: ClosedPeriods,
        stuck: Collection[AgreementPeriod],
    ) -> list[LaneJob]:
        """Closed periods that facts stored since may change."""
        jobs = []
        for place in await evaluation_store.quiet(connection, self._pace.quiet):
            if place not in closed and place not in closed.unknown:
                continue  # it is being closed for the first time
            if place not in stuck and not await self._stays_parked(connection, catalogue, place):
                work = partial(self._recount, catalogue, place)
                jobs.append(LaneJob(_buyer(catalogue, place[0]), place[0], False, work))
        return jobs

    async def _recount(
        self, catalogue: Catalogue, place: AgreementPeriod, connection: Connection
    ) -> None:
        await self._close(connection, catalogue, place, "late_facts", {})

    async def _close(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        reason: EvaluationReason,
        record: Mapping[str, Any],
        requests: Sequence[int] = (),
    ) -> Done:
        """Close a period, or count it again. What fails is parked, and everything else goes on."""
        with correlated_if_alone("close"):
            return await self._closed_or_parked(
                connection, catalogue, place, reason, record, requests
            )

    async def _closed_or_parked(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        reason: EvaluationReason,
        record: Mapping[str, Any],
        requests: Sequence[int],
    ) -> Done:
        assert self._closed is not None
        try:
            target = await self._target(catalogue, place)
            if place not in self._closed:  # what is stored from now on is held against it
                self._closed.put(ClosedPeriod(target, {}, evaluated=False))
            done = await close_period(
                connection, self._topics, target, reason, record, requests, self._pace.facts
            )
        except NoSuchPeriod as unknown:
            if reason != "commanded":
                return await self._park(connection, catalogue, place, unknown, requests)
            await evaluation_store.answer(connection, requests, "refused", str(unknown), None)
            return Done("refused", str(unknown))
        except Exception as error:
            return await self._park(connection, catalogue, place, error, requests)
        if done.counted_through is not None:
            self._closed.put(ClosedPeriod(target, done.counted_through))
        return done

    async def _park(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        error: Exception,
        requests: Sequence[int] = (),
    ) -> Done:
        """Park a period that cannot be counted: say so, and go on with the others.

        Raises what is not the period's own trouble.
        """
        if not is_of_the_work(error):
            raise error
        failure = WorkFailure.of(error)
        tried = await self._inputs(connection, catalogue, place)
        item = WorkItem("close", agreement=place[0], period=place[1])
        with correlated_if_alone("close"):
            log(__name__).error(
                "counting_failed",
                agreement=place[0],
                period=place[1],
                # As text: with the values of all variables it would take seconds.
                traceback="".join(format_exception(error)),
            )
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


def _is_current(target: RecountTarget, catalogue: Catalogue) -> bool:
    """Whether a target knows all versions; they never change."""
    agreements = catalogue.agreements[target.place[0]]
    programmes = catalogue.programmes[target.programme]
    return (len(agreements), len(programmes)) == (len(target.agreements), len(target.programmes))


def _buyer(catalogue: Catalogue, agreement: str) -> str:
    versions = catalogue.agreements.get(agreement)
    return catalogue.programmes[versions[-1].programme][-1].buyer if versions else ""


def _heard(
    catalogue: Catalogue, agreement: str, marks: Mapping[str, SourceMark]
) -> tuple[Sequence[Any], str, int | None]:
    """An agreement's versions, their calendar's zone, and the latest event of its programme."""
    versions = catalogue.agreements[agreement]
    programmes = catalogue.programmes[versions[-1].programme]
    own = [marks[one.source] for each in programmes for one in each.sources if one.source in marks]
    latest = max((one.latest_us for one in own if one.latest_us is not None), default=None)
    return versions, programmes[-1].time_zone, latest


def _open_count(
    catalogue: Catalogue, agreement: str, marks: Mapping[str, SourceMark], closed: ClosedPeriods
) -> int:
    versions, zone, latest = _heard(catalogue, agreement, marks)
    if latest is None:
        return 0
    return max(begun_count(versions, zone, latest) - closed.count(agreement), 0)


def _why(mark: Watermark, marks: Mapping[str, SourceMark], due_us: int) -> dict[str, Any]:
    """What the decision to close rested on."""
    assert mark.at_us is not None
    return {
        "due": instant(due_us).isoformat(),
        "watermark": instant(mark.at_us).isoformat(),
        "held_by": mark.held_by,
        "idle": [
            {"source": each, "silent_seconds": round(marks[each].silent_s)} for each in mark.idle
        ],
    }
