"""JSON bodies, read once and strictly: in UTF-8, with each key once, without U+0000.

What reads them afterwards is not that strict: it takes UTF-16 and UTF-32, and of a key that is
there twice the last, where another reader, such as a proxy or an auditor, takes the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from schemas.strict_json import RepeatedKey, refuse_repeated_keys
from services.shell.http.problems import NUL_REFUSAL, Fault, Problem


class JsonRoute(APIRoute):
    """A route whose body, where it has one, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, after its body was looked at."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method in ("POST", "PUT", "PATCH"):
                check_json(await request.body())
            answer: Response = await handle(request)
            return answer

        return checked


def check_json(body: bytes) -> None:
    """Raise Problem 400 for bytes that are JSON in no usual way, 422 for a text with U+0000.

    What is no JSON at all is left to whoever reads it: that is refused there, with its place.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_json(f"it is not in UTF-8: byte {error.start} is not") from error
    if "\0" in text or text.startswith("\ufeff"):
        raise _no_json("it is in UTF-16 or UTF-32, or begins with a mark of the byte order")
    try:
        value = json.loads(text, object_pairs_hook=refuse_repeated_keys)
    except RepeatedKey as error:
        reason = f"the key '{error.key}' is there more than once in one object"
        raise _no_json(reason, "give each key once") from error
    except RecursionError as error:
        raise _no_json("it is nested too deeply") from error
    except json.JSONDecodeError:
        return
    except ValueError as error:  # a number of thousands of digits
        raise _no_json("a number in it is too long") from error
    if "\\u0000" in text:
        faults = [Fault(pointer, *NUL_REFUSAL) for pointer in _with_nul(value, "")]
        if faults:
            title = "The request does not fit its schema."
            raise Problem(422, "invalid-request", title, faults=faults)


def _no_json(reason: str, remedy: str = "send well-formed JSON in UTF-8") -> Problem:
    faults = [Fault("", reason, remedy)]
    return Problem(400, "not-json", "The body is not JSON as it is taken here.", faults=faults)


def _with_nul(value: Any, pointer: str) -> Iterator[str]:
    """Where U+0000 is, as JSON pointers."""
    if isinstance(value, str) and "\0" in value:
        yield pointer
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in parts:
        yield from _with_nul(each, f"{pointer}/{name}")
