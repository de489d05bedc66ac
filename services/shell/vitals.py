"""What a worker cannot work without, looked at every few seconds for `/readyz`.

A lost server is seen within ten seconds, its return as soon. Nothing here ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from aiokafka.client import AIOKafkaClient

from services.shell.broker import for_aiokafka
from services.shell.metrics import Health
from services.shell.postgres import Pool
from services.shell.settings import Settings

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 3.0
REBALANCE_SECONDS = 5.0
"""For so long a worker may own no partition while they are handed out anew."""


class Vitals:
    """Looks at database, broker and partitions.

    ``owned``: how many partitions are held; None for a process that is to hold none.
    """

    def __init__(
        self, settings: Settings, health: Health, pool: Pool, owned: Callable[[], int] | None
    ) -> None:
        self._settings, self._health, self._pool, self._owned = settings, health, pool, owned
        self._client: AIOKafkaClient | None = None
        self._owned_at = monotonic()

    async def run(self) -> None:
        """Look for as long as the worker lives."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._close()

    async def look(self) -> None:
        """Look once, at all at the same time."""
        await asyncio.gather(
            self._ask("postgres", "the database does not answer", self._database),
            self._ask("broker", "the broker does not answer", self._broker),
        )
        self.look_at_partitions(monotonic())

    def look_at_partitions(self, now: float) -> None:
        """Say whether a partition is owned; one may be missing for the time of a rebalance."""
        if self._owned is None or self._owned():
            self._owned_at = now
            self._health.ready("partitions")
        elif now - self._owned_at >= REBALANCE_SECONDS:
            self._health.not_ready(
                "partitions", "no partition is owned: there are no more than other processes own"
            )

    async def _ask(self, part: str, what: str, answer: Callable[[], Awaitable[Any]]) -> None:
        try:
            await asyncio.wait_for(answer(), ANSWER_SECONDS)
        except Exception as error:
            self._health.not_ready(part, f"{what}: {error or type(error).__name__}")
        else:
            self._health.ready(part)

    async def _database(self) -> None:
        async with self._pool.acquire() as connection:
            await connection.fetchval("select 1")

    async def _broker(self) -> None:
        """Ask for the cluster, over a connection that is kept while it holds."""
        client = self._client
        try:
            if client is None:
                client = AIOKafkaClient(
                    **for_aiokafka(self._settings.kafka, self._settings.security),
                    client_id=f"{self._settings.app}-vitals",
                )
                await client.bootstrap()
                self._client = client
            elif not await client.force_metadata_update():
                raise ConnectionError("no node of the cluster answers")
        except BaseException:
            self._client = None
            if client is not None:
                with suppress(Exception):
                    await client.close()
            raise

    async def _close(self) -> None:
        if self._client is not None:
            with suppress(Exception):
                await self._client.close()
