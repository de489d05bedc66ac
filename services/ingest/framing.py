"""Rows to frames: cut so that no frame is larger than its readers rely on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.frame import FRAME_CONTENT_TYPE
from services.core.facts import Row, columns
from services.shell.frames import CONTENT_TYPE, MAX_BYTES, MAX_ROWS, encode

TOPIC = "measurements"
HEADERS = [(CONTENT_TYPE.decode(), FRAME_CONTENT_TYPE.encode())]


def frames_of(rows: Sequence[Row]) -> Iterator[bytes]:
    """Encode rows, in order, as frames of at most `MAX_ROWS` rows and `MAX_BYTES` bytes."""
    for start in range(0, len(rows), MAX_ROWS):
        yield from _fitting(rows[start : start + MAX_ROWS])


def _fitting(rows: Sequence[Row]) -> Iterator[bytes]:
    """One frame, or where that is too large, the frames of its halves. Few ever are."""
    frame = encode(columns(rows))
    if len(frame) <= MAX_BYTES or len(rows) == 1:
        yield frame
        return
    half = len(rows) // 2
    yield from _fitting(rows[:half])
    yield from _fitting(rows[half:])
