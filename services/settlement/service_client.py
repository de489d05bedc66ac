"""Another service, asked over HTTP: where it is away, and what it refuses."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import httpx

from services.shell.http.problems import Fault, Problem
from services.shell.logs import correlation_id

SECONDS = 20.0
"""How long a question may take."""
ORDER_SECONDS = 10.0
"""How long an order may take. The transaction that keeps its answer waits meanwhile, and Postgres
ends one that waits longer than `services.shell.postgres.IDLE`. An order whose answer came too late
is sent again under its key."""


class ServiceClient(ABC):
    """A client for the life of the process. ``setting``: the variable that names its address."""

    setting: ClassVar[str]

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

    @abstractmethod
    def _away(self, why: str) -> Problem:
        """The problem 503 where the service does not answer."""

    async def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask; what the service refuses is passed on as it says it.

        Raises Problem: 503 where the service is away, its own problem otherwise.
        """
        if self._client is None:
            raise self._away(f"its address is not set: set {self.setting}")
        headers = {**given.pop("headers", {}), "x-correlation-id": correlation_id() or "none"}
        try:
            async with asyncio.timeout(SECONDS if method == "GET" else ORDER_SECONDS):
                answer = await self._client.request(method, path, headers=headers, **given)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._away(f"it does not answer ({type(error).__name__})") from error
        if answer.status_code >= 500:
            raise self._away(f"it answered {answer.status_code}")
        if answer.status_code >= 400:
            raise _its_problem(answer)
        return answer


def _its_problem(answer: httpx.Response) -> Problem:
    """What another service refused, as it says it."""
    try:
        document = answer.json()
        return Problem(
            answer.status_code,
            str(document["code"]),
            str(document["title"]),
            str(document.get("detail", "")),
            faults=[
                Fault(each["pointer"], each["reason"], each["remedy"], each["in"])
                for each in document.get("errors", ())
            ],
        )
    except (ValueError, KeyError, TypeError):
        return Problem(answer.status_code, "evaluator-refused", "The evaluator refused.")
