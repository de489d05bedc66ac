"""What a request may cost before anyone knows who sends it: sizes, times, connections.

Three parts. `Limits` states the bounds. `RequestLimits`, a middleware, refuses by what the head of
a request says, asks for the key before a byte of the body is read, and counts the body as it
comes. `bounded` gives the server's protocol what uvicorn has no setting for: a time for head and
body to arrive and for the answer to be read, and a number of connections, in all and for each
client's address. Uvicorn alone keeps a connection for ever on which nothing, or half a head, came.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import h11
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.shell import metrics
from services.shell.http.problems import PROBLEM, Fault, Problem, too_large

Authenticate = Callable[[Request], Awaitable[None]]
"""Recognises who sends by the head of a request. Raises Problem 401."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server. Sizes in bytes, times in seconds."""

    body: int = 1024 * 1024
    head: int = 32 * 1024
    """Address and header fields together."""
    fields: int = 100
    head_seconds: float = 10.0
    """From the connection, or the answer before, to the end of the head."""
    body_seconds: float = 60.0
    """From the head to the end of the body."""
    write_seconds: float = 60.0
    """How long an answer may wait for its reader."""
    linger_seconds: float = 2.0
    """How long the rest of a refused body is passed over, so that its sender reads the answer."""
    connections: int = 500
    per_client: int = 200
    """Of one address. A proxy before the service is one client."""


class RequestLimits:
    """Middleware: what is too large is refused unread, and who has no key before the body."""

    def __init__(
        self, app: ASGIApp, limits: Limits, service: str, authenticate: Authenticate | None = None
    ) -> None:
        self._app, self._limits, self._service = app, limits, service
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = _refused_head(scope, self._limits) or await self._refused_sender(scope)
        length = _declared_length(scope)
        if refused is None and length is not None and length > self._limits.body:
            refused = too_large(_more_than(self._limits.body))
        if refused is None:
            await self._app(scope, _counted(receive, self._limits.body), send)
            return
        if refused.status in (413, 431):
            metrics.REFUSED_EARLY.labels(self._service, _WHY[refused.status]).inc()
        if length is None or length > self._limits.body:
            refused.headers["Connection"] = "close"
        await refused.response()(scope, receive, send)

    async def _refused_sender(self, scope: Scope) -> Problem | None:
        if self._authenticate is None or not scope["path"].startswith("/v1/"):
            return None
        try:
            await self._authenticate(Request(scope))
        except Problem as problem:
            return problem
        return None


_WHY = {400: "malformed", 408: "slow", 413: "body", 431: "head", 503: "connections"}


def _more_than(most: int) -> str:
    return f"the body has more than {most} bytes"


def _refused_head(scope: Scope, limits: Limits) -> Problem | None:
    fields = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"]) + sum(map(_size, fields))
    if len(fields) <= limits.fields and size <= limits.head:
        return None
    return _large_head(limits)


def _large_head(limits: Limits) -> Problem:
    reason = f"address and header fields have more than {limits.head} bytes, or more than"
    reason += f" {limits.fields} fields"
    remedy = "send fewer or shorter header fields, and a shorter address"
    return Problem(
        431,
        "head-too-large",
        "The head of the request is too large.",
        faults=[Fault("", reason, remedy, "header")],
    )


def _size(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1])


def _declared_length(scope: Scope) -> int | None:
    """Bytes of the body as the head declares them; None: it says nothing of a body that comes."""
    fields = dict(scope["headers"])
    if b"transfer-encoding" in fields:
        return None
    text = fields.get(b"content-length", b"0")
    return int(text) if text.isdigit() else None


