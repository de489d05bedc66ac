"""Faust workers that start where Postgres says, and read committed records only.

Faust is kept for what it does well: the life of a process, group membership and a handler per
topic. Its acknowledgements and commits decide nothing. The hooks overridden here are private to
faust-streaming 0.15.3; tests hold their signatures, so that an upgrade which moves them fails
there and not in a night.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import faust
import mode
import uvloop
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from services.shell import logs, metrics
from services.shell.broker import CHECK_BROKER, Security
from services.shell.faults import faultpoint
from services.shell.logs import SOFTWARE_FAILURE, leave, log
from services.shell.outbox import OtherInstallation, check_topics
from services.shell.postgres import Pool, attempts, open_pool
from services.shell.settings import Settings
from services.shell.steps import Dense, Handler, InputLost, Prepare, Steps, leave_over
from services.shell.vitals import Vitals
from services.shell.watchdog import Watchdog

SCHEME = "pgkafka"
"""URL scheme of the transport whose offsets live in Postgres."""

MAX_RECORDS = 64
WITHIN = 0.05
"""A step takes up to MAX_RECORDS records, or what came within this many seconds."""


class CommittedThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """A consumer thread that never sees records of aborted transactions."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this in its exactly_once mode only, and offers no setting.
        assert hasattr(consumer, "_isolation_level"), "aiokafka keeps the isolation level elsewhere"
        consumer._isolation_level = "read_committed"
        return consumer


