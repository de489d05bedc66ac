"""Whatever bytes come, each decoder gives a value or its own refusal, and nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.events.facts import Row, columns
from services.core.events.roles import Sender
from services.ingest import body
from services.ingest.fast_validator import FastValidator
from services.ingest.rejection import EventRejection
from services.shell.frames import NotAFrame, decode, encode
from services.shell.http.bodies import check_json
from services.shell.http.cursors import decode_cursor, encode_cursor
from services.shell.http.problems import Problem
from services.shell.http.seal import Seal
from tests.ingest.builders import NOW_US, a_door, an_event, text

NORTH = Sender("north", "vendor")
EVENT = text(an_event())
ROW = a_door().admit(EVENT, None, NOW_US)
assert isinstance(ROW, Row)
FRAME = encode(columns([ROW, ROW]))
BATCH = b"[" + EVENT + b"," + EVENT + b"]"
PACKED = gzip.compress(BATCH)
ZSTD = bytes(pa.compress(BATCH, "zstd", asbytes=True))
CURSOR = encode_cursor("list|a", "2025-01", 7).encode()
SEAL = Seal(bytes(32))
SEALED = SEAL.cursor("list|a", "2025-01", 7).encode()


def changed(seed: bytes) -> st.SearchStrategy[bytes]:
    """A seed with some bytes replaced, put in or cut off; or no relation of it."""
    edit = st.tuples(st.integers(0, len(seed)), st.binary(max_size=6), st.integers(0, 6))

    def made(edits: list[tuple[int, bytes, int]]) -> bytes:
        found = seed
        for at, new, gone in edits:
            found = found[:at] + new + found[at + gone :]
        return found

    return st.lists(edit, min_size=1, max_size=4).map(made) | st.binary(max_size=200)


def _events(raw: bytes) -> None:
    fast = FastValidator(a_door(), 1)
    assert fast.take(EVENT, NORTH, NOW_US) is None  # from now on events like it are known
    quick, full = fast.take(raw, NORTH, NOW_US), a_door().admit(raw, NORTH, NOW_US)
    assert quick == (full if isinstance(full, EventRejection) else None)


def _frame(raw: bytes) -> None:
    with suppress(NotAFrame):
        assert len(decode(raw)) <= 4096


def _unpacked(encoding: str) -> Callable[[bytes], None]:
    def unpack(raw: bytes) -> None:
        assert len(body.inflated(raw, encoding)) <= body.MAX_INFLATED

    return unpack


def _cursor(raw: bytes) -> None:
    decode_cursor("list|a", raw.decode("latin-1"), [str, int])


def _sealed(raw: bytes) -> None:
    SEAL.keys("list|a", raw.decode("latin-1"), [str, int])


def _batch(raw: bytes) -> None:
    body.items(body.BATCH, raw)
    body.items(body.LINES[0], raw)


DECODERS: list[tuple[str, bytes, Callable[[bytes], Any]]] = [
    ("event", EVENT, _events),
    ("frame", FRAME, _frame),
    ("gzip", PACKED, _unpacked("gzip")),
    ("zstd", ZSTD, _unpacked("zstd")),
    ("batch", BATCH, _batch),
    ("json", EVENT, check_json),
    ("cursor", CURSOR, _cursor),
    ("sealed", SEALED, _sealed),
]


@pytest.mark.parametrize(
    ("seed", "decoder"), [row[1:] for row in DECODERS], ids=[row[0] for row in DECODERS]
)
def test_any_bytes_are_a_value_or_a_refusal(seed: bytes, decoder: Callable[[bytes], Any]) -> None:
    decoder(seed)

    @settings(max_examples=80, deadline=None, database=None)
    @given(changed(seed))
    def any_bytes(raw: bytes) -> None:
        with suppress(Problem):
            decoder(raw)

    any_bytes()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_small_body_that_holds_very_much_is_given_up_early(encoding: str) -> None:
    much = b"0" * (4 * body.MAX_INFLATED)
    packed = gzip.compress(much, 1) if encoding == "gzip" else pa.compress(much, "zstd")
    before = pa.total_allocated_bytes()
    with pytest.raises(Problem) as refused:
        body.inflated(bytes(packed), encoding)
    assert (refused.value.status, refused.value.code) == (413, "too-large")
    assert pa.total_allocated_bytes() - before < body.MAX_INFLATED
