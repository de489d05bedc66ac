"""Puts ingest together: what is opened, in which order, and what its end means."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException

from services.catalogue.audit import Author
from services.catalogue.cached import CatalogueCopy
from services.core.events.facts import Row
from services.ingest.accepted_lookup import accepted
from services.ingest.admission import Admission
from services.ingest.agreed_log import AgreedLog
from services.ingest.answer_senders import note
from services.ingest.api import lifespan_of, make_ingest_api
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.decision_sending import DecisionSending
from services.ingest.intake import Intake, IntakeFailed
from services.ingest.party_rate import EventRate
from services.ingest.progress import SourceProgress
from services.ingest.publisher import Publisher, Unavailable
from services.ingest.rejection_store import KeptRecords, RejectedRecord, keep
from services.ingest.subject_quota import SubjectQuota
from services.ingest.topics import IngestTopics
from services.shell import logs
from services.shell.http.server import run_api
from services.shell.logs import leave, log
from services.shell.outbox import OtherInstallation, check_topics
from services.shell.postgres import Pool, attempts, is_transient, open_pool
from services.shell.prefix import under
from services.shell.settings import BadSettings, Settings

PARTS = ("http", "intake")
ASK_SECONDS = 2.0
"""How long a refusal waits to be told that it is a repeat."""
KEEP_SECONDS = 5.0
"""How long a request, or a stop, waits for the database to keep what was refused."""


def parts_of(text: str) -> frozenset[str]:
    """Which parts to run. Raises BadSettings for anything but ``http`` and ``intake``."""
    parts = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not parts or parts - set(PARTS):
        raise BadSettings(f"EARNBACK_INGEST_PARTS={text!r}: give one or both of {', '.join(PARTS)}")
    return parts


def run(settings: Settings, parts: frozenset[str]) -> None:
    """Run until SIGTERM or SIGINT. A part that can't go on ends the process, exit 70.

    The HTTP server always runs: without the part ``http`` it refuses events, but still answers
    for health and metrics.
    """
    logs.configure(settings.service, settings.log_level)
    topics, loops = under(settings.prefix, IngestTopics()), LazyLoops()
    opened = Opened(settings, topics.refused)
    publisher = Publisher(
        settings.kafka,
        name=settings.app,
        topic=topics.measurements,
        security=settings.security,
    )
    admission = Admission(
        opened.catalogue,
        publisher,
        opened.keep,
        opened.sources.latest,
        opened.accepted,
        opened.agreed,
        opened.subjects,
        opened.note,
        loops,
    )
    decisions = DecisionSending(opened.agreed, admission, lambda: opened.pool)
    order: list[Any] = [opened, publisher, decisions]
    if "intake" in parts:
        order.append(IntakeThread(settings, opened, topics, loops))
    api = make_ingest_api(
        settings,
        lifespan=lifespan_of(*order),
        catalogue=opened.catalogue,
        publisher=publisher,
        admission=admission,
        events=opened.events,
        accepts="http" in parts,
    )
    # Rows are many, short-lived and in no cycles: looking through them for some is a waste.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    run_api(api, settings)


class Opened:
    """The pool, what is read over it again and again, and where refusals go."""

    def __init__(self, settings: Settings, refused: str) -> None:
        """``refused``: the topic to which what was refused is published."""
        self._settings, self._refused = settings, refused
        self._opened_pool: Pool | None = None
        self.catalogue = CatalogueCopy()
        self.sources = SourceProgress()
        self.agreed = AgreedLog()
        self.subjects = SubjectQuota(settings.refusals.subjects)
        self.events = EventRate(settings.party_events_per_second)

    @property
    def pool(self) -> Pool:
        """The pool, once all this is started."""
        assert self._opened_pool is not None
        return self._opened_pool

    async def start(self) -> None:
        """Wait for the database, and load the catalogue."""
        async for attempt in attempts("load the catalogue"):
            with attempt:
                self._opened_pool = await open_pool(
                    self._settings.postgres, name=self._settings.app, size=4
                )
                await self._check()
                await self.catalogue.start(self.pool)
                await self.sources.start(self.pool)
                await self.agreed.start(self.pool)
                await self.subjects.start(self.pool)
                attempt.done()

    async def _check(self) -> None:
        try:
            async with self.pool.acquire() as connection:
                await check_topics(connection, [self._refused])
        except OtherInstallation as error:
            leave("other_installation", reason=str(error))

    async def stop(self) -> None:
        """Close all of it."""
        await self.subjects.stop()
        await self.agreed.stop()
        await self.sources.stop()
        await self.catalogue.stop()
        if self._opened_pool is not None:
            await self._opened_pool.close()

    async def accepted(self, rows: Sequence[Row]) -> frozenset[bytes]:
        """Which of these count already; none where the database does not say so in time."""
        try:
            async with asyncio.timeout(ASK_SECONDS), self.pool.acquire() as connection:
                return await accepted(connection, rows, self.catalogue.current.metrics)
        except Exception as error:
            if not is_transient(error):
                raise
            log(__name__).warning("repeats_not_looked_up", rows=len(rows), error=repr(error))
            return frozenset()

    async def keep_from_topics(self, items: Sequence[RejectedRecord]) -> int:
        """`keep`, without what is word for word what was accepted: that is a repeat, and counts
        as it counted before. Gives how many of them were repeats."""
        doubtful = [item.refusal.row for item in items if item.refusal.row is not None]
        counting = await self.accepted(doubtful) if doubtful else frozenset()
        refused = [
            item
            for item in items
            if (row := item.refusal.row) is None or row.identity + row.payload not in counting
        ]
        await self.keep(refused)
        return len(items) - len(refused)

    async def keep(self, items: Sequence[RejectedRecord]) -> KeptRecords:
        """Keep refusals, trying again for a while. Raises Unavailable where that did not help."""
        kept = KeptRecords()
        try:
            async for attempt in attempts("keep refusals", give_up_after=KEEP_SECONDS):
                with attempt:
                    async with self.pool.acquire(timeout=KEEP_SECONDS) as connection:
                        kept = await keep(connection, items, self._settings.refusals, self._refused)
                    attempt.done()
        except Exception as error:
            if not is_transient(error):
                raise
            raise Unavailable(f"the database cannot store rejected events: {error!r}") from error
        return kept

    async def note(self, answers: Sequence[Row], by: Author) -> None:
        """Write down who sends answers. Raises Unavailable where the database does not take it."""
        try:
            async with asyncio.timeout(KEEP_SECONDS), self.pool.acquire() as connection:
                await note(connection, answers, by)
        except Exception as error:
            if not is_transient(error):
                raise
            raise Unavailable(f"the database cannot store who answers: {error!r}") from error


class IntakeThread:
    """The intake's life beside the event loop."""

    def __init__(
        self, settings: Settings, opened: Opened, topics: IngestTopics, loops: LazyLoops
    ) -> None:
        self._opened = opened
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._intake = Intake(
            settings.kafka,
            group=f"{settings.app}-intake",
            topics=topics,
            catalogue=lambda: opened.catalogue.current,
            latest=opened.sources.latest,
            agreed=opened.agreed.decisions,
            events=opened.events,
            keep=self._keep,
            loops=loops,
            session=(settings.session_timeout, settings.heartbeat),
            stall=settings.stall / 4,
            security=settings.security,
        )
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    async def start(self) -> None:
        """Begin to read."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Read no more, and wait until what was read is acknowledged and committed."""
        self._stopping = True
        self._intake.stop()
        await asyncio.to_thread(self._thread.join)

    def _keep(self, items: Sequence[RejectedRecord]) -> int:
        """Keep refusals, from the intake's thread. While the database is away reading waits, but
        for no longer than the process may live; what was read is read again then. Gives how many
        were repeats."""
        assert self._loop is not None
        while True:
            kept = asyncio.run_coroutine_threadsafe(
                self._opened.keep_from_topics(items), self._loop
            )
            try:
                return kept.result()
            except Unavailable as error:
                if self._stopping:
                    raise
                log(__name__).warning("intake_waits", refusals=len(items), error=str(error))

    def _run(self) -> None:
        try:
            self._intake.run()
        except (IntakeFailed, Unavailable, KafkaException) as error:
            leave("intake_failed", error=repr(error))
        except Exception:
            leave("intake_failed", over_what_was_sent=True)
        log(__name__).info("intake_stopped")
