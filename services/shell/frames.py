"""Frames on the wire and in storage: an Arrow IPC stream with one record batch, with an LZ4 body
where it has many rows.

The codec alone: what the columns mean is written beside `schemas.frame.Facts`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.frame import FRAME_SCHEMA_VERSION, Facts

MAX_ROWS = 4096
MAX_BYTES = 256 * 1024
"""What one frame may hold. A reader can rely on both."""

CONTENT_TYPE = b"content-type"
"""Name of the record header that carries `schemas.frame.FRAME_CONTENT_TYPE`."""

_VERSION = b"earnback.frame.version"
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("id_high", pa.uint64(), nullable=False),
        pa.field("id_low", pa.uint64(), nullable=False),
        pa.field("payload_high", pa.uint64(), nullable=False),
        pa.field("payload_low", pa.uint64(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("metric", pa.int32(), nullable=False),
        pa.field("at_us", pa.int64(), nullable=False),
        pa.field("a", pa.int64(), nullable=False),
        pa.field("b", pa.int64(), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("subject", pa.dictionary(pa.int32(), pa.string())),
        pa.field("data", pa.string(), nullable=False),
    ],
    metadata={_VERSION: str(FRAME_SCHEMA_VERSION)},
)
_NUMERIC = (
    "id_high",
    "id_low",
    "payload_high",
    "payload_low",
    "kind",
    "metric",
    "at_us",
    "value",
    "scale_or_total",
)
# Frames on the topic and in storage keep these names: a reader takes no others for this version.
_COLUMN_OF = {"value": "a", "scale_or_total": "b"}
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")
_PLAIN = pa.ipc.IpcWriteOptions()
_COMPRESSED_FROM = 512
"""Rows. Of fewer, compressing each column takes longer than it saves."""

_LOW = _SCHEMA.get_field_index("payload_low")
_VERSION_1 = pa.schema(
    [
        pa.field("payload", field.type, nullable=False) if field.name == "payload_high" else field
        for field in _SCHEMA
        if field.name != "payload_low"
    ],
    metadata={_VERSION: "1"},
)
"""Frames of the release before, in storage and on the topic: the payload's hash has 64 bits."""
_READ = {b"1": _VERSION_1, str(FRAME_SCHEMA_VERSION).encode(): _SCHEMA}


class NotAFrame(ValueError):
    """The bytes are no frame of a version that this reader knows."""


def encode(facts: Facts) -> bytes:
    """Write a frame. The columns must be of equal length."""
    columns = [
        facts.ids if isinstance(facts.ids, pa.Array) else pa.array(facts.ids, pa.string()),
        *(pa.array(getattr(facts, name)) for name in _NUMERIC),
        _dictionary(facts.source, facts.sources),
        _dictionary(facts.subject, facts.subjects),
        pa.array(facts.data, pa.string()) if any(facts.data) else pa.repeat("", len(facts)),
    ]
    return write_batch(pa.record_batch(columns, schema=_SCHEMA))


def decode(body: bytes | memoryview) -> Facts:
    """Read a frame. The arrays share the memory of `body` where they can and are not writable.

    Raises NotAFrame for anything that `encode` of this version would not have written.
    """
    batch = read_batch(body)
    check_columns(batch)
    return facts_of(batch)


def write_batch(batch: Any) -> bytes:
    """Write a record batch with a frame's columns as a frame."""
    sink = pa.BufferOutputStream()
    options = _PLAIN if batch.num_rows < _COMPRESSED_FROM else _OPTIONS
    with pa.ipc.new_stream(sink, _SCHEMA, options=options) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def read_batch(body: bytes | memoryview) -> Any:
    """The record batch of a frame, without a Python object per row.

    One of version 1 is given the columns of this one. Raises NotAFrame for anything that `encode`
    of either would not have written.
    """
    try:
        with pa.ipc.open_stream(body) as reader:
            _check(reader.schema)
            batch = reader.read_next_batch()
            return _raised(batch) if reader.schema.equals(_VERSION_1) else batch
    except (pa.ArrowException, StopIteration, OSError) as error:
        raise NotAFrame(f"not an Arrow stream with one batch: {error}") from error


def check_columns(batch: Any) -> None:
    """Raises NotAFrame where what a column says of itself is not so, and reading it would go beyond
    its memory. Stored frames were checked before they were stored."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotAFrame(f"the frame's columns contradict themselves: {error}") from error


def facts_of(batch: Any) -> Facts:
    """The facts of a record batch with a frame's columns."""
    source, sources = _positions(batch.column("source"))
    subject, subjects = _positions(batch.column("subject"))
    return Facts(
        ids=batch.column("id").to_pylist(),
        **numbers_of(batch),
        source=source,
        subject=subject,
        data=batch.column("data").to_pylist(),
        sources=sources,
        subjects=subjects,
    )


def numbers_of(batch: Any) -> dict[str, Any]:
    """The numeric columns of a record batch, as arrays that are not copied.

    By the name that `schemas.frame.Facts` has for them.
    """
    return {name: batch.column(column_of(name)).to_numpy(zero_copy_only=True) for name in _NUMERIC}


def column_of(name: str) -> str:
    """What a frame calls the column that `schemas.frame.Facts` has by this name."""
    return _COLUMN_OF.get(name, name)


def _check(schema: Any) -> None:
    version = (schema.metadata or {}).get(_VERSION, b"")
    known = _READ.get(version)
    if known is None:
        raise NotAFrame(
            f"frame version {version!r}, this reader knows 1 to {FRAME_SCHEMA_VERSION}; "
            "update the reader before the writer"
        )
    if not schema.equals(known):
        raise NotAFrame("the frame's columns are not those of its version")


def _raised(batch: Any) -> Any:
    """A batch of version 1 with the columns of this one: the low half of a hash of 64 bits is 0."""
    if batch.num_rows > MAX_ROWS:
        raise NotAFrame(f"a frame of {batch.num_rows} rows; at most {MAX_ROWS} are allowed")
    columns = batch.columns
    columns.insert(_LOW, pa.array(np.zeros(batch.num_rows, np.uint64)))
    return pa.record_batch(columns, schema=_SCHEMA)


def _dictionary(positions: Any, names: Sequence[str]) -> Any:
    """Positions with -1 for none, as Arrow has it: nulls."""
    indices = pa.array(positions, pa.int32(), mask=np.asarray(positions) < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _positions(column: Any) -> tuple[Any, list[str]]:
    indices = column.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    return indices.to_numpy(zero_copy_only=True), column.dictionary.to_pylist()


@lru_cache(maxsize=65_536)
def partition_of(source: str, partitions: int) -> int:
    """The measurement partition of a source: the same in every process, release and language.

    Everything a source ever said meets in one partition, so that an identity meets itself.
    """
    digest = hashlib.blake2b(source.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions
