"""The decisions that two have agreed on, read on from where they were read last."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.catalogue.four_eyes import agreed_after
from services.core.events.two_for_decisions import AgreedDecisions
from services.shell.postgres import Pool

LOOK_SECONDS = 2.0


class AgreedLog:
    """A process's copy of what was agreed to; polled. Events are judged by `decisions`."""

    def __init__(self, *, every: float = 1.0) -> None:
        self._every = every
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._through = 0
        self.decisions = AgreedDecisions()
        """Always the same object; it grows."""

    async def start(self, pool: Pool) -> None:
        """Read what there is, then keep current until `stop`."""
        self._pool = pool
        await self._read()
        self._task = asyncio.create_task(self._poll(), name="agreed-decisions")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Read on before something is refused that was agreed to a moment ago. Where the database
        does not answer in time, the copy stays as it is."""
        with suppress(Exception):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._read()

    async def _read(self) -> None:
        assert self._pool is not None, "it was started"
        async with self._reading, self._pool.acquire() as connection:
            self._through, agreed = await agreed_after(connection, self._through)
        self.decisions.add(agreed)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.look()
