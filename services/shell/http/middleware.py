"""Middleware: correlation id, latency, and the answer 500 for what nobody caught."""

from __future__ import annotations

import re
from time import monotonic
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shell import metrics
from services.shell.http.problems import NUL_REFUSAL, Fault, Problem
from services.shell.logs import correlated, log, stack_of

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_CLIENT_GONE = 499
"""No status of HTTP, and told to nobody: what the metric shows where the client went away."""
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestMiddleware:
    """Middleware: correlation id, latency, and a 500 answer to what nobody caught."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier, emitted = _identify(scope)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *emitted]
            await send(message)

        started = monotonic()
        with correlated(identifier):
            try:
                unusable = _nul_in_address(scope)
                answering = self._app if unusable is None else unusable.response()
                await answering(scope, receive, send_marked)
            except ClientDisconnect:
                status = status or _CLIENT_GONE
            except Exception as error:
                at = getattr(scope.get("route"), "path", "unmatched")
                log(__name__).error("request_failed", route=at, traceback=stack_of(error))
                if status:
                    raise
                await _unexpected(scope["method"]).response()(scope, receive, send_marked)
        route = getattr(scope.get("route"), "path", "unmatched")
        method = metrics.method_label(scope["method"])
        metrics.REQUEST_SECONDS.labels(self._service, method, route, status).observe(
            monotonic() - started
        )


def _unexpected(method: str) -> Problem:
    same = "" if method in ("GET", "HEAD") else " with the same Idempotency-Key"
    return Problem(
        500,
        "unexpected",
        "Something went wrong on our side.",
        f"Nothing was changed unless an answer said so. Repeat the request{same};"
        " if it fails again, report the trace_id.",
    )


def _nul_in_address(scope: Scope) -> Problem | None:
    """The refusal of an address with U+0000 in it: no text of ours has it, nor can it be stored."""
    faults = [
        Fault(name.replace("\0", "%00"), *NUL_REFUSAL, "query")
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
        if "\0" in name + value
    ]
    if "\0" in scope["path"]:
        faults.insert(0, Fault("", *NUL_REFUSAL, "path"))
    return (
        Problem(400, "bad-parameter", "The address is not usable.", faults=faults)
        if faults
        else None
    )


def _identify(scope: Scope) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Return the id of a request and the headers that tell it: the caller's own where it sent a
    usable one."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", ""))
    given = _CORRELATION.fullmatch(headers.get(b"x-correlation-id", ""))
    identifier = trace[1] if trace else given[0] if given else uuid4().hex
    emitted = [(b"x-correlation-id", identifier.encode())]
    if trace:
        span = uuid4().hex[:16]
        emitted.append((b"traceparent", f"00-{trace[1]}-{span}-{trace[3]}".encode()))
    return identifier, emitted
