"""Who has as many subjects of a metric as it may have, as the evaluator counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from services.catalogue.snapshot import SourceOwner
from services.core.events.facts import Row
from services.ingest.rejection import TOO_MANY_SUBJECTS, EventRejection
from services.shell.postgres import Pool

ASK_SECONDS = 2.0
RETRY_AFTER_S = 3600
"""There is room again when the operator makes some: to ask more often helps nobody."""


class SubjectQuota:
    """Polled. The evaluator has the last word: what it has not applied is not counted here."""

    def __init__(self, most: int, *, every: float = 1.0) -> None:
        """``most``: subjects of a party and metric that a level judges for each subject."""
        self._most, self._every = most, every
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._full: frozenset[tuple[str, int]] = frozenset()

    async def start(self, pool: Pool) -> None:
        """Read once, then keep current until `stop`."""
        self._pool = pool
        await self._read(pool)
        self._task = asyncio.create_task(self._poll(pool), name="subject-quota")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def beyond(
        self, rows: Sequence[Row], owners: Mapping[str, SourceOwner]
    ) -> dict[bytes, EventRejection]:
        """By identity, the rows that name a subject too many. ``owners``: of the sources.

        Where the database does not answer in time none does: the evaluator sets them aside.
        """
        asked = {
            row.identity: (owners[row.source].party, row.metric, row.subject, row)
            for row in rows
            if row.subject is not None
            and row.source in owners
            and (owners[row.source].party, row.metric) in self._full
        }
        if not asked:
            return {}
        known = await self._known({each[:3] for each in asked.values()})
        if known is None:
            return {}
        return {
            identity: self._refused(row)
            for identity, (*subject, row) in asked.items()
            if tuple(subject) not in known
        }

    async def _known(
        self, subjects: set[tuple[str, int, str]]
    ) -> frozenset[tuple[str, int, str]] | None:
        """Those of some subjects that were counted before; None where nobody says."""
        assert self._pool is not None, "something is full only once it was read"
        ordered = sorted(subjects)
        with suppress(Exception):
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._pool.fetch(
                    "select party, metric, subject from known_subject"
                    "  join unnest($1::text[], $2::int[], $3::text[])"
                    "       as asked(party, metric, subject) using (party, metric, subject)",
                    *([each[place] for each in ordered] for place in range(3)),
                )
            return frozenset((each["party"], each["metric"], each["subject"]) for each in found)
        return None

    def _refused(self, row: Row) -> EventRejection:
        return EventRejection(
            TOO_MANY_SUBJECTS,
            "/data/subject",
            f"its party has reported {self._most} subjects of this metric, as many as it may",
            "name one of them, or ask the operator for more (EARNBACK_MOST_SUBJECTS); GET "
            "/v1/usage of the settlement API shows how many there are",
            source=row.source,
            id=row.id,
        )

    async def _read(self, pool: Pool) -> None:
        rows = await pool.fetch(
            "select party, metric from subject_count where subjects >= $1", self._most
        )
        self._full = frozenset((row["party"], row["metric"]) for row in rows)

    async def _poll(self, pool: Pool) -> None:
        while True:
            await asyncio.sleep(self._every)
            with suppress(Exception):  # the next poll tries again
                await self._read(pool)
