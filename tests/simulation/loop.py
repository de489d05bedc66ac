"""An event loop whose clock is simulated and in which the seed decides which process goes on next.

Each simulated process keeps its own order, as an event loop does; between processes any order may
be. A process that is killed never runs again, one that is paused runs later, and both only between
two awaits of the code.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

MOST_STEPS = 400_000
"""A world that takes more has come to no end."""


class ProcessEnded(BaseException):
    """Raised where a process ends itself, in place of `os._exit`: nothing after it counts."""


class NoEnd(Exception):
    """Nothing is left to be done, or too much has been, and the world is not where it should be."""


class Process:
    """One simulated process, or the servers together: what it has to do, in order."""

    def __init__(self, name: str, loop: SimulatedLoop) -> None:
        self.name, self._loop = name, loop
        self.ready: deque[asyncio.Handle] = deque()
        self.paused = self.dead = self.queued = False
        self.context = copy_context()
        self.context.run(PROCESS.set, self)
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin work as this process."""
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self._loop, context=self.context.copy())
        self.tasks.append(task)
        return task

    def kill(self) -> None:
        """End it at once: whatever it was about to do is never done."""
        self.dead = True
        self.ready.clear()
        self._loop.discard(self)

    def pause(self) -> None:
        """Stop it without its knowledge."""
        self.paused = True
        self._loop.discard(self)

    def resume(self) -> None:
        """Let it go on with what has come meanwhile."""
        self.paused = False
        if self.ready and not self.dead:
            self._loop.add(self)


PROCESS: ContextVar[Process] = ContextVar("process")


class SimulatedLoop(asyncio.AbstractEventLoop):
    """What asyncio needs of a loop to run tasks, futures, locks and timeouts."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance.random
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = self.steps = 0
        self.finished = False
        self._runnable: list[Process] = []
        """Processes that have something to do, in an order that no hash decides."""
        self.servers = Process("servers", self)
        self.world: Any = None
        """The world that runs on this loop, for what stands in for its clients."""

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle))
        return handle

    def at_server(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call something later that no process' end or pause keeps from happening."""
        self.call_later(delay, callback, *args, context=self.servers.context)

    def add(self, process: Process) -> None:
        """Count a process among those that have something to do."""
        if not process.queued:
            process.queued = True
            self._runnable.append(process)

    def discard(self, process: Process) -> None:
        """Do not count it any more."""
        if process.queued:
            process.queued = False
            self._runnable.remove(process)

    def _put(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(PROCESS, self.servers)  # type: ignore[attr-defined]
        if not process.dead:
            process.ready.append(handle)
            if not (process.queued or process.paused):
                self.add(process)

    def run(self) -> None:
        """Run until `finished`. Raises NoEnd."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        asyncio._set_running_loop(self)
        try:
            while not self.finished:
                self._run_one()
        finally:
            asyncio._set_running_loop(before)

    def _run_one(self) -> None:
        self.steps += 1
        runnable = self._runnable
        while not runnable:
            if not self._timers or self.steps > MOST_STEPS:
                raise NoEnd(f"after {self.steps} steps, with {len(self._timers)} timers")
            self._wake()
        number = int(self._chance() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[number]
        handle = process.ready.popleft()
        if not process.ready:
            process.queued = False
            del runnable[number]
        if not handle._cancelled:  # type: ignore[attr-defined]
            handle._run()  # type: ignore[attr-defined]

    def _wake(self) -> None:
        timers = self._timers
        self._now = now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:  # type: ignore[attr-defined]
                self._put(handle)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        PROCESS.get(self.servers).tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: Any) -> None:
        """Tasks of processes that were killed are never looked at again."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time has come."""


def end_quietly(loop: SimulatedLoop, processes: list[Process]) -> None:
    """Close what was never finished, so that nothing of a world runs when it is over."""
    for process in processes:
        process.kill()
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        for process in processes:
            process.context.run(_close, process)
    finally:
        asyncio._set_running_loop(before)


def _close(process: Process) -> None:
    while process.tasks:
        task = process.tasks.pop()  # closing one may begin another, to be closed in turn
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        work: Any = task.get_coro()
        while not task.done() and work.cr_frame is not None:
            try:
                work.close()
            except (RuntimeError, ProcessEnded):
                continue  # it awaits while it is closed, or ends its process
