"""Record batches of frames: checked, cut, joined, and read row by row where a person will look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError

from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.frame import Bools, Int8s, Int32s, Int64s, UInt64s
from services.core.calendar.windows import instant
from services.core.events.facts import measured_data
from services.shell.frames import (
    MAX_ROWS,
    NotAFrame,
    check_columns,
    column_of,
    numbers_of,
    read_batch,
    write_batch,
)

TYPES = tuple(EVENT_TYPES)
CORRECTION = KIND_OF_TYPE["earnback.correction.v1"]

_WITHOUT_METRIC = [
    kind for kind, name in enumerate(TYPES) if "metric" not in EVENT_TYPES[name].model_fields
]
_WITH_DATA = [
    *(KIND_OF_TYPE[f"earnback.{name}.v1"] for name in ("outage", "ticket", "delivery", "figure")),
    *_WITHOUT_METRIC,
]
_SCALED = [KIND_OF_TYPE[f"earnback.{name}.v1"] for name in ("response", "volume", "figure")]
MOST_DECIMALS = 18
_EARLIEST_US, _LATEST_US = 631_065_600_000_000, 7_258_204_800_000_000


@dataclass(frozen=True, slots=True)
class Columns:
    """The numbers of one or more frames, row after row. ``batches`` hold the rest."""

    batches: tuple[Any, ...]
    high: UInt64s
    low: UInt64s
    payload_high: UInt64s
    payload_low: UInt64s
    kind: Int8s
    metric: Int32s
    at_us: Int64s
    value: Int64s
    scale_or_total: Int64s

    def __len__(self) -> int:
        return len(self.at_us)

    def place(self, row: int) -> tuple[int, int]:
        """The batch of a row, and its place in there."""
        for index, batch in enumerate(self.batches):
            if row < batch.num_rows:
                return index, row
            row -= batch.num_rows
        raise IndexError(row)


_COLUMNS = {"high": "id_high", "low": "id_low"}
_NAMES = (
    "high",
    "low",
    "payload_high",
    "payload_low",
    "kind",
    "metric",
    "at_us",
    "value",
    "scale_or_total",
)


def checked(body: bytes) -> Any:
    """The record batch of a frame that came from outside.

    Raises NotAFrame when it is malformed in any way: whatever passes can be counted.
    """
    batch = read_batch(body)
    check_columns(batch)
    if batch.num_rows > MAX_ROWS:
        raise NotAFrame(f"a frame of {batch.num_rows} rows; at most {MAX_ROWS} are allowed")
    for name in batch.schema.names:
        if name != "subject" and batch.column(name).null_count:
            raise NotAFrame(f"the column {name} has rows without a value")
    if batch.num_rows:
        _check_numbers(numbers_of(batch))
        _check_texts(batch)
    return batch


def _check_numbers(numbers: dict[str, Any]) -> None:
    """Raises NotAFrame for what would break the arithmetic later."""
    kind, metric, at_us = numbers["kind"], numbers["metric"], numbers["at_us"]
    if kind.min() < 0 or kind.max() >= len(TYPES):
        raise NotAFrame("a kind of event that this version does not know; update this program")
    if at_us.min() < _EARLIEST_US or at_us.max() >= _LATEST_US:
        raise NotAFrame("a time outside the years 1990 to 2199")
    # Most frames hold one kind or two: looking at each row is for those of which some stand out.
    kinds = set(np.flatnonzero(np.bincount(kind)).tolist())
    lacks = np.isin(kind, _WITHOUT_METRIC) if kinds.intersection(_WITHOUT_METRIC) else False
    if metric.min() < -1 or ((metric < 0) != lacks).any():
        raise NotAFrame("a metric number that does not go with the kind of event")
    if kinds.intersection(_SCALED):
        scale = numbers["scale_or_total"][np.isin(kind, _SCALED)]
        if scale.min() < 0 or scale.max() > MOST_DECIMALS:
            raise NotAFrame(f"a value with less than 0 or more than {MOST_DECIMALS} decimals")


def _check_texts(batch: Any) -> None:
    """Raises NotAFrame for names that no database takes, and for data that is not its kind's."""
    ids = batch.column("id").buffers()[2]
    sources = batch.column("source").dictionary.to_pylist()
    if any("\0" in name for name in sources) or (ids is not None and b"\0" in ids.to_pybytes()):
        raise NotAFrame("a source or an id that holds a NUL")
    kind = batch.column("kind").to_numpy()
    if not np.bincount(kind, minlength=len(TYPES))[_WITH_DATA].any():
        return
    for row in np.flatnonzero(np.isin(kind, _WITH_DATA)).tolist():
        model = EVENT_TYPES[TYPES[kind[row]]]
        try:
            model.model_validate_json(batch.column("data")[row].as_py())
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise NotAFrame(f"row {row}: data is no {model.__name__}: {first['msg']}") from None


