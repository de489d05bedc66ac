"""POST requests that run once for each Idempotency-Key, however often they are sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response

from services.shell.faults import faultpoint
from services.shell.http.problems import Fault, Problem
from services.shell.postgres import Connection, Pool


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
