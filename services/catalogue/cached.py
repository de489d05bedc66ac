"""A copy of the catalogue that a process keeps current."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.catalogue.revision import revision
from services.catalogue.snapshot import EMPTY, Catalogue
from services.catalogue.store import load
from services.shell.postgres import Pool
from services.shell.shared_look import SharedLook

LOOK_SECONDS = 2.0


class CatalogueCopy:
    """A process's copy of the catalogue. `current` is never older than the poll allows, and after
    `refresh` as new as the database was when it was called.

    When the database is away the last copy stays in use: versions never change, so what it says
    remains true; only what was added since is missing.
    """

    def __init__(self, pool: Pool | None = None, *, every: float = 1.0) -> None:
        self._pool = pool
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._current = EMPTY
        self._ask = SharedLook(self._refresh)
        self.failure: str | None = None

    @property
    def current(self) -> Catalogue:
        """The newest snapshot; its revision is -1 before the first load."""
        return self._current

    @property
    def loaded(self) -> bool:
        """Whether there is a snapshot at all."""
        return self._current.revision >= 0

    async def refresh(self) -> None:
        """Load the catalogue if its revision has moved; an older snapshot never replaces a newer
        one."""
        await self._ask()

    async def _refresh(self) -> None:
        assert self._pool is not None, "a pool is needed to read from"
        async with self._pool.acquire() as connection:
            if await revision(connection) != self._current.revision:
                self._current = await load(connection)

    async def look(self) -> None:
        """Refresh before something is refused that the newest catalogue may allow.

        Where the database does not say so in time, the copy stays as it is; the poll tells why.
        """
        with suppress(Exception):
            async with asyncio.timeout(LOOK_SECONDS):
                await self.refresh()

    async def start(self, pool: Pool | None = None) -> None:
        """Load once, then keep current until `stop`. The pool may be given here or before."""
        self._pool = pool or self._pool
        await self.refresh()
        self._task = asyncio.create_task(self._poll(), name="catalogue-poll")

    async def stop(self) -> None:
        """Stop polling; the last snapshot stays readable."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.refresh()
                self.failure = None
            except Exception as error:  # the next poll tries again; readiness shows the reason
                self.failure = repr(error)
