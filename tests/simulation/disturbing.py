"""What disturbs a world, as its plan says."""

from __future__ import annotations

from typing import Any

import asyncpg

from tests.simulation.broker import Member
from tests.simulation.loop import Process
from tests.simulation.plan import Disturbance
from tests.simulation.postgres import Connection, gone
from tests.simulation.worker import WorkerPlan

SESSION_SECONDS = 6.0
"""After so long without a heartbeat a member is none any more."""
IDLE_SECONDS = 15.0
"""After so long without a statement Postgres ends a transaction."""


class Disturber:
    """Does to a world what is to happen to it."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def disturb(self, each: Disturbance) -> None:
        """Have one thing happen now."""
        self._world.note(self._world.loop.servers, "disturbance", f"{each.kind} {each.seconds}")
        until = self._world.loop.time() + each.seconds
        held = [process for process, _ in self._world.processes if not process.paused]
        if each.kind == "kill" and held:
            self._world.crash(self._world.chance.choice(held), "killed")
        elif each.kind == "pause" and held:
            self._pause(self._world.chance.choice(held), each.seconds)
        elif each.kind == "join" and self._world.recovered:
            self._world.start(self._world.chance.choice((self._world.adders, self._world.settlers)))
        elif each.kind == "rebalance":
            for group in self._world.broker.groups.values():
                group.rebalance()
        elif each.kind == "database away":
            self._restart_database(min(each.seconds, 5.0))
        elif each.kind == "clock jump":
            self._world.clock += self._world.chance.choice((-8.0, 8.0, 3600.0))
        else:
            name = {"cut connections": "cut", "broker away": "broker"}.get(each.kind, each.kind)
            if name in self._world.until:
                self._world.until[name] = max(self._world.until[name], until)

    def _pause(self, process: Process, seconds: float) -> None:
        process.pause()
        for connection in self._world.of(process):
            self._world.loop.at_server(IDLE_SECONDS, self._idle, process, connection)
        plan = next(plan for each, plan in self._world.processes if each is process)
        member = process.runtime.member  # type: ignore[attr-defined]
        self._world.loop.at_server(SESSION_SECONDS, self._world.silent, process, plan, member)
        self._world.loop.at_server(seconds, self._resume, process, plan, member)

    def _idle(self, process: Process, connection: Connection) -> None:
        if process.paused and connection.session.begun:
            self._world.note(process, "idle", "the server ends its transaction")
            connection.break_off(asyncpg.IdleInTransactionSessionTimeoutError("idle too long"))

    def _resume(self, process: Process, plan: WorkerPlan, member: Member) -> None:
        process.resume()
        if member not in self._world.group(plan).members and not process.dead:
            self._world.tell(member)

    def _restart_database(self, seconds: float) -> None:
        self._world.database_away = True
        for connection in self._world.connections:
            if not connection.closed:
                connection.break_off(gone())
        self._world.connections.clear()
        self._world.loop.at_server(seconds, self._database_is_back)

    def _database_is_back(self) -> None:
        self._world.database_away = False
