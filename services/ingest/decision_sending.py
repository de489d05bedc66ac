"""Decisions that two have agreed on: taken by ingest itself, however they were agreed to.

What is asked for and the agreement to it are in the database. So nothing is lost where a process
ends: the event is published again, and counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from services.catalogue import four_eyes
from services.catalogue.audit import Author
from services.catalogue.four_eyes import RequestRow
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest.admission import Admission
from services.ingest.agreed_log import AgreedLog
from services.ingest.event_validator import ANYBODY
from services.ingest.fast_validator import FastValidator
from services.ingest.rejection import EventRejection
from services.shell.logs import log
from services.shell.postgres import Pool

AT_ONCE = 100
"""So many are looked up together."""


class DecisionSending:
    """Publishes each decision once it is agreed to, and then writes down that it was."""

    def __init__(
        self,
        agreed: AgreedLog,
        admission: Admission,
        pool: Callable[[], Pool],
        *,
        every: float = 1.0,
    ) -> None:
        """``pool``: gives it once it is open."""
        self._agreed, self._admission = agreed, admission
        self._pool, self._every = pool, every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look again and again, until `stop`."""
        self._task = asyncio.create_task(self._poll(self._pool()), name="decision-sending")

    async def stop(self) -> None:
        """Look no more. What was published and not written down is published again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _poll(self, pool: Pool) -> None:
        while True:
            try:
                while await self._look(pool) == AT_ONCE:
                    pass
            except Exception as error:  # the next look tries again
                log(__name__).warning("decisions_wait", error=repr(error))
            await asyncio.sleep(self._every)

    async def _look(self, pool: Pool) -> int:
        """Take what is agreed to and not taken; how many were taken."""
        taken = 0
        rows = await four_eyes.unsent_decisions(pool, AT_ONCE)
        if rows:
            await self._agreed.look()
        for row in rows:
            await self._take(pool, row)
            taken += 1
        return taken

    async def _take(self, pool: Pool, row: RequestRow) -> None:
        raw, role = str(row["content"]).encode(), row["role"]
        sender = ANYBODY if role == "admin" else Sender(row["key_party"], role)

        def check(fast: FastValidator, event: bytes, now: int) -> Row | EventRejection:
            return fast.admit(event, sender, now)

        by = None
        if row["key_prefix"] is not None:
            by = Author(row["key_prefix"], row["key_party"], role, row["person"])
        (outcome,) = await self._admission.admit([raw], check, sender, by)
        source, event_id = (quote(str(each), safe="") for each in (outcome.source, outcome.id))
        # Also where it is refused by now, such as too late: the verdict there says why.
        await four_eyes.decision_sent(pool, row["request_id"], f"/v1/events/{source}/{event_id}")
        log(__name__).info("decision_taken", request=str(row["request_id"]), status=outcome.status)
