"""What every HTTP API of ours shares: problem documents, health, correlation, tags, pages, safe
repeats."""

import asyncio
import base64
import binascii
import hashlib
import json
import re
import signal
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import parse_qsl
from uuid import uuid4

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shell import logs, metrics
from services.shell.broker import CHECK_BROKER
from services.shell.faults import faultpoint
from services.shell.logs import correlated, correlation_id, leave, log
from services.shell.postgres import Connection, Pool
from services.shell.settings import Settings

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request."""

    pointer: str
    """JSON pointer into the body ("/items/0/value"); outside the body, the parameter's name."""
    reason: str
    remedy: str
    within: str = "body"

    def document(self) -> dict[str, str]:
        """Its entry under ``errors`` in a problem document."""
        return {
            "in": self.within,
            "pointer": self.pointer,
            "reason": self.reason,
            "remedy": self.remedy,
        }


class Problem(Exception):
    """An answer that says what is wrong, as RFC 9457 has it. Raise it anywhere under a request."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {title} {detail}")
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.faults, self.headers, self.more = faults, dict(headers or {}), more

    def document(self) -> dict[str, Any]:
        """Return the problem document."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.faults:
            document["errors"] = [each.document() for each in self.faults]
        document.update(self.more)
        document["trace_id"] = correlation_id()
        return document

    def response(self) -> Response:
        """Return the answer that carries the document."""
        return Response(
            json.dumps(self.document(), default=str),
            status_code=self.status,
            media_type=PROBLEM,
            headers=self.headers,
        )


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Probe = Callable[[], Awaitable[None]]


def make_api(
    settings: Settings,
    *,
    title: str,
    version: str,
    lifespan: Lifespan,
    probes: Mapping[str, Probe] | None = None,
) -> FastAPI:
    """Make an API with what all of ours share. Routes are the service's.

    `lifespan` opens and closes what the service holds. `probes` are asked by /readyz, by name: one
    that raises means that the service cannot do its work, and its message says why.
    """
    health = metrics.Health()

    @asynccontextmanager
    async def whole_life(api: FastAPI) -> AsyncIterator[None]:
        async with lifespan(api):
            health.ready("start")
            yield
            health.not_ready("stop", "is stopping")

    # The framework's own pages load their scripts from the net; the document itself is enough.
    api = FastAPI(
        title=title,
        version=version,
        lifespan=whole_life,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(_known_parameters)],
    )
    api.state.health = health
    api.add_middleware(_RequestMiddleware, service=settings.service)
    _answer_with_problems(api)
    _add_own_pages(api, health, dict(probes or {}))
    return api


