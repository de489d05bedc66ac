"""How far each source has come, as the evaluator last wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from services.shell.postgres import Pool


class SourceProgress:
    """The latest event time accepted per source, in microseconds since 1970 UTC; polled.

    It may be behind by the poll and by what the evaluator has not applied: ingest reports what it
    can, and the evaluator has the last word.
    """

    def __init__(self, *, every: float = 1.0) -> None:
        self._every = every
        self._latest: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.failure: str | None = None

    @property
    def latest(self) -> Mapping[str, int]:
        """Always the same mapping; its values grow."""
        return self._latest

    async def start(self, pool: Pool) -> None:
        """Read once, then keep current until `stop`."""
        await self._read(pool)
        self._task = asyncio.create_task(self._poll(pool), name="source-progress")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _read(self, pool: Pool) -> None:
        rows = await pool.fetch(
            "select source, max(latest_us) as latest_us from source_latest group by source"
        )
        self._latest.update((row["source"], row["latest_us"]) for row in rows)

    async def _poll(self, pool: Pool) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._read(pool)
                self.failure = None
            except Exception as error:  # the next poll tries again
                self.failure = repr(error)
