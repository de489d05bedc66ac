"""A few pieces of work at a time, so that a long one holds up none of the others for long.

One agreement has one piece of work at a time, in its order, and one buyer no more than its share of
the lanes. Who has waited longest is served first; what a person ordered comes before all else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from services.shell.postgres import Connection

LANES = 4
"""Pieces of work at a time; each has a connection of its own."""
OF_ONE_BUYER = 2
"""Of these for one buyer at most."""

Connect = Callable[[], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class LaneJob:
    """A piece of work on an agreement. ``ordered``: a person waits for it."""

    buyer: str
    agreement: str
    ordered: bool
    work: Callable[[Connection], Awaitable[object]]


class Lanes:
    """Runs jobs over connections of its own. To be closed by whoever opened it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._running: dict[asyncio.Task[None], LaneJob] = {}
        self._spare: list[Connection] = []
        self._served: dict[str, int] = {}
        self._turn = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being worked on."""
        return not self._running

    def offer(self, jobs: Iterable[LaneJob]) -> int:
        """Begin what may begin of these now, and forget the rest. Gives how many were begun.

        The first job of an agreement goes before its others.
        """
        busy = {job.agreement for job in self._running.values()}
        buyers = Counter(job.buyer for job in self._running.values())
        waiting: dict[str, LaneJob] = {}
        for job in jobs:
            if job.agreement not in busy:
                waiting.setdefault(job.agreement, job)
        begun = 0
        while len(self._running) < LANES:
            able = [job for job in waiting.values() if buyers[job.buyer] < OF_ONE_BUYER]
            if not able:
                break
            job = min(able, key=lambda one: self._order(one, buyers[one.buyer]))
            del waiting[job.agreement]
            buyers[job.buyer] += 1
            self._begin(job)
            begun += 1
        return begun

    def _order(self, job: LaneJob, running: int) -> tuple[bool, int, int, int, str]:
        served = self._served.get
        buyer, agreement = served(f"buyer {job.buyer}", 0), served(f"agreement {job.agreement}", 0)
        return not job.ordered, running, buyer, agreement, job.agreement

    def _begin(self, job: LaneJob) -> None:
        self._turn += 1
        self._served[f"buyer {job.buyer}"] = self._turn
        self._served[f"agreement {job.agreement}"] = self._turn
        task = asyncio.create_task(self._work(job), name=f"close-{job.agreement}")
        self._running[task] = job

    async def _work(self, job: LaneJob) -> None:
        connection = self._spare.pop() if self._spare else await self._connect()
        try:
            await job.work(connection)
        except BaseException:
            connection.terminate()
            raise
        self._spare.append(connection)

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until a piece of work has ended. Raises what it raised."""
        if not self._running:
            await asyncio.sleep(seconds)
            return
        done, _ = await asyncio.wait(
            self._running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            del self._running[task]
        for task in done:
            task.result()

    async def close(self) -> None:
        """Give up what is being worked on, and the connections."""
        running, self._running = list(self._running), {}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        while self._spare:
            self._spare.pop().terminate()
