"""Problem documents (RFC 9457): what is wrong with a request, as an exception and as an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from schemas.field_words import field_words
from services.shell.logs import correlation_id
from services.shell.metrics import METHODS

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


def too_large(reason: str) -> Problem:
    """The answer to a request that is too large; ``reason``: which part, and the limit."""
    fault = Fault("", reason, "send less at a time")
    return Problem(413, "too-large", "The request is too large.", faults=[fault])


def answer_with_problems(api: FastAPI) -> None:
    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [fault_of(each) for each in error.errors()]
        return Problem(
            422, "invalid-request", "The request does not fit its schema.", faults=faults
        ).response()

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # The framework names the methods of the first route of the address alone.
            headers["Allow"] = ", ".join(sorted(_methods_at(api, request.scope)))
        if error.status_code == 413:
            problem = too_large(str(error.detail))
            problem.headers.update(error.headers or {})
            return problem.response()
        code, title, remedy = _PLAIN.get(
            error.status_code, ("http-error", str(error.detail), "See /openapi.json.")
        )
        return Problem(error.status_code, code, title, remedy, headers=headers).response()

    api.add_exception_handler(Problem, problem)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, plain)


def _methods_at(api: FastAPI, scope: Scope) -> set[str]:
    """The methods that some route takes at the address of a request."""
    taken: set[str] = set()
    for method in METHODS:
        found = (route.matches({**scope, "method": method})[0] for route in api.router.routes)
        if Match.FULL in found:
            taken.add(method)
    return taken


_PLAIN = {
    400: (
        "not-json",
        "The body is not JSON as it is taken here.",
        "Send well-formed JSON in UTF-8, with Content-Type: application/json.",
    ),
    401: (
        "not-authenticated",
        "The request has no valid key.",
        "Send a key that is not revoked as 'Authorization: Bearer eb_...'.",
    ),
    403: ("not-allowed", "This key may not do this.", "Use a key of a role that may."),
    404: (
        "not-found",
        "There is no such address.",
        "Check its spelling; /openapi.json lists all addresses.",
    ),
    405: (
        "method-not-allowed",
        "This address does not take that method.",
        "/openapi.json lists the methods of each address.",
    ),
    415: (
        "unsupported-media-type",
        "The body's media type is not understood.",
        "Send application/json.",
    ),
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
    if kind in ("model_attributes_type", "model_type") and not path:
        remedy = "send a JSON object, with Content-Type: application/json"
        return Fault(pointer, "the body is not a JSON object", remedy, within)
    reason, remedy = field_words(error, "correct it; its schema is in /openapi.json")
    return Fault(pointer, reason, remedy, within)


NUL_REFUSAL = ("it holds the character U+0000 (%00), which no name has", "leave the character out")
