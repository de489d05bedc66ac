"""Closing periods: when they are due or asked for, once each, and again when facts come late.

One closer works at a time, held by a lock that lives and dies with its connection. Everything it
decides is read from the database, so that it may be killed anywhere and started anew. Periods are
counted in lanes beside each other, so that orders and other agreements do not wait for a long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from services.catalogue.cached import CatalogueCopy
from services.catalogue.parked import resolve, show_parked
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import instant
from services.core.counting.evaluation import EvaluationReason
from services.evaluator import (
    closing_queue,
    evaluation_store,
    gauges,
    late_facts,
    link_store,
    occurrences,
    parking,
    queue_store,
    refused_corrections,
)
from services.evaluator.closing_queue import ClosingQueue
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.lanes import LaneJob, Lanes
from services.evaluator.parking import ParkedPeriods
from services.evaluator.period_close import SHOWN, Done, close_period
from services.evaluator.queue_store import NextClose
from services.evaluator.recount import NoSuchPeriod, RecountTarget
from services.evaluator.recount_targets import FedTarget, RecountTargets
from services.evaluator.settings import Pace
from services.evaluator.topics import EvaluatorTopics
from services.evaluator.watermark import (
    SourceMark,
    Watermark,
    source_marks,
    watermark,
)
from services.shell import metrics
from services.shell.logs import correlated, correlated_if_alone, log
from services.shell.postgres import Connection, Fenced, is_transient

ALARM_RETRY_S = 60.0
"""A period whose tallies differ is counted again after this long, or at once when asked for."""
IN_A_ROW = 12
"""So many due periods of an agreement are closed before the others have their turn."""
BREATH = 50
"""After so many agreements looked at, other work of the process goes on."""
SHOW_EVERY_S = 60.0
"""Between two counts of the periods that are open: all agreements are looked at for it."""

_LOCK = 0x6561_726E_636C_6F73  # any constant, the same in every closer

Ends = Callable[[], Awaitable[Mapping[int, int] | None]]
"""Partition of `measurements` to the end of its log; None when the broker does not say."""


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
        self._targets = RecountTargets()
        self._parked = ParkedPeriods(self._targets)
        self._queue = ClosingQueue()
        self._behind, self._has_older = False, True
        self._revision = -1
        self._shown = -SHOW_EVERY_S

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
        self._queue = ClosingQueue()  # another may have closed since
        try:
            holds = False
            while True:
                if not holds:
                    holds = await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK)
                if holds:
                    await self.look(connection)
                await self._wait()
        finally:
            await self._lanes.close()
            connection.terminate()

    async def work_off(self, connection: Connection) -> None:
        """Look until nothing is left that could be done now."""
        try:
            while await self.look(connection) or not self.follows or not self._lanes.is_idle:
                await self._wait()
        finally:
            await self._lanes.close()

    @property
    def follows(self) -> bool:
        """Whether everything is worked out as the contracts are."""
        return not self._behind

    async def _wait(self) -> None:
        """Until the next look: at once where contracts are not followed yet."""
        await self._lanes.wait(self._pace.every if self.follows else 0.0)

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
        await self._parked.read(connection)
        await self._follow(connection, catalogue)
        self._has_older = self._has_older and await occurrences.fill(connection, catalogue)
        while not self._behind and await late_facts.scan(connection, catalogue):
            pass
        while await refused_corrections.tell_waiting(
            connection, self._topics.quarantine, self._pace.quiet
        ):
            pass
        jobs = list(self._ordered(catalogue, orders))
        if not self._behind:  # what was worked out from older contracts may be due no more
            stuck = await self._stuck(connection)
            jobs += await self._due_jobs(connection, catalogue, stuck)
            jobs += await self._recounts(connection, catalogue, stuck)
        started = self._lanes.offer(jobs)
        await self._report(connection, catalogue)
        return started

    async def _follow(self, connection: Connection, catalogue: Catalogue) -> None:
        """Have the queue follow the contracts; an agreement of which nothing can be told is parked
        as a whole."""
        if self._revision != catalogue.revision:
            self._parked.look_again()
            await parking.park_unreadable(connection, catalogue)
            self._revision = catalogue.revision
        self._behind = not await self._queue.follow(connection, catalogue)
        worked_out, failed = self._queue.news()
        for agreement in worked_out:
            if (agreement, "") in self._parked:
                await resolve(connection, "evaluator", "close", [agreement], "")
        for agreement, error in failed.items():
            if not await self._parked.stays(connection, catalogue, (agreement, "")):
                await self._parked.park(connection, catalogue, (agreement, ""), error)

    async def _stuck(self, connection: Connection) -> set[AgreementPeriod]:
        """Periods whose tallies differ and that are not to be tried again yet."""
        alarms = await evaluation_store.alarms(connection)
        return {place for place, age in alarms.items() if age < ALARM_RETRY_S}

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
        self, connection: Connection, catalogue: Catalogue, stuck: Collection[AgreementPeriod]
    ) -> list[LaneJob]:
        """Agreements of which the next period is due."""
        waiting: dict[AgreementPeriod, tuple[FedTarget, NextClose]] = {}
        for number, each in enumerate(await queue_store.due(connection)):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            place = each.agreement, each.next.period
            if each.closed:  # while its contracts changed
                self._queue.again(each.agreement)
                self._behind = True
            elif place not in stuck and not await self._parked.stays(connection, catalogue, place):
                fed = await self._fed_or_park(connection, catalogue, place)
                if fed is not None:
                    waiting[place] = fed, each.next
        if not waiting:
            return []
        feeds = frozenset[str]().union(*(fed.feeds for fed, _ in waiting.values()))
        marks = await self._marks(connection, feeds)
        jobs = []
        for place, (fed, following) in waiting.items():
            if self._why(fed, following, marks) is not None:
                work = partial(self._close_due, catalogue, place[0])
                jobs.append(LaneJob(_buyer(catalogue, place[0]), place[0], False, work))
        return jobs

    async def _fed_or_park(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> FedTarget | None:
        """What is to be counted of a period that may be due; it is parked where nobody can tell."""
        try:
            fed = await self._targets.fed(catalogue, place)
            closing_queue.check_due(fed.target)
        except Exception as error:
            await self._parked.park(connection, catalogue, place, error)
            return None
        return fed

    async def _marks(
        self, connection: Connection, sources: Collection[str]
    ) -> Mapping[str, SourceMark]:
        ends = await self._ends()
        return await source_marks(connection, self._app, self._topics.measurements, ends, sources)

    def _why(
        self, fed: FedTarget, following: NextClose, marks: Mapping[str, SourceMark]
    ) -> dict[str, Any] | None:
        """Why a period is due now; None when it is not."""
        own, due_us = [marks[each] for each in fed.feeds if each in marks], following.due_us
        mark = watermark(own, self._pace.idle_after)
        return None if mark.at_us is None or mark.at_us < due_us else _why(mark, marks, due_us)

    async def _close_due(
        self, catalogue: Catalogue, agreement: str, connection: Connection
    ) -> None:
        """Close what is due of an agreement, so many periods in a row."""
        for _ in range(IN_A_ROW):
            following = await queue_store.next_of(connection, agreement)
            if following is None:
                return
            place = agreement, following.period
            fed = await self._fed_or_park(connection, catalogue, place)
            if fed is None:
                return
            why = self._why(fed, following, await self._marks(connection, fed.feeds))
            if why is None:
                return
            done = await self._close(connection, catalogue, place, "closed", why)
            if done.outcome in ("alarm", "refused"):
                return  # later periods rest on earlier ones

    async def _recounts(
        self, connection: Connection, catalogue: Catalogue, stuck: Collection[AgreementPeriod]
    ) -> list[LaneJob]:
        """Closed periods that facts stored since may change."""
        jobs = []
        for place in await evaluation_store.quiet(connection, self._pace.quiet):
            if place not in stuck and not await self._parked.stays(connection, catalogue, place):
                work = partial(self._recount, catalogue, place)
                jobs.append(LaneJob(_buyer(catalogue, place[0]), place[0], False, work))
        return jobs

    async def _recount(
        self, catalogue: Catalogue, place: AgreementPeriod, connection: Connection
    ) -> None:
        await self._close(connection, catalogue, place, "late_facts", {})

    async def count(
        self,
        connection: Connection,
        place: AgreementPeriod,
        reason: EvaluationReason,
        record: Mapping[str, Any],
    ) -> Done:
        """Close a period, or count it again, whether or not it is due. What fails is parked.

        ``record``: why now.
        """
        catalogue = self._catalogue.current
        await self._parked.read(connection)
        await self._follow(connection, catalogue)
        while self._behind:
            await self._follow(connection, catalogue)
        return await self._close(connection, catalogue, place, reason, record)

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
        try:
            target = await self._registered(connection, catalogue, place)
            return await close_period(
                connection, self._topics, target, reason, record, requests, self._pace.facts
            )
        except NoSuchPeriod as unknown:
            if reason != "commanded":
                return await self._refused(connection, catalogue, place, unknown, requests)
            await evaluation_store.answer(connection, requests, "refused", str(unknown), None)
            return Done("refused", str(unknown))
        except Exception as error:
            return await self._refused(connection, catalogue, place, error, requests)

    async def _registered(
        self, connection: Connection, catalogue: Catalogue, place: AgreementPeriod
    ) -> RecountTarget:
        """What is to be counted; from now on what is stored is held against it."""
        target = await self._targets.of(catalogue, place)
        while not await closing_queue.register(connection, target):
            # Its contracts changed since the work was begun.
            target = await self._targets.of(self._catalogue.current, place)
        return target

    async def _refused(
        self,
        connection: Connection,
        catalogue: Catalogue,
        place: AgreementPeriod,
        error: Exception,
        requests: Sequence[int],
    ) -> Done:
        reason = await self._parked.park(connection, catalogue, place, error, requests)
        return Done("refused", reason)

    async def _report(self, connection: Connection, catalogue: Catalogue) -> None:
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
        if monotonic() - self._shown >= SHOW_EVERY_S:
            self._shown = monotonic()
            number = await closing_queue.open_periods(connection, catalogue)
            metrics.WINDOWS_OPEN.labels("evaluator").set(number)


def _buyer(catalogue: Catalogue, agreement: str) -> str:
    versions = catalogue.agreements.get(agreement)
    return catalogue.programmes[versions[-1].programme][-1].buyer if versions else ""


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
