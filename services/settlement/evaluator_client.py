"""The evaluator, asked over HTTP: open periods, verdicts, the events behind a figure, closes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from services.catalogue.audit import Author
from services.settlement.service_client import ServiceClient
from services.shell.http.problems import Problem


class EvaluatorClient(ServiceClient):
    """The evaluator's part of the settlement API."""

    setting = "EARNBACK_EVALUATOR"

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

    async def corrections(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of the corrections of events that may count for a period: ``items``, ``next``."""
        answer = await self._ask("GET", "/v1/corrections", params=query)
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

    def _away(self, why: str) -> Problem:
        return Problem(
            503,
            "evaluator-away",
            "The evaluator cannot be asked.",
            f"Its view is needed for this answer, but {why}. Try again in a moment.",
            headers={"Retry-After": "5"},
        )


def _part(text: str) -> str:
    return quote(text, safe="")
