"""The evaluator, asked over HTTP: open periods, verdicts, the events behind a figure, closes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from services.catalogue.audit import Author
from services.shell.http.problems import Fault, Problem
from services.shell.logs import correlation_id

SECONDS = 20.0


class EvaluatorClient:
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

    async def preview(
        self, agreement: str, period: str, accepting: tuple[str, str] | None = None
    ) -> bytes:
        """What a period is evaluated to by now, as JSON.

        ``accepting``: source and id of a proposal that is to be taken as accepted.
        """
        query = dict(zip(("accepting_source", "accepting_id"), accepting or (), strict=False))
        path = f"/v1/previews/{_part(agreement)}/{_part(period)}"
        answer = await self._ask("GET", path, params=query)
        return answer.content

    async def verdict(self, source: str, event_id: str) -> dict[str, Any]:
        """What became of an event that ingest accepted."""
        answer = await self._ask("GET", f"/v1/events/{_part(source)}/{_part(event_id)}")
        found: dict[str, Any] = answer.json()
        return found

    async def facts(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of event identities behind a figure: ``items`` with source and id, ``next``."""
        answer = await self._ask("GET", "/v1/facts", params=query)
        page: dict[str, Any] = answer.json()
        return page

    async def close_period(
        self, order: bytes, *, requested_by: str, by: Author, key: str
    ) -> dict[str, Any]:
        """Order a close. The key makes it safe to order again after a lost answer."""
        answer = await self._ask(
            "POST",
            "/v1/closes",
            content=order,
            headers={
                "content-type": "application/json",
                "idempotency-key": key,
                "x-requested-by": requested_by,
                "x-author": by.written(),
            },
        )
        ordered: dict[str, Any] = answer.json()
        return ordered

    async def close_order(self, number: int) -> dict[str, Any] | None:
        """What became of an order to close: ``agreement``, ``period``, ``outcome`` and more; None:
        there is no such order."""
        try:
            answer = await self._ask("GET", f"/v1/closes/{number}")
        except Problem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        order: dict[str, Any] = answer.json()
        return order

    async def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask; what the evaluator refuses is passed on as it says it.

        Raises Problem: 503 where the evaluator is away, its own problem otherwise.
        """
        if self._client is None:
            raise _away("its address is not set: set EARNBACK_EVALUATOR")
        headers = {**given.pop("headers", {}), "x-correlation-id": correlation_id() or "none"}
        try:
            answer = await self._client.request(method, path, headers=headers, **given)
        except httpx.HTTPError as error:
            raise _away(f"it does not answer ({type(error).__name__})") from error
        if answer.status_code >= 500:
            raise _away(f"it answered {answer.status_code}")
        if answer.status_code >= 400:
            raise its_problem(answer)
        return answer


def _part(text: str) -> str:
    return quote(text, safe="")


def _away(why: str) -> Problem:
    return Problem(
        503,
        "evaluator-away",
        "The evaluator cannot be asked.",
        f"Its view is needed for this answer, but {why}. Try again in a moment.",
        headers={"Retry-After": "5"},
    )


def its_problem(answer: httpx.Response) -> Problem:
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
