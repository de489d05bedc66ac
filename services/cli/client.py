"""Talks to a running earnback over its HTTP APIs, as any program of a user would."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from services.cli.terminal import complain

BATCH = 500
ATTEMPTS = 8
PATIENCE_SECONDS = 60.0


class RequestRefused(ValueError):
    """The service said no. The text is its problem document in words.

    ``status``: that of its answer; None where there was none.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class AskedFor(ValueError):
    """What was ordered became a request: its programme asks for four-eyes."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"it is asked for, and another has to agree: request {request_id}. Somebody else with "
            f"another key: earnback request agree {request_id} REASON"
        )


class AskedForByCommand(ValueError):
    """What a command would have done became requests; it does it once another has agreed."""

    def __init__(self, requests: Sequence[str]) -> None:
        listed = ", ".join(requests)
        super().__init__(
            f"nothing is done yet: it is asked for, and another has to agree to {listed}. Somebody "
            f"else with a key: earnback request agree {requests[0]} REASON; then give this command "
            "again"
        )


class Client:
    """One user's access: their key, and the two addresses."""

    def __init__(
        self, *, ingest: str, settlement: str, key: str, person: str | None = None
    ) -> None:
        headers = {b"authorization": f"Bearer {key}".encode()}
        if person is not None:
            headers[b"on-behalf-of"] = person.encode()
        self._ingest = httpx.Client(base_url=ingest, headers=headers, timeout=30)
        self._settlement = httpx.Client(base_url=settlement, headers=headers, timeout=30)

    def close(self) -> None:
        """Give the connections back."""
        self._ingest.close()
        self._settlement.close()

    def submit(self, events: Sequence[bytes]) -> Iterator[list[dict[str, Any]]]:
        """Send events in batches, in order; the results of each batch, one per event.

        Sent as lines: one that is no JSON is refused alone, with a result of its own. What is not
        acknowledged is sent again: an event's identity makes that safe.
        """
        for first in range(0, len(events), BATCH):
            # A line break in JSON is only ever space between its parts.
            lines = (b" ".join(event.splitlines()) for event in events[first : first + BATCH])
            answer = self._send(
                self._ingest,
                "POST",
                "/v1/events",
                content=b"\n".join(lines),
                headers={"content-type": "application/x-ndjson"},
            )
            yield answer.json()["results"]

    def get(self, path: str, **query: str | int) -> Any:
        """What stands at a path of the settlement API. Raises RequestRefused."""
        return self._send(self._settlement, "GET", path, params=query).json()

    def document(self, agreement: str, period: str) -> bytes:
        """The canonical bytes of a period's latest statement."""
        return self.bytes_at(f"/v1/statements/{quote(agreement)}/{quote(period)}/document")

    def bytes_at(self, path: str, **query: str | int) -> bytes:
        """The bytes at a path of the settlement API, as they came. Raises RequestRefused."""
        return self._send(self._settlement, "GET", path, params=query).content

    def items(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page. What cannot be shown is told on stderr."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            for one in page.get("unread", ()):
                complain(f"{one['what']} is not shown: {one['reason']}")
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    def post(self, path: str, body: Any) -> Any:
        """Order something, once, however often the answer is lost on the way."""
        headers = {"idempotency-key": str(uuid4()), "content-type": "application/json"}
        return self._send(
            self._settlement, "POST", path, content=msgspec.json.encode(body), headers=headers
        ).json()

    def close_period(
        self, agreement: str, period: str, reason: str | None = None
    ) -> dict[str, Any]:
        """Order a close and wait until it is done."""
        wanted = {"agreement": agreement, "period": period, "reason": reason}
        order: dict[str, Any] = self.post("/v1/closes", wanted)
        until = time.monotonic() + PATIENCE_SECONDS
        if "request_id" in order:
            raise AskedFor(order["request_id"])
        while order["outcome"] is None:
            if time.monotonic() > until:
                raise RequestRefused(
                    f"the close of {agreement} {period} is ordered (order {order['order_id']}) but "
                    "not done yet; look again with: earnback statements"
                )
            time.sleep(0.1)
            order = self.get(f"/v1/closes/{order['order_id']}")
        return order

    def _send(self, client: httpx.Client, method: str, path: str, **given: Any) -> httpx.Response:
        for attempt in range(ATTEMPTS):
            try:
                answer = client.request(method, path, **given)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS - 1:
                    raise RequestRefused(
                        f"{client.base_url} does not answer ({error}); is 'earnback up' running?"
                    ) from None
            else:
                if answer.status_code not in (409, 429, 503) or "retry-after" not in answer.headers:
                    return _checked(answer)
                if attempt == ATTEMPTS - 1:
                    return _checked(answer)
            time.sleep(min(0.2 * 2**attempt, 5.0))
        raise AssertionError("the last attempt answers or raises")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code < 400:
        return answer
    try:
        problem = answer.json()
        lines = [f"{problem['title']} {problem.get('detail', '')}".strip()]
        for fault in problem.get("errors", ()):
            lines.append(f"  {fault.get('pointer', '')}: {fault['reason']}; {fault['remedy']}")
    except (ValueError, KeyError, TypeError):
        lines = [f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}"]
    raise RequestRefused("\n".join(lines), answer.status_code)