def joined(batches: Sequence[Any]) -> Columns:
    """The numeric columns of all batches, one after another."""
    parts = [numbers_of(batch) for batch in batches]
    columns: dict[str, Any] = {}
    for name in _NAMES:
        own = _COLUMNS.get(name, name)
        columns[name] = (
            parts[0][own] if len(parts) == 1 else np.concatenate([part[own] for part in parts])
        )
    return Columns(tuple(batches), **columns)


def sources_of(batches: Sequence[Any]) -> tuple[list[str], Int32s]:
    """The sources of some batches, and per row the place of its own among them."""
    places: dict[str, int] = {}
    codes: list[Int32s] = []
    for batch in batches:
        column = batch.column("source")
        own = [places.setdefault(name, len(places)) for name in column.dictionary.to_pylist()]
        codes.append(np.array(own, np.int32)[column.indices.to_numpy()])
    return list(places), np.concatenate(codes)


def frame_of(batches: Sequence[Any], keep: Sequence[Bools]) -> bytes:
    """One frame of the kept rows of some batches, in order."""
    kept = [
        batch if mask.all() else batch.filter(pa.array(mask))
        for batch, mask in zip(batches, keep, strict=True)
    ]
    return write_batch(one_batch(kept))


def one_batch(batches: Sequence[Any]) -> Any:
    """Batches as one; their dictionaries are made one as well."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return table.to_batches()[0] if table.num_rows else batches[0].slice(0, 0)


def groups(*keys: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The order that puts rows with the same keys together, by the first key, then the next; and
    where in it each group starts."""
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(new)


def identities(high: UInt64s, low: UInt64s) -> bytes:
    """16 bytes a row, as the hash has them."""
    both = np.empty((len(high), 2), ">u8")
    both[:, 0], both[:, 1] = high, low
    return both.tobytes()


def identity_bytes(high: int, low: int) -> bytes:
    """One identity's 16 bytes."""
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")


def identities_from(body: bytes) -> tuple[UInt64s, UInt64s]:
    """High and low halves of what `identities` wrote."""
    both = np.frombuffer(body, ">u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def payloads_from(body: bytes, n: int) -> tuple[UInt64s, UInt64s]:
    """High and low halves of the payload hashes of ``n`` stored facts.

    A release before stored 8 bytes a fact: the low half is 0 then.
    """
    if len(body) == 16 * n:
        return identities_from(body)
    high = np.frombuffer(body, ">u8").astype(np.uint64)
    return high, np.zeros(n, np.uint64)


_PARTS = ("source", "id", "kind", "at_us", "metric", "value", "scale_or_total", "subject", "data")


def events_of(
    batch: Any, rows: Sequence[int], metrics: Mapping[int, tuple[str, str]]
) -> list[dict[str, Any]]:
    """Rows as the events they came from, normalised: identity, type, time and data.

    ``metrics``: number to programme and name.
    """
    few = batch.take(pa.array(rows, pa.int64()))
    parts = zip(*(few.column(column_of(name)).to_pylist() for name in _PARTS), strict=True)
    return [
        {
            "source": source,
            "id": event_id,
            "type": TYPES[kind],
            "time": instant(at_us).isoformat(),
            "data": msgspec.json.decode(data)
            if data
            else measured_data(
                kind, metrics.get(metric, ("", None))[1], value, scale_or_total, subject
            ),
        }
        for source, event_id, kind, at_us, metric, value, scale_or_total, subject, data in parts
    ]
