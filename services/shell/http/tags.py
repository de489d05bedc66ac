"""Entity tags of answers, so that what the asker has already is not sent again."""

from __future__ import annotations

import hashlib

from fastapi import Request, Response


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
