"""One world: servers, processes and what disturbs them, from a plan, until all is done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

from services.shell.log_reader import log_reader
from services.shell.outbox import declare
from services.shell.settings import Settings
from services.shell.steps import Dense
from services.shell.taken_over import compare, take_over
from tests.simulation.broker import Broker, Entry, Group, Member
from tests.simulation.database import Database
from tests.simulation.disturbing import SESSION_SECONDS, Disturber
from tests.simulation.loop import PROCESS, NoEnd, Process, SimulatedLoop, end_quietly
from tests.simulation.oracle import Oracle
from tests.simulation.plan import LAST, Plan
from tests.simulation.postgres import Connection, Pool
from tests.simulation.worker import Runtime, WorkerPlan

INPUT, OUTPUT = "numbers", "sums"
STALL, STALL_ALONE = 20, 60
"""Seconds until a watchdog ends its worker. Of a worker alone: longer than its servers are away,
so that it is a fault where it comes to that."""
SECONDS_OF_NEGLECT = 15.0
DEADLINE = LAST + 240.0
"""Seconds of the simulated clock by which all must be done."""


class World:
    """The servers, the processes, and the trace of all that happened."""

    def __init__(self, plan: Plan, at_once: Collection[str] = ()) -> None:
        """``at_once``: see `Database.at_once`."""
        self.plan = plan
        self.chance = Random(f"world {plan.seed}")
        self.loop = SimulatedLoop(Random(f"order {plan.seed}"))
        self.loop.world = self
        self.trace: list[tuple[float, str, str, Any]] = []
        self.database, self.broker = Database(), Broker(self.loop)
        self.oracle = Oracle(self)
        self.database.committed = self.oracle.committing
        self.database.at_once |= {*at_once}
        self.connections: list[Connection] = []
        self.processes: list[tuple[Process, WorkerPlan]] = []
        self.exits: list[tuple[str, str]] = []
        self.database_away = False
        self.faults: list[str] = []
        self.recovered = True
        """False between a restore and the command that recovers."""
        self._started = 0
        self.until = dict.fromkeys(("broker", "cut", "slow", "skip"), 0.0)
        self.clock = 1_000_000.0
        self._backup: Any = None
        self._ended: list[Process] = []
        common = {
            "kafka": "simulated:1",
            "postgres": "",
            "stall": STALL_ALONE if plan.alone else STALL,
        }
        self.adders = WorkerPlan(Settings("adder", **common), INPUT, OUTPUT, Dense.BY_OFFSET)
        self.settlers = WorkerPlan(Settings("settler", **common), OUTPUT, None, Dense.BY_SEQUENCE)
        self._relay = replace(self.adders, settings=Settings("relay", **common), reads=False)

    # What the clients ask for

    def note(self, process: Process, what: str, more: Any) -> None:
        """Add a line to the trace."""
        if not self.loop.finished:
            self.trace.append((self.loop.time(), process.name, what, more))

    def delay(self) -> float:
        """How long a way takes."""
        usual = self.chance.uniform(0.0005, 0.004)
        if self.loop.time() < self.until["slow"] and self.chance.random() < 0.3:
            return usual * 400
        return usual

    def now(self) -> float:
        """The clock of the database server."""
        return self.clock + self.loop.time()

    async def reach(self, process: Process) -> None:
        """Nothing that a process does once it has ended goes out."""
        if process.dead:
            await self.loop.create_future()

    def cuts(self) -> bool:
        return self.loop.time() < self.until["cut"] and self.chance.random() < 0.1

    def skips(self) -> bool:
        return self.loop.time() < self.until["skip"] and self.chance.random() < 0.1

    async def ask_broker(self, what: str, do: Callable[..., Any], *args: Any) -> Any:
        """Have the broker do something, once it is there; what was sent is done in any case."""
        process = self.current()
        await self.reach(process)
        answer = self.loop.create_future()

        def arrived() -> None:
            if self.loop.time() < self.until["broker"]:
                away = self.until["broker"] - self.loop.time()
                self.loop.at_server(away + self.delay(), arrived)
                return
            try:
                found = do(*args)
            except Exception as error:
                found = error
            self.trace.append((self.loop.time(), process.name, what, type(found).__name__))
            self.loop.at_server(self.delay(), heard, found)

        def heard(found: Any) -> None:
            if not answer.done():
                answer.set_result(found)

        self.loop.at_server(self.delay(), arrived)
        found = await answer
        if isinstance(found, Exception):
            raise found
        return found

    def current(self) -> Process:
        """The process whose code runs now."""
        return PROCESS.get(self.loop.servers)

    def group(self, plan: WorkerPlan) -> Group:
        """The consumer group of a kind of worker."""
        name = plan.settings.app
        if name not in self.broker.groups:
            places = [place for place in self.broker.logs if place[0] == plan.topic]
            self.broker.groups[name] = Group(
                places, self.tell, lambda members: self.chance.randrange(members)
            )
        return self.broker.groups[name]

    def join(self, plan: WorkerPlan, member: Member, answer: Any) -> None:
        """A member's request has arrived; its sender may be no more by then."""
        self.group(plan).join(member, answer)
        if member.process.dead or member.process.paused:
            self.loop.at_server(SESSION_SECONDS, self.silent, member.process, plan, member)

    def tell(self, member: Member) -> None:
        """With its next heartbeat a member hears that it must join anew."""
        outdated = member.outdated
        self.loop.at_server(
            self.chance.uniform(0, 1), lambda: outdated.done() or outdated.set_result(None)
        )

    # The life of a process

    def start(self, plan: WorkerPlan) -> None:
        """Start a worker."""
        self._started += 1
        process = Process(f"{plan.settings.service} {self._started}", self.loop)
        self.processes.append((process, plan))
        process.context.run(self._run, process, plan)

    def _run(self, process: Process, plan: WorkerPlan) -> None:
        runtime = Runtime(self, process, plan)
        process.runtime = runtime  # type: ignore[attr-defined]
        process.spawn(self._watched(process, runtime))

    async def _watched(self, process: Process, runtime: Runtime) -> None:
        try:
            await runtime.run()
        except Exception as error:
            self.left(process, "raised", {"error": repr(error)})

    def left(self, process: Process, event: str, fields: Any) -> None:
        """A process ended itself: its supervisor starts it again."""
        if process.dead:
            return
        fields = {name: _in_order(each) for name, each in fields.items()}
        self.exits.append((event, str(fields)))
        self.crash(process, f"left: {event} {fields}")

    def crash(self, process: Process, why: str) -> None:
        """A process is no more; another takes its place a little later."""
        self.note(process, "ended", why)
        plan = next(plan for each, plan in self.processes if each is process)
        self._end(process, plan)
        self.loop.at_server(self.chance.uniform(0.1, 3), self._again, plan)

    def _again(self, plan: WorkerPlan) -> None:
        if self.recovered:
            self.start(plan)

    def _end(self, process: Process, plan: WorkerPlan) -> None:
        process.kill()
        self.processes.remove((process, plan))
        self._ended.append(process)
        for connection in self.of(process):
            self.loop.at_server(self.delay() * 10, self.database.leave, connection.session)
        member = process.runtime.member  # type: ignore[attr-defined]
        self.loop.at_server(SESSION_SECONDS, self.silent, process, plan, member)

    def of(self, process: Process) -> list[Connection]:
        """The connections of a process."""
        return [each for each in self.connections if each._process is process]

    def dies_at(self, name: str) -> bool:
        """Whether the process that comes to a named point dies there."""
        return (
            self.loop.time() < LAST
            and self.plan.crash_points > 0
            and self.chance.random() < self.plan.crash_points
        )

    def silent(self, process: Process, plan: WorkerPlan, member: Member) -> None:
        """A member whose session may be over."""
        if process.paused or process.dead:
            self.note(process, "silent", "its session is over")
            self.group(plan).expire(member)

    # A restore

    def _keep_backup(self) -> None:
        self._backup = self.database.snapshot()

    def _restore(self) -> None:
        """Stop everything, put the backup in place; what was sent before has arrived by then."""
        self.note(self.loop.servers, "disturbance", "restore")
        self.recovered = False
        for process, plan in list(self.processes):
            self._end(process, plan)
        self.loop.at_server(45.0, self._put_back)

    def _put_back(self) -> None:
        for connection in self.connections:
            self.database.leave(connection.session)
        self.database.restore(self._backup)
        self.database_away = False
        self.oracle.restored()
        if self.plan.forgotten:
            self.start(self._relay)
            self.loop.at_server(SECONDS_OF_NEGLECT, self._look_at_relay)
        else:
            self._begin_recovery()

    def _look_at_relay(self) -> None:
        """Where the relay has refused to go on, what was forgotten is done."""
        refused = any("OutboxBroken" in fields for _, fields in self.exits)
        for process, plan in list(self.processes):
            self._end(process, plan)
        if refused:
            self.loop.at_server(SECONDS_OF_NEGLECT, self._begin_recovery)
        else:
            self.recovered = True
            self._start_all()

    def _begin_recovery(self) -> None:
        operator = Process("recover", self.loop)
        self._ended.append(operator)
        operator.spawn(self._recover())

    async def _recover(self) -> None:
        """What `earnback recover` does with the outbox; then all is started again."""
        pool = Pool(self)
        async with log_reader("simulated:1") as reader, pool.acquire() as connection:
            states = await compare(connection, reader, [OUTPUT])
            taken = await take_over(connection, states, [OUTPUT])
        self.note(self.current(), "recovered", taken)
        self.recovered = True
        self._start_all()

    # From the beginning to the end

    def _start_all(self) -> None:
        for _ in range(self.plan.adders):
            self.start(self.adders)
        for _ in range(self.plan.settlers):
            self.start(self.settlers)

    async def _prepare(self) -> None:
        async with Pool(self).acquire() as connection:
            await declare(connection, OUTPUT, self.plan.outputs)
        self._start_all()

    def _send(self, number: int) -> None:
        partition = number % self.plan.inputs
        entry = Entry(b"k%d" % (number % 5), b"%d" % (number + 1))
        self.broker.append((INPUT, partition), entry)

    def run(self) -> list[str]:
        """Let the world go on until all is done. What is wrong with it, in words; nothing: all is
        well."""
        plan, loop = self.plan, self.loop
        self.broker.create(INPUT, plan.inputs)
        self.broker.create(OUTPUT, plan.outputs)
        for number in range(plan.records):
            loop.at_server(self.chance.uniform(0, LAST), self._send, number)
        disturber = Disturber(self)
        for each in plan.disturbances:
            loop.at_server(each.at, disturber.disturb, each)
        if plan.restore is not None:
            loop.at_server(self.chance.uniform(1.0, plan.restore), self._keep_backup)
            loop.at_server(plan.restore, self._restore)
        loop.at_server(1.0, self._look)
        loop.servers.spawn(self._prepare())
        try:
            loop.run()
        except NoEnd as error:
            self.faults.append(f"no end: {error}")
        self.faults += self.oracle.judge()
        end_quietly(loop, [*self._ended, *(process for process, _ in self.processes), loop.servers])
        return self.faults

    def _look(self) -> None:
        """Whether all is done, once a second."""
        late = self.loop.time() > DEADLINE
        if late:
            self.faults.append("not done in time")
        wrong = self.faults or self.oracle.exits()
        if late or wrong or (self.loop.time() > LAST and self.oracle.all_done()):
            self.loop.finished = True
        else:
            self.loop.at_server(1.0, self._look)

    def outcome(self) -> Any:
        """What has come of the input: what was published of each, and what it adds up to.

        The order between partitions of the input is no part of it.
        """
        published = sorted(
            (number, dict(entry.headers)["event_id"], entry.key, entry.value)
            for number, records in self.oracle.records()
            for _, entry in records
        )
        return published, self.database.tables["simulated_total"]

    def told(self) -> str:
        """The trace as text."""
        return "\n".join(
            f"{at:9.4f} {name:12} {what:22} {more}" for at, name, what, more in self.trace
        )

    def digest(self) -> str:
        """What tells two traces apart."""
        return sha256(self.told().encode()).hexdigest()


def _in_order(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def run(plan: Plan, at_once: Collection[str] = ()) -> World:
    """Run a plan; `World.faults` says what is wrong. Inside of `substituted()`."""
    world = World(plan, at_once)
    world.run()
    return world
