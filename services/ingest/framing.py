"""Rows to frames: cut so that no frame is larger than its readers rely on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.frame import FRAME_CONTENT_TYPE
from services.core.facts import Row, columns
from services.shell.frames import CONTENT_TYPE, MAX_BYTES, MAX_ROWS, encode

TOPIC = "measurements"
HEADERS = [(CONTENT_TYPE.decode(), FRAME_CONTENT_TYPE.encode())]

_ROOM = 128
"""Bytes of a row's numbers and offsets, with room for the stream's own words."""


def frames_of(rows: Sequence[Row]) -> Iterator[bytes]:
    """Encode rows, in order, as frames of at most `MAX_ROWS` rows and `MAX_BYTES` bytes."""
    for part in _cut(rows):
        yield encode(columns(part))


def _cut(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut by rows, then by what they weigh before compression: the frame can only be smaller."""
    for start in range(0, len(rows), MAX_ROWS):
        part = rows[start : start + MAX_ROWS]
        if sum(map(_weight, part)) <= MAX_BYTES:
            yield part
            continue
        first, weight = 0, 0
        for place, row in enumerate(part):
            own = _weight(row)
            if weight + own > MAX_BYTES and place > first:
                yield part[first:place]
                first, weight = place, 0
            weight += own
        yield part[first:]


def _weight(row: Row) -> int:
    text = row.data
    return (
        _ROOM
        + len(row.id)
        + len(row.source)
        + len(row.subject or "")
        + (len(text) if text.isascii() else 4 * len(text))
    )
