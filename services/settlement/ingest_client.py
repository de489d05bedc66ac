"""Ingest, asked over HTTP: an event of a party, sent with the key of whoever asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from services.settlement.evaluator_client import SECONDS, its_problem
from services.shell.http.problems import Problem
from services.shell.logs import correlation_id


class IngestClient:
    """A client for the life of the process."""

    def __init__(
        self, address: str | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = (
            httpx.AsyncClient(base_url=address, timeout=SECONDS, transport=transport)
            if address
            else None
        )

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()

    async def submit(self, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Send an event, with the headers that say who sends it. Returns once it is kept.

        An event of the same id that is kept already is an earlier attempt of the same request,
        which could not say so. Raises Problem: 503 where ingest is away, its own problem otherwise.
        """
        if self._client is None:
            raise _away("its address is not set: set EARNBACK_INGEST")
        try:
            answer = await self._client.post(
                "/v1/events",
                content=msgspec.json.encode(event),
                headers={
                    **headers,
                    "content-type": "application/cloudevents+json",
                    "x-correlation-id": correlation_id() or "none",
                },
            )
        except httpx.HTTPError as error:
            raise _away(f"it does not answer ({type(error).__name__})") from error
        if answer.status_code >= 500:
            raise _away(f"it answered {answer.status_code}")
        if answer.status_code == HTTPStatus.CONFLICT:
            return
        if answer.status_code >= 400:
            raise its_problem(answer)


def _away(why: str) -> Problem:
    return Problem(
        503,
        "ingest-away",
        "The answer cannot be sent.",
        f"It is an event that ingest takes, but {why}. Try again in a moment.",
        headers={"Retry-After": "5"},
    )