def run_api(api: FastAPI, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished within `settings.stop`
    seconds, and the process ends with exit 0."""
    logs.configure(settings.service, settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server stops in good order on these, then raises them again for whoever was there
        # before it; the default would report a death by signal.
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        uvicorn.run(
            api,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=settings.stop,
            server_header=False,
        )
    except SystemExit as ended:
        if ended.code:
            leave("api_not_started", remedy=CHECK_BROKER)
        raise


async def serve_beside(api: FastAPI, settings: Settings) -> None:
    """Serve next to a worker until cancelled: requests under way are finished first, as in
    `run_api`, and what the API holds is closed. The process's signals stay with the worker."""
    server = _Guest(
        uvicorn.Config(
            api,
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            # The worker's own stop, which waits for this, is cut short after `stop` seconds.
            timeout_graceful_shutdown=max(1, settings.stop // 2),
        )
    )
    serving = asyncio.ensure_future(server.serve())
    try:
        # Cancelled itself, the server would cut the API off in the middle and tell a traceback.
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


class _Guest(uvicorn.Server):
    """Leaves signals to the worker around it, which ends everything in its order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _add_own_pages(api: FastAPI, health: metrics.Health, probes: Mapping[str, Probe]) -> None:
    @api.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return Response("alive", media_type="text/plain")

    @api.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        missing = health.missing()
        for name, probe in probes.items():
            try:
                await probe()
            except Exception as error:
                missing[name] = str(error) or repr(error)
        if missing:
            raise Problem(503, "not-ready", "The service is not ready.", missing=missing)
        return Response("ready", media_type="text/plain")

    @api.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        media, body = metrics.render()
        return Response(body, media_type=media)


def _answer_with_problems(api: FastAPI) -> None:
    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [fault_of(each) for each in error.errors()]
        return Problem(
            422, "invalid-request", "The request does not fit its schema.", faults=faults
        ).response()

    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, title, remedy = _PLAIN.get(
            error.status_code, ("http-error", str(error.detail), "See /openapi.json.")
        )
        return Problem(error.status_code, code, title, remedy, headers=error.headers).response()

    api.add_exception_handler(Problem, problem)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, plain)


_PLAIN = {
    401: (
        "not-authenticated",
        "The request does not say who asks.",
        "Send a valid key as 'Authorization: Bearer eb_...'.",
    ),
    403: ("not-allowed", "Who asks may not do this.", "Use a key of a role that may."),
    404: (
        "not-found",
        "There is nothing at this address.",
        "Check its spelling; /openapi.json lists all addresses.",
    ),
    405: (
        "method-not-allowed",
        "This address does not take that method.",
        "/openapi.json lists the methods of each address.",
    ),
    413: ("too-large", "The request is too large.", "Send less at a time."),
    415: (
        "unsupported-media-type",
        "The body's media type is not understood.",
        "Send application/json.",
    ),
}

_WHOLE = "write a whole number, such as 1"
_REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or check its spelling",
    "model_attributes_type": "send a JSON object, with Content-Type: application/json",
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "bool_parsing": "write true or false",
    "string_type": "write it as a string, in quotes",
    "string_too_short": "write at least {min_length} character(s)",
    "string_too_long": "write at most {max_length} character(s)",
    "string_pattern_mismatch": "write it in the form {pattern}",
    "greater_than_equal": "give {ge} or more",
    "less_than_equal": "give {le} or less",
    "enum": "write {expected}",
    "literal_error": "write {expected}",
    "uuid_parsing": "write a UUID, such as 0b2f9f3e-8d1c-4c1e-9a53-5d0f6f0f4a11",
    "timezone_aware": "add the offset, such as Z or +01:00",
    "datetime_from_date_parsing": "write it as 2025-01-31T12:00:00Z",
    "datetime_parsing": "write it as 2025-01-31T12:00:00Z",
    "date_from_datetime_parsing": "write it as 2025-01-31",
    "date_parsing": "write it as 2025-01-31",
}


def fault_of(error: Mapping[str, Any]) -> Fault:
    """Turn one of pydantic's errors into a fault: where, why, and what to do."""
    kind, given = str(error["type"]), error.get("ctx") or {}
    within, *path = [str(part) for part in error["loc"]]
    if kind == "json_invalid":
        reason = f"the body is no JSON: {given.get('error', error['msg'])}, at character {path[-1]}"
        return Fault("", reason, "send well-formed JSON in UTF-8", within)
    if within == "body":
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    else:
        pointer = ".".join(path)
    reason = str(error["msg"]).removeprefix("Value error, ")
    if kind in _REMEDIES:
        return Fault(pointer, reason, _REMEDIES[kind].format_map(given), within)
    # Our own checks say what is wrong and, behind a semicolon, what to do about it.
    why, _, remedy = reason.rpartition("; ")
    plain = "correct it; its schema is in /openapi.json"
    return Fault(pointer, why or reason, remedy if why else plain, within)


def _known_parameters(request: Request) -> None:
    """Refuse a parameter that the route does not have: left aside, a misspelt filter would show
    more than was asked for. The pages for probes and scrapers take whatever these send."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    known = _query_names(route.dependant)
    faults = []
    for name in sorted(request.query_params.keys()):
        if name not in known:
            among = f"use one of: {', '.join(sorted(known))}" if known else "leave it out"
            faults.append(Fault(name, "there is no such parameter here", among, "query"))
        elif len(request.query_params.getlist(name)) > 1:
            faults.append(Fault(name, "it is given more than once", "give it once", "query"))
    if faults:
        raise Problem(
            400, "bad-parameter", "A parameter of the address is not usable.", faults=faults
        )


def _query_names(wanted: Dependant) -> set[str]:
    """The parameters that a route and what it depends on take from the query."""
    return {each.alias for each in wanted.query_params}.union(
        *(_query_names(each) for each in wanted.dependencies)
    )


_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class _RequestMiddleware:
    """Around every request: a correlation id, the time it took, and an answer to what nobody
    caught."""

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
            except Exception:
                log(__name__).exception("request_failed", path=scope["path"])
                if status:
                    raise
                await _unexpected(scope["method"]).response()(scope, receive, send_marked)
        route = getattr(scope.get("route"), "path", "unmatched")
        metrics.REQUEST_SECONDS.labels(self._service, scope["method"], route, status).observe(
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


_NUL = ("it holds the character U+0000 (%00), which no name has", "leave the character out")


def _nul_in_address(scope: Scope) -> Problem | None:
    """The refusal of an address with U+0000 in it: no text of ours has it, nor can it be stored."""
    faults = [
        Fault(name.replace("\0", "%00"), *_NUL, "query")
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
        if "\0" in name + value
    ]
    if "\0" in scope["path"]:
        faults.insert(0, Fault("", *_NUL, "path"))
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


def etag(body: bytes) -> str:
    """Return a strong tag of an answer's exact bytes, quotes included."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def tagged(request: Request, body: bytes, media_type: str = "application/json") -> Response:
    """Answer with the body and its tag, or 304 when the asker has it already."""
    tag = etag(body)
    known = [each.strip().removeprefix("W/") for each in _header(request, "if-none-match")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type=media_type, headers={"ETag": tag})


def _header(request: Request, name: str) -> list[str]:
    value = request.headers.get(name, "")
    return value.split(",") if value else []


def encode_cursor(scope: str, *keys: str | int) -> str:
    """Return an opaque place in a list: the sort keys of the last row given out.

    `scope` names the list and its filters, so that a cursor of one list is refused by another.
    """
    text = json.dumps([1, scope, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(scope: str, cursor: str, kinds: Sequence[type[str] | type[int]]) -> list[Any]:
    """Return the keys in a cursor, one of each kind.

    Raises:
        Problem: 400 when it is damaged or of another list.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, of, *keys = json.loads(text)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        _refuse_cursor()
    fits = len(keys) == len(kinds) and all(
        type(key) is kind and _storable(key) for key, kind in zip(keys, kinds, strict=True)
    )
    if version != 1 or of != scope or not fits:
        _refuse_cursor()
    return list(keys)


def _storable(key: str | int) -> bool:
    """Whether a key may be one that was given out: the database takes no other."""
    return "\0" not in key if isinstance(key, str) else -(2**63) <= key < 2**63


def _refuse_cursor() -> NoReturn:
    raise Problem(
        400,
        "bad-cursor",
        "The cursor does not belong to this list.",
        faults=[
            Fault(
                "cursor",
                "damaged, or given out for another list or filter",
                "leave it out to begin again, or use the `next` of the last page unchanged",
                "query",
            )
        ],
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as bytes, so that it can be given again exactly."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


async def once(
    pool: Pool,
    request: Request,
    principal: str,
    effect: Callable[[Connection], Awaitable[Answer]],
) -> Response:
    """Run the effect of a POST once per Idempotency-Key, however often it is sent.

    The effect gets a connection inside a transaction; the answer is stored in the same transaction
    and given again, byte for byte, for every repeat. Keys belong to the principal and never
    expire. When the effect raises, nothing is stored and the key may be used again.

    Raises:
        Problem: 400 without a usable key, 409 while the first is under way, 422 for another
        request with that key.
    """
    key = _key(request)
    route = f"{request.method} {request.url.path}"
    body = await request.body()
    _refuse_nul(body)
    digest = hashlib.sha256(json.dumps([route, request.url.query]).encode() + b"\n" + body).digest()
    async with pool.acquire() as connection, connection.transaction():
        # The lock goes with the transaction: a process that dies leaves nothing "under way" behind.
        if not await connection.fetchval(
            "select pg_try_advisory_xact_lock($1)", _lock_number(principal, key)
        ):
            raise _under_way()
        stored = await connection.fetchrow(
            "select body_hash, status, headers, response from idempotency"
            " where principal = $1 and key = $2",
            principal,
            key,
        )
        if stored is not None:
            return _again(stored, digest)
        answer = await effect(connection)
        await connection.execute(
            "insert into idempotency (principal, key, route, body_hash, status, headers, response)"
            " values ($1, $2, $3, $4, $5, $6, $7)",
            principal,
            key,
            route,
            digest,
            answer.status,
            json.dumps(dict(answer.headers)),
            answer.body,
        )
        faultpoint("http.before-commit")
    faultpoint("http.after-commit")
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


def _refuse_nul(body: bytes) -> None:
    """Refuse a JSON body with U+0000 in a text: the database cannot store it."""
    if b"\\u0000" not in body:
        return
    faults = [Fault(pointer, *_NUL) for pointer in _with_nul(json.loads(body), "")]
    if faults:
        raise Problem(422, "invalid-request", "The request does not fit its schema.", faults=faults)


def _with_nul(value: Any, pointer: str) -> Iterator[str]:
    """Where U+0000 is, as JSON pointers."""
    if isinstance(value, str) and "\0" in value:
        yield pointer
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in parts:
        yield from _with_nul(each, f"{pointer}/{name}")


def _under_way() -> Problem:
    return Problem(
        409,
        "under-way",
        "A request with this Idempotency-Key is under way.",
        "Wait a moment, then repeat it unchanged.",
        headers={"Retry-After": "1"},
    )


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "").strip()
    if key and len(key) <= 255 and key.isprintable():
        return key
    reason = "is missing" if not key else "is longer than 255 characters or not printable"
    raise Problem(
        400,
        "idempotency-key-needed",
        "Every POST needs an Idempotency-Key.",
        faults=[
            Fault(
                "Idempotency-Key",
                reason,
                "send a new random id per intended change, the same one on every retry",
                "header",
            )
        ],
    )


def _lock_number(principal: str, key: str) -> int:
    """Return a 64-bit lock number. Two keys that share one only wait for each other's 409."""
    text = json.dumps(["idempotency", principal, key]).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big", signed=True)


def _again(stored: Any, digest: bytes) -> Response:
    if stored["body_hash"] != digest:
        raise Problem(
            422,
            "key-used-otherwise",
            "This Idempotency-Key was used for another request.",
            "Use a new key for a new intention.",
        )
    headers = {**json.loads(stored["headers"]), "Idempotency-Hit": "true"}
    return Response(stored["response"], status_code=stored["status"], headers=headers)
