"""Rows to frames: cut so that no frame is larger than its readers rely on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.frame import FRAME_CONTENT_TYPE, Facts
from services.core.events.facts import Row, between, columns
from services.shell.frames import CONTENT_TYPE, MAX_BYTES, MAX_ROWS, encode

HEADERS = [(CONTENT_TYPE.decode(), FRAME_CONTENT_TYPE.encode())]


def frames_of(rows: Sequence[Row]) -> Iterator[bytes]:
    """Encode rows, in order, as frames of at most `MAX_ROWS` rows and `MAX_BYTES` bytes."""
    return cut(columns(rows)) if rows else iter(())


def cut(facts: Facts) -> Iterator[bytes]:
    """Encode facts, in order, as frames of at most `MAX_ROWS` rows and `MAX_BYTES` bytes."""
    for start in range(0, len(facts), MAX_ROWS):
        yield from _fitting(between(facts, start, start + MAX_ROWS))


def _fitting(facts: Facts) -> Iterator[bytes]:
    """One frame, or where that is too large, the frames of its halves. Few ever are."""
    frame = encode(facts)
    if len(frame) <= MAX_BYTES or len(facts) == 1:
        yield frame
        return
    half = len(facts) // 2
    yield from _fitting(between(facts, 0, half))
    yield from _fitting(between(facts, half, len(facts)))