class Consumer(driver.Consumer):  # type: ignore[misc]
    """A consumer whose committed offsets are the ones in Postgres."""

    _turn = 0
    """Grows with every change of the assignment."""
    _claim_due = False

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let go of everything at once: the next owner may be claiming already."""
        self._turn, self._claim_due = self._turn + 1, False
        wires_of(self.app).release(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Remember that a claim is due; Faust asks for the offsets a little later."""
        self._turn, self._claim_due = self._turn + 1, True
        wires_of(self.app).assigned = set(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to the offsets in Postgres; after an assignment, claim the partitions first.

        Faust also calls this between losing an assignment and getting the next. Claiming then would
        shut out the new owner, so such a call only goes back to what is still held, which may be
        nothing.
        """
        try:
            async with wires_of(self.app).claiming:
                if self._claim_due:
                    await self._claim()
            return await self._go_to(wires_of(self.app).offsets())
        except IllegalStateError as error:
            # The assignment changed under the seek; the next one asks again.
            log(__name__).info("assignment_changed", error=str(error))
            return {}
        except Exception as error:
            leave_over(error, "claim_failed")

    async def _claim(self) -> None:
        turn, wires = self._turn, wires_of(self.app)
        await wires.claim(self, self.assignment())
        if self._turn == turn:
            self._claim_due = False
        else:
            # Assigned otherwise meanwhile: these claims may have come after their new owner's. Not
            # using them leaves that owner's next step refused, and its watchdog starts it again.
            wires.drop(wires.offsets())

    async def _go_to(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        here = self.assignment()
        wanted = {tp: offset for tp, offset in offsets.items() if tp in here}
        if wanted:
            faultpoint("seek.before")
            await self.seek_wait(wanted)
            faultpoint("seek.after")
        return wanted


class Transport(driver.Transport):  # type: ignore[misc]
    """The transport behind pgkafka:// addresses."""

    Consumer = Consumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"


class Wires(Service):  # type: ignore[misc]
    """What a worker holds besides Faust: the pool, the steps by topic, side tasks, the watchdog
    and the health server."""

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.health = metrics.Health()
        self.steps: dict[str, Steps] = {}
        self._pool: Pool | None = None
        self._beside: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self.publishes: Sequence[str] = ()
        """The topics of the outbox that this worker enqueues to or relays."""
        self.claiming = asyncio.Lock()
        """Faust may ask for the offsets twice at once; one claim is enough."""
        self.assigned: set[TP] = set()
        """What Kafka says is ours. What is assigned but not held is watched all the same."""
        self._watchdog = Watchdog(settings, self._watched, self.health)
        self._health_server: metrics.HealthServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pool(self) -> Pool:
        """The connection pool; there from the worker's start to its stop."""
        assert self._pool is not None, "the pool opens when the worker starts"
        return self._pool

    def beside(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run something next to the steps for the life of the worker. Its end or error ends the
        process."""
        self._beside.append((name, work))

    async def on_start(self) -> None:
        """Open the pool and the health server before Faust joins its group."""
        async for attempt in attempts("open the pool"):
            with attempt:
                self._pool = await open_pool(
                    self.settings.postgres,
                    name=self.settings.app,
                    idle=self.settings.idle_in_transaction,
                )
                attempt.done()
        await self._check()
        if self.settings.metrics_port:
            self._health_server = metrics.HealthServer(
                self.health, self.settings.http_host, self.settings.metrics_port
            )
            self._health_server.open()
        self._watchdog.start()
        if not self.steps:
            self.health.ready("start")
        vitals = Vitals(self.settings, self.health, self.pool, self._owned if self.steps else None)
        self._tasks = [asyncio.create_task(self._beat())]
        self._tasks.append(asyncio.create_task(self._guard("vitals", vitals.run), name="vitals"))
        for name, work in self._beside:
            self._tasks.append(asyncio.create_task(self._guard(name, work), name=name))

    async def _check(self) -> None:
        try:
            async with self.pool.acquire() as connection:
                await check_topics(connection, self.publishes)
        except OtherInstallation as error:
            leave("other_installation", reason=str(error))

    async def on_stop(self) -> None:
        """Close what on_start opened."""
        self._watchdog.stop()
        # Side tasks first: they may have something to give back, and need the pool for it.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._health_server is not None:
            self._health_server.close()
        if self._pool is not None:
            await self._pool.close()

    async def claim(self, consumer: Any, assigned: Iterable[TP]) -> None:
        """Claim what Kafka assigned, topic by topic."""
        ours = [tp for tp in assigned if tp.topic in self.steps]
        beginnings = await consumer.earliest_offsets(*ours) if ours else {}
        for steps in self.steps.values():
            first = {tp.partition: beginnings[tp] for tp in ours if tp.topic == steps.topic}
            await steps.claim(self.pool, first)
        # Asked for only now: until the claim, the former owner went on with what came meanwhile.
        ends = await consumer.highwaters(*ours) if ours else {}
        for tp, offset in self.offsets().items():
            if tp in ends:
                _check_reach(tp.topic, tp.partition, offset, beginnings[tp], ends[tp])
        self.health.ready("start")

    def release(self, revoked: Collection[TP]) -> None:
        """Stop applying these partitions."""
        self.assigned.difference_update(revoked)
        self.drop(revoked)

    def drop(self, held: Iterable[TP]) -> None:
        """Do not use the claims of these partitions. What of them is assigned is still watched."""
        for tp in held:
            if tp.topic in self.steps:
                self.steps[tp.topic].release([tp.partition])

    def offsets(self) -> dict[TP, int]:
        """Return the next offset of every partition held."""
        return {
            TP(topic, partition): held.next_offset
            for topic, steps in self.steps.items()
            for partition, held in steps.claims.items()
        }

    def _owned(self) -> int:
        return len(self.offsets())

    def _watched(self) -> dict[str, set[int]]:
        watched: dict[str, set[int]] = {topic: set() for topic in self.steps}
        for tp in tuple(self.assigned):
            if tp.topic in watched:
                watched[tp.topic].add(tp.partition)
        return watched

    async def _beat(self) -> None:
        while not self.should_stop:
            self.health.beat()
            await asyncio.sleep(1)

    async def _guard(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            leave_over(error, "side_task_failed", task=name)
        if not self.should_stop:
            leave("side_task_ended", task=name)


def _check_reach(topic: str, partition: int, offset: int, first: int, end: int) -> None:
    """Refuse to go on where the broker cannot give the next record.

    Left alone, the client would silently jump to the earliest record it has.
    """
    if offset < first:
        leave(
            "input_lost",
            topic=topic,
            partition=partition,
            expected=offset,
            first_available=first,
            remedy="retention removed what was not applied: restore it, and raise retention",
        )
    if offset > end:
        leave(
            "input_shorter_than_progress",
            topic=topic,
            partition=partition,
            expected=offset,
            end=end,
            remedy="the topic was made anew or lost its tail: check the cluster's address",
        )


def wires_of(app: Any) -> Wires:
    """Return the wires of an app made by make_app."""
    wires = app.wires
    assert isinstance(wires, Wires)
    return wires


class _App(faust.App):  # type: ignore[misc]
    """An app that makes no folders: they are for tables, of which a worker has none, and one that
    is killed would leave them behind."""

    def _create_directories(self) -> None:
        pass


def make_app(settings: Settings) -> Any:
    """Make a Faust app named after the settings, with every setting that the protocol needs.

    The app has a `wires` attribute; topics are added with `consume`, and `run_worker` runs it.
    """
    app = _App(
        settings.app,
        broker_credentials=_credentials(settings.security),
        broker=[f"{SCHEME}://{address}" for address in settings.kafka.split(",")],
        processing_guarantee="at_least_once",
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=128,
        stream_recovery_delay=0.0,
        consumer_max_fetch_size=4 * 1024 * 1024,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.heartbeat,
        broker_request_timeout=60,
        broker_client_id=settings.app,
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        worker_redirect_stdouts=False,
    )
    app.wires = Wires(settings)
    return app


def _credentials(security: Security) -> Any:
    """Faust passes these on to aiokafka, to its consumers and its producer alike."""
    if security.sasl:
        return faust.SASLCredentials(
            username=security.user,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=security.context(),
        )
    return faust.SSLCredentials(security.context()) if security.tls else None


def consume(
    app: Any,
    topic: str,
    handler: Handler,
    *,
    dense: Dense = Dense.BY_OFFSET,
    max_records: int = MAX_RECORDS,
    within: float = WITHIN,
    prepare: Prepare | None = None,
) -> Steps:
    """Have the worker apply a topic's records with the handler. One handler per topic."""
    wires = wires_of(app)
    assert topic not in wires.steps, "one handler per topic: two would share one acknowledgement"

    async def rewind(partition: int, offset: int) -> None:
        tp = TP(topic, partition)
        try:
            if tp in app.consumer.assignment():
                await app.consumer.seek_wait({tp: offset})
        except IllegalStateError as error:
            # Taken away under the seek; its next owner begins at the stored offset anyway.
            log(__name__).info("assignment_changed", error=str(error))

    steps = Steps(
        app=wires.settings.app,
        topic=topic,
        handler=handler,
        dense=dense,
        rewind=rewind,
        prepare=prepare,
    )
    wires.steps[topic] = steps

    async def agent(stream: Any) -> None:
        async for events in stream.take_events(max_records, within=within):
            await steps.take(wires.pool, events)

    channel = app.topic(topic, key_type=bytes, value_type=bytes, value_serializer="raw")
    app.agent(channel, concurrency=1, name=f"{wires.settings.app}.{topic}")(agent)
    return steps


def run_worker(app: Any) -> NoReturn:
    """Run the worker until SIGTERM or SIGINT (exit 0), or until it cannot go on (exit not 0)."""
    app.conf.web_enabled = False
    app.finalize()
    _run(_Worker, wires_of(app), app)


def run_beside(wires: Wires) -> NoReturn:
    """Run what is beside the steps in a process that has no steps: ends as `run_worker` does."""
    _run(_WorkerWithoutSteps, wires)


def _run(kind: Any, wires: Wires, *before: Any) -> NoReturn:
    """``kind``: of worker. ``before``: the services that it starts before the wires."""
    logs.configure(wires.settings.service, wires.settings.log_level)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = kind(
        *before,
        wires,
        loop=loop,
        quiet=True,
        override_logging=False,
        loglevel=wires.settings.log_level,
        redirect_stdouts=False,
    )
    worker.stop_within = wires.settings.stop
    # It would write terminal controls between the lines of JSON.
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        if ended.code:
            leave("worker_failed", remedy=CHECK_BROKER)
        raise
    raise AssertionError("the worker leaves by SystemExit")


class _StopsInTime(mode.Worker):  # type: ignore[misc]
    """A worker whose graceful stop has a time limit."""

    stop_within: float = 30.0

    def _flag_as_shutdown_by_signal(self) -> None:
        cut = threading.Timer(self.stop_within, _cut_short)
        cut.daemon = True
        cut.start()
        super()._flag_as_shutdown_by_signal()


class _Worker(_StopsInTime, faust.Worker):  # type: ignore[misc]
    pass


class _WorkerWithoutSteps(_StopsInTime):
    pass


def _cut_short() -> None:
    log(__name__).error("stop_took_too_long")
    os._exit(SOFTWARE_FAILURE)


__all__ = [
    "SCHEME",
    "Consumer",
    "Dense",
    "InputLost",
    "Transport",
    "Wires",
    "consume",
    "make_app",
    "run_beside",
    "run_worker",
    "wires_of",
]
