"""Ingest, asked over HTTP: an event of a party, sent with the key of whoever asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from services.settlement.service_client import ServiceClient
from services.shell.http.problems import Problem


class IngestClient(ServiceClient):
    """Ingest's part of the settlement API."""

    setting = "EARNBACK_INGEST"

    async def submit(self, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Send an event, with the headers that say who sends it. Returns once it is kept.

        An event of the same id that is kept already is an earlier attempt of the same request,
        which could not say so. Raises Problem: 503 where ingest is away, its own problem otherwise.
        """
        try:
            await self._ask(
                "POST",
                "/v1/events",
                content=msgspec.json.encode(event),
                headers={**headers, "content-type": "application/cloudevents+json"},
            )
        except Problem as problem:
            if problem.status != HTTPStatus.CONFLICT:
                raise

    def _away(self, why: str) -> Problem:
        return Problem(
            503,
            "ingest-away",
            "The answer cannot be sent.",
            f"It is an event that ingest takes, but {why}. Try again in a moment.",
            headers={"Retry-After": "5"},
        )
