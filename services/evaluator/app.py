"""The evaluator's process: a Faust worker on `measurements`, the closer, the relay and the API.

Where `EARNBACK_EVALUATOR_PARTS` says so, each of them in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import Any, NoReturn

from services.catalogue.cached import CatalogueCopy
from services.evaluator import gauges
from services.evaluator.api import EvaluatorApiState, evaluator_api
from services.evaluator.apply import Frames
from services.evaluator.closing import Closer
from services.evaluator.frame_lookup import FrameLookup
from services.evaluator.log_ends import LogEnds
from services.evaluator.settings import PARTS, Pace
from services.evaluator.topics import EvaluatorTopics
from services.shell.http.server import serve_beside
from services.shell.kafka import Wires, consume, make_app, run_beside, run_worker, wires_of
from services.shell.postgres import Connection, attempts, connect, open_pool
from services.shell.prefix import under
from services.shell.refusals import remove_old
from services.shell.relay import Relay
from services.shell.settings import Settings
from services.shell.steps import Dense

RETENTION_SECONDS = 3600.0
"""Between two looks for refused events that are kept no longer."""


class EvaluatorProcess:
    """Everything of one process, made before the worker starts and opened by it."""

    def __init__(
        self,
        settings: Settings,
        pace: Pace,
        topics: EvaluatorTopics | None = None,
        parts: Collection[str] = PARTS,
    ) -> None:
        """``parts``: of PARTS, what this process does."""
        self.settings, self.pace = settings, pace
        self.topics = topics or under(settings.prefix, EvaluatorTopics())
        self.frames = Frames(self.catalogue, self.topics, settings.service, settings.refusals)
        self._copy: CatalogueCopy | None = None
        self.app: Any = make_app(settings) if "apply" in parts else None
        self.wires = Wires(settings) if self.app is None else wires_of(self.app)
        if self.app is not None:
            consume(self.app, self.topics.measurements, self.frames, dense=Dense.BY_OFFSET)
        # What ingest refused as well: it only enqueues, and has no relay of its own.
        self.wires.publishes = (
            self.topics.evaluations,
            self.topics.quarantine,
            self.topics.refused,
        )
        self.lookup = FrameLookup(partial(self._dial, "lookup"), self.frames.partitions)
        self._arrange(parts)

    def _arrange(self, parts: Collection[str]) -> None:
        """What runs beside the steps. What is to be published may come from each part."""
        beside = self.wires.beside
        beside("catalogue", self._keep_catalogue)
        beside("lookup", self.lookup.run)
        beside("relay", self._relay)
        if "apply" in parts:
            beside("gauges", self._show)
            beside("retention", self._remove_old)
        if "close" in parts:
            beside("closer", self._close)
        if "answer" in parts and self.settings.http_port:
            beside("api", self._serve)

    def run(self) -> NoReturn:
        """Run until the process is told to stop, or cannot go on."""
        if self.app is None:
            run_beside(self.wires)
        run_worker(self.app)

    def catalogue(self) -> CatalogueCopy:
        """The process's copy of the catalogue; there once the worker has opened its pool."""
        if self._copy is None:
            self._copy = CatalogueCopy(self.wires.pool)
        return self._copy

    async def _keep_catalogue(self) -> None:
        async for attempt in attempts("load the catalogue"):
            with attempt:
                await self.catalogue().start()
                attempt.done()
        await asyncio.Event().wait()

    async def _dial(self, part: str) -> Connection:
        return await connect(self.settings.postgres, name=f"{self.settings.app}-{part}")

    async def _close(self) -> None:
        ends = LogEnds(self.settings, self.topics.measurements)

        closer = Closer(
            app=self.settings.app,
            catalogue=self.catalogue(),
            connect=partial(self._dial, "closer"),
            ends=ends,
            pace=self.pace,
            health=self.wires.health,
            topics=self.topics,
        )
        try:
            await closer.run()
        finally:
            await ends.close()

    async def _relay(self) -> None:
        await Relay(self.settings, self.wires.pool, self.wires.publishes).run()

    async def _remove_old(self) -> None:
        """Remove refused events that were kept for their time, a bounded number after the other."""
        while True:
            removed = 0
            async for attempt in attempts("remove old refusals"):
                with attempt:
                    async with self.wires.pool.acquire() as connection:
                        removed = await remove_old(connection, self.settings.refusals.days)
                    attempt.done()
            await asyncio.sleep(1.0 if removed else RETENTION_SECONDS)

    async def _show(self) -> None:
        while True:
            for number, held in list(self.frames.partitions.items()):
                gauges.IDENTITIES.labels(number).set(len(held.seen))
            await asyncio.sleep(5)

    async def _serve(self) -> None:
        """The API, over a pool of its own: nobody's questions keep the steps waiting."""
        ends = LogEnds(self.settings, self.topics.measurements)
        pool = await open_pool(self.settings.postgres, name=f"{self.settings.app}-api")
        parts = EvaluatorApiState(pool, self.catalogue(), ends, self.wires.health, self.lookup)
        try:
            await serve_beside(evaluator_api(self.settings, parts), self.settings)
        finally:
            await pool.close()
            await ends.close()
