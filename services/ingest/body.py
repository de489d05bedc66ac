"""From an HTTP request's body to the bytes of each event in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from services.shell.http.problems import Fault, Problem

MAX_BODY = 8 * 1024 * 1024
MAX_INFLATED = 16 * 1024 * 1024
MAX_ITEMS = 10_000

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
MEDIA_TYPES = (SINGLE, BATCH, JSON, *LINES)

_CHARSETS = ("utf-8", "utf8", "us-ascii")
_ENCODINGS = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def read(chunks: AsyncIterator[bytes], encoding: str | None) -> bytes:
    """Read a body and undo its encoding, within bounds. Raises Problem 400, 413 or 415."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_BODY:
            raise _too_large("", f"the body has more than {MAX_BODY} bytes")
        parts.append(chunk)
    return inflated(b"".join(parts), encoding)


def inflated(body: bytes, encoding: str | None) -> bytes:
    """Undo a content encoding, giving up as soon as the result is too large."""
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return body
    if name not in _ENCODINGS:
        raise _unsupported(
            "Content-Encoding",
            f"the encoding {name[:40]} is not understood",
            "send the body plain, or encoded with gzip or zstd",
        )
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), _ENCODINGS[name]) as stream:
            plain = bytes(stream.read(MAX_INFLATED + 1))
    except OSError as error:
        raise Problem(
            400,
            "bad-encoding",
            "The body does not have the encoding that it names.",
            faults=[
                Fault("", f"it can't be read as {name}", "encode it again, or send it plain"),
            ],
        ) from error
    if len(plain) > MAX_INFLATED:
        raise _too_large("", f"the body has more than {MAX_INFLATED} bytes when decoded")
    return plain


def media_type(content_type: str | None) -> str:
    """The media type without parameters, checked. Raises Problem 415."""
    media, _, parameters = (content_type or "").lower().partition(";")
    charset = re.search(r"charset=\"?([^\";\s]+)", parameters)
    if charset is not None and charset[1] not in _CHARSETS:
        raise _unsupported(
            "Content-Type", f"the charset {charset[1]} is not understood", "send UTF-8"
        )
    if media.strip() not in MEDIA_TYPES:
        raise _unsupported(
            "Content-Type",
            f"{media.strip()[:80] or 'no content type'} is not understood",
            f"send one of {', '.join(MEDIA_TYPES)}",
        )
    return media.strip()


def is_single(media: str, body: bytes) -> bool:
    """Whether the body is one event and not a list of them."""
    return media == SINGLE or (media == JSON and body.lstrip()[:1] != b"[")


def items(media: str, body: bytes) -> Sequence[bytes]:
    """The bytes of each event of a list. Raises Problem 400 or 413 for the list as a whole."""
    if media in LINES:
        found: Sequence[bytes] = [line for line in body.split(b"\n") if line.strip()]
    else:
        try:
            found = [bytes(raw) for raw in _raws(body)]
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Problem(
                400,
                "not-json",
                "The batch is not a JSON array.",
                str(error),
                faults=[Fault("", str(error), "send a well-formed JSON array of events, in UTF-8")],
            ) from error
    if len(found) > MAX_ITEMS:
        raise _too_large("", f"the batch has {len(found)} events; at most {MAX_ITEMS} are accepted")
    if not found:
        raise Problem(
            400,
            "empty-batch",
            "The batch has no events.",
            faults=[Fault("", "there is nothing in it", "send at least one event")],
        )
    return found


def _too_large(pointer: str, reason: str) -> Problem:
    return Problem(
        413,
        "too-large",
        "The request is too large.",
        reason,
        faults=[Fault(pointer, reason, "send smaller batches")],
    )


def _unsupported(header: str, reason: str, remedy: str) -> Problem:
    headers: dict[str, Any] = {"Accept-Encoding": "gzip, zstd, identity"}
    return Problem(
        415,
        "unsupported-media-type",
        "The body's media type or encoding is not understood.",
        reason,
        faults=[Fault(header, reason, remedy, "header")],
        headers=headers,
    )
