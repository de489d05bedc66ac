"""Puts ingest together: what is opened, in which order, and what its end means."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

from services.catalogue.cached import CatalogueCopy
from services.catalogue.snapshot import Catalogue
from services.ingest.api import lifespan_of, make_ingest_api
from services.ingest.intake import Intake
from services.ingest.publisher import Publisher
from services.shell import logs
from services.shell.http import run_api
from services.shell.logs import leave, log
from services.shell.postgres import Pool, attempts, open_pool
from services.shell.settings import BadSettings, Settings

PARTS = ("http", "intake")


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
    opened = Opened(settings)
    publisher = Publisher(settings.kafka, name=settings.app)
    order: list[Any] = [opened, publisher]
    if "intake" in parts:
        order.append(IntakeThread(settings, lambda: opened.catalogue.current))
    api = make_ingest_api(
        settings,
        lifespan=lifespan_of(*order),
        catalogue=opened.catalogue,
        publisher=publisher,
        accepts="http" in parts,
    )
    # Rows are many, short-lived and in no cycles: looking through them for some is a waste.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    run_api(api, settings)


class Opened:
    """The pool and the catalogue over it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self.catalogue = CatalogueCopy()

    async def start(self) -> None:
        """Wait for the database, and load the catalogue."""
        async for attempt in attempts("load the catalogue"):
            with attempt:
                self._pool = await open_pool(
                    self._settings.postgres, name=self._settings.app, size=2
                )
                await self.catalogue.start(self._pool)
                attempt.done()

    async def stop(self) -> None:
        """Close both."""
        await self.catalogue.stop()
        if self._pool is not None:
            await self._pool.close()


class IntakeThread:
    """The intake's life beside the event loop."""

    def __init__(self, settings: Settings, catalogue: Callable[[], Catalogue]) -> None:
        self._intake = Intake(
            settings.kafka,
            group=f"{settings.app}-intake",
            catalogue=catalogue,
            session=settings.session_timeout,
        )
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    async def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    async def stop(self) -> None:
        """Read no more, and wait until what was read is acknowledged and committed."""
        self._intake.stop()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._intake.run()
        except Exception as error:
            leave("intake_failed", error=repr(error))
        log(__name__).info("intake_stopped")