def _counted(receive: Receive, most: int) -> Receive:
    """The body as it comes, given up as soon as it is too large."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            # Of this kind, because the framework answers others with 400 where it reads a body.
            raise HTTPException(413, _more_than(most), headers={"Connection": "close"})
        return message

    return counted


def bounded(limits: Limits, service: str) -> type[asyncio.Protocol]:
    """The protocol of a server within these limits, which its connections share."""

    shared = {"bounds": limits, "of_service": service, "clients": Counter()}
    return type("Bounded", (BoundedProtocol,), shared)


class BoundedProtocol(H11Protocol):
    """Uvicorn's protocol, which also ends what is slow, and what is one too many."""

    bounds: Limits
    of_service: str
    clients: Counter[str]
    """Open connections by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or answer 503 where there are too many."""
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._phase: tuple[str, Any] = ("", None)
        self._received = False
        self._ended = self._one_too_many()
        if self._ended:
            # Not counted and not waited for: whoever opens many must not shut others out so.
            metrics.REFUSED_EARLY.labels(self.of_service, _WHY[503]).inc()
            transport.write(_written(_too_many()))
            transport.close()
            return
        self.clients[self._address] += 1
        super().connection_made(_LingeringTransport(transport, self))  # type: ignore[arg-type]
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and its timers with it."""
        if self.transport is None:  # it was never taken
            return
        self.clients[self._address] -= 1
        if not self.clients[self._address]:
            del self.clients[self._address]
        super().connection_lost(exc)
        self._ended = True
        for timer in (self._timer, self._writing):
            if timer is not None:
                timer.cancel()

    def _one_too_many(self) -> bool:
        own = self.clients.get(self._address, 0)
        return own >= self.bounds.per_client or self.clients.total() >= self.bounds.connections

    def data_received(self, data: bytes) -> None:
        """Take what came; of a connection that is ended, nothing."""
        if self._ended:
            return
        self._received = True
        super().data_received(data)
        self._watch()

    def eof_received(self) -> None:
        """End what only lingers, once the client has read it."""
        if self._ended and self.transport is not None:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody needs."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Give the client a time to read what waits for it."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.bounds.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read it."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()

    def shutdown(self) -> None:
        """End at once what only lingers."""
        if self._ended:
            self.transport.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of every other refusal."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            self._refuse(_large_head(self.bounds))
        else:
            self._refuse(
                Problem(400, "not-http", "The request is no HTTP.", "Send one of HTTP/1.1.")
            )

    def end(self, seconds: float) -> None:
        """Take nothing more, and be gone after so many seconds at the latest."""
        self._ended = True
        self._arm(seconds, self.transport.abort)

    def unread(self) -> bool:
        """Whether the client may be in the middle of a request."""
        theirs = self.conn.their_state
        return theirs in (h11.SEND_BODY, h11.ERROR) or (theirs is h11.IDLE and self._received)

    def _watch(self) -> None:
        """Set the time for what the client owes now: a head, the rest of a body, or nothing."""
        if self._ended:
            return
        theirs = self.conn.their_state
        kind = "body" if theirs is h11.SEND_BODY else "head" if theirs is h11.IDLE else ""
        phase = (kind, self.cycle)
        if phase == self._phase:
            return
        self._phase, self._received = phase, False
        if kind:
            bounds = self.bounds
            seconds = bounds.head_seconds if kind == "head" else bounds.body_seconds
            self._arm(seconds, self._too_slow)
        elif self._timer is not None:
            self._timer.cancel()

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, then)

    def _too_slow(self) -> None:
        """The client had its time. One that sent nothing, or has its answer, needs none."""
        kind, cycle = self._phase
        answered = cycle is not None and cycle.response_started
        if (kind == "head" and self._received) or (kind == "body" and not answered):
            title = "The request did not come in time."
            remedy = "Send it again; over a slow line, send less at a time."
            self._refuse(Problem(408, "too-slow", title, remedy))
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer beside the application, which is told that the client is gone."""
        metrics.REFUSED_EARLY.labels(self.of_service, _WHY[problem.status]).inc()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_written(problem))
        self.transport.close()


def _too_many() -> Problem:
    return Problem(
        503,
        "too-many-connections",
        "There are too many connections.",
        "Send the request again in a moment, and over fewer connections at once.",
        headers={"Retry-After": "5"},
    )


def _written(problem: Problem) -> bytes:
    """A whole answer, for which no request need have been read."""
    trace = uuid4().hex
    body = json.dumps(problem.document() | {"trace_id": trace}).encode()
    fields = {
        "Content-Type": PROBLEM,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "X-Correlation-Id": trace,
        **problem.headers,
    }
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _LingeringTransport:
    """A transport whose `close` lets a client that is still sending read its answer.

    Closed with bytes unread, the system resets the connection, and the client loses the answer
    that is on its way. So the writing half is closed first; what still comes is passed over.
    """

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self._transport, self._protocol = transport, protocol
        self._closing = False

    def close(self) -> None:
        """Close, at once where the request has come to its end."""
        if self.is_closing():
            return
        self._closing = True
        bounds = self._protocol.bounds
        if self._protocol.unread() and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._protocol.end(bounds.linger_seconds)
        else:
            self._transport.close()
            self._protocol.end(bounds.write_seconds)

    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
