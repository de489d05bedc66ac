"""Rows go into frames and come back as they were, however they are cut."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import EVENT_TYPES
from schemas.frame import Facts
from services.core.events.facts import Row, columns, payload_bytes
from services.ingest.framing import frames_of
from services.shell.frames import (
    MAX_BYTES,
    MAX_ROWS,
    NotAFrame,
    decode,
    encode,
    partition_of,
    read_batch,
)
from tests.evaluator.builders import as_version_1

_INT64 = st.integers(-(2**63), 2**63 - 1)
_ROWS = st.lists(
    st.builds(
        Row,
        source=st.sampled_from(["s", "https://probe.example/é", ""]),
        id=st.text(max_size=10),
        identity=st.binary(min_size=16, max_size=16),
        payload=st.one_of(
            st.binary(min_size=8, max_size=8),
            st.binary(min_size=16, max_size=16).filter(lambda hash_: any(hash_[8:])),
        ),
        kind=st.integers(0, len(EVENT_TYPES) - 1),
        metric=st.integers(-1, 2**31 - 1),
        at_us=_INT64,
        value=_INT64,
        scale_or_total=_INT64,
        subject=st.one_of(st.none(), st.sampled_from(["", "site-1", "site-2"])),
        data=st.sampled_from(["", "{}", '{"ä":"\\u0000"}']),
    ),
    max_size=30,
)


def rows_of(facts: Facts) -> list[Row]:
    """Columns back into rows."""
    return [
        Row(
            facts.sources[facts.source[place]],
            facts.ids[place],
            int(facts.id_high[place]).to_bytes(8, "big")
            + int(facts.id_low[place]).to_bytes(8, "big"),
            payload_bytes(int(facts.payload_high[place]), int(facts.payload_low[place])),
            int(facts.kind[place]),
            int(facts.metric[place]),
            int(facts.at_us[place]),
            int(facts.value[place]),
            int(facts.scale_or_total[place]),
            None if facts.subject[place] < 0 else facts.subjects[facts.subject[place]],
            facts.data[place],
        )
        for place in range(len(facts))
    ]


@given(_ROWS)
def test_rows_come_back_from_a_frame_as_they_were(rows: list[Row]) -> None:
    assert rows_of(decode(encode(columns(rows)))) == rows


@given(_ROWS)
def test_a_frame_read_and_written_again_is_the_same_bytes(rows: list[Row]) -> None:
    body = encode(columns(rows))
    assert encode(decode(body)) == body


def test_a_frame_names_its_columns_as_every_reader_expects() -> None:
    row = _row(1)._replace(value=205, scale_or_total=1)
    batch = read_batch(encode(columns([row])))
    assert batch.schema.names == [
        "id", "id_high", "id_low", "payload_high", "payload_low", "kind", "metric", "at_us",
        "a", "b", "source", "subject", "data",
    ]  # fmt: skip
    assert (batch.column("a").to_pylist(), batch.column("b").to_pylist()) == ([205], [1])


@given(_ROWS)
def test_a_frame_of_the_version_before_is_read_with_its_hashes_of_64_bits(rows: list[Row]) -> None:
    narrow = [each._replace(payload=each.payload[:8]) for each in rows]
    assert rows_of(decode(as_version_1(encode(columns(rows))))) == narrow


def _row(place: int, data: str = "") -> Row:
    identity = place.to_bytes(16, "big")
    return Row("s", f"e-{place}", identity, identity[:8], 0, 0, place, 1, 1, None, data)


@pytest.mark.parametrize("number", [0, 1, MAX_ROWS, MAX_ROWS + 1, 3 * MAX_ROWS])
def test_frames_hold_at_most_so_many_rows_and_lose_none(number: int) -> None:
    rows = [_row(place) for place in range(number)]
    parts = [rows_of(decode(frame)) for frame in frames_of(rows)]
    assert [row for part in parts for row in part] == rows
    assert all(0 < len(part) <= MAX_ROWS for part in parts)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=60), st.integers(0, 2**32))
def test_frames_are_never_larger_than_their_readers_allow(sizes: list[int], seed: int) -> None:
    # Noise, so that it does not compress; from a seed, for megabytes are no drawn example.
    noise = Random(seed)
    rows = [_row(place, noise.randbytes(size // 2).hex()) for place, size in enumerate(sizes)]
    frames = list(frames_of(rows))
    assert all(len(frame) <= MAX_BYTES for frame in frames)
    assert [row for frame in frames for row in rows_of(decode(frame))] == rows


def test_what_is_no_frame_is_refused() -> None:
    for body in (b"", b"{}", encode(columns([_row(1)]))[:-50]):
        with pytest.raises(NotAFrame):
            decode(body)


def test_a_frame_of_another_version_is_refused_by_name() -> None:
    sink = pa.BufferOutputStream()
    schema = pa.schema([("id", pa.string())], metadata={"earnback.frame.version": "3"})
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(["x"])], schema=schema))
    with pytest.raises(NotAFrame, match="update the reader before the writer"):
        decode(bytes(sink.getvalue()))


def test_the_partition_of_a_source_never_changes() -> None:
    names = ("https://probe.example/net-1", "/desk", "é")
    assert [partition_of(name, 12) for name in names] == [partition_of(n, 12) for n in names]
    # Written down: another value here would tear identities apart in running installations.
    assert [partition_of(name, 1000) for name in names] == [0, 174, 743]


def test_sources_spread_over_the_partitions() -> None:
    counted = np.bincount([partition_of(f"/source/{n}", 8) for n in range(8000)], minlength=8)
    assert counted.min() > 850
    assert counted.max() < 1150
