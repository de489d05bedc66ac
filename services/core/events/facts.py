"""How an event becomes a row of facts. The one place that says so, in ingest and offline.

Identity is BLAKE2b-128 of source, NUL, id. The payload's hash is BLAKE2b-128 of the normalised
type, time and data, so that spacing, key order, ``1.50`` for ``1.5`` or a time with another offset
make no difference. Metrics go in by name: the hash is the same in every installation.

Releases before hashed payloads to 64 bits, and what they stored keeps that hash: its evidence was
sent. As a number its low half is 0. Where such a fact is held against a newer one, the hash of 64
bits is worked out for the newer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from re import compile as pattern
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.base import Noun, written
from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.frame import Facts, UInt64s
from services.core.exact.budget import UNBOUNDED, Budget
from services.core.exact.chunked import argsort, chunks

TYPE_OF_KIND = tuple(EVENT_TYPES)
SAMPLE = KIND_OF_TYPE["earnback.sample.v1"]
COUNT = KIND_OF_TYPE["earnback.count.v1"]
RESPONSE = KIND_OF_TYPE["earnback.response.v1"]
VOLUME = KIND_OF_TYPE["earnback.volume.v1"]
OUTAGE = KIND_OF_TYPE["earnback.outage.v1"]
TICKET = KIND_OF_TYPE["earnback.ticket.v1"]
DELIVERY = KIND_OF_TYPE["earnback.delivery.v1"]
FIGURE = KIND_OF_TYPE["earnback.figure.v1"]
CORRECTION = KIND_OF_TYPE["earnback.correction.v1"]
CHARGE = KIND_OF_TYPE["earnback.charge.v1"]
CIRCUMSTANCE = KIND_OF_TYPE["earnback.circumstance.v1"]
ANSWER = KIND_OF_TYPE["earnback.answer.v1"]

STATES_A_PERIOD = (FIGURE, CHARGE, CIRCUMSTANCE, ANSWER)
"""The kinds that say themselves for which period they are."""

ABOUT_AN_AGREEMENT = (CHARGE, CIRCUMSTANCE, ANSWER)
"""The kinds that name the agreement that they are about."""

NO_METRIC = -1
LARGEST = 2**62
"""A scaled value or count must stay below this, so that the columns never overflow."""

_DECIMAL = pattern(r"[+-]?[0-9]{1,24}(\.[0-9]{1,18})?")
Index = npt.NDArray[np.intp]


class Row(NamedTuple):
    """One event, ready to be put into columns. See `schemas.frame.Facts` for their meaning."""

    source: str
    id: str
    identity: bytes
    payload: bytes
    kind: int
    metric: int
    at_us: int
    value: int
    scale_or_total: int
    subject: str | None
    data: str


def identity_of(source: str, event_id: str) -> bytes:
    """Sixteen bytes that stand for an event's identity."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def payload_of(
    kind: int,
    at_us: int,
    metric: str,
    subject: str | None,
    value: int,
    scale_or_total: int,
    data: str,
) -> bytes:
    """Sixteen bytes that stand for all that an event says. ``data`` is canonical JSON, or empty."""
    said = f"{kind}\0{at_us}\0{metric}\0{subject or ''}\0{value}\0{scale_or_total}\0{data}"
    return blake2b(said.encode(), digest_size=16).digest()


def payload_before(
    kind: int,
    at_us: int,
    metric: str,
    subject: str | None,
    value: int,
    scale_or_total: int,
    data: str,
) -> bytes:
    """The eight bytes that a release before kept in place of `payload_of`."""
    said = f"{kind}\0{at_us}\0{metric}\0{subject or ''}\0{value}\0{scale_or_total}\0{data}"
    return blake2b(said.encode(), digest_size=8).digest()


def payload_before_of(row: Row, metric: str) -> bytes:
    """`payload_before` of a row. ``metric``: name of its metric, empty for none."""
    return payload_before(
        row.kind, row.at_us, metric, row.subject, row.value, row.scale_or_total, row.data
    )


def payload_bytes(high: int, low: int) -> bytes:
    """A payload's hash from the halves that columns hold: 16 bytes; 8 of a release before."""
    return high.to_bytes(8, "big") + (low.to_bytes(8, "big") if low else b"")


def canonical_data(noun: Noun) -> str:
    """An event's data as facts keep it: JSON, keys sorted, no spaces, absent for null."""
    return msgspec.json.encode(
        noun.model_dump(mode="json", exclude_none=True), order="sorted"
    ).decode()


def scaled(value: object) -> tuple[int, int] | None:
    """An exact decimal as a whole number and its decimals: ``"1.50"`` is (15, 1).

    None for what is no exact decimal: a binary float, NaN, a ratio that does not end.
    """
    if type(value) is int:
        return value, 0
    if isinstance(value, Decimal):
        value = format(value, "f") if value.is_finite() else ""
    if type(value) is not str or not _DECIMAL.fullmatch(value):
        return None
    whole, _, part = value.partition(".")
    part = part.rstrip("0")
    return int(whole + part), len(part)


def measured_data(
    kind: int, metric: str | None, value: int, scale_or_total: int, subject: str | None
) -> dict[str, object]:
    """The data of a sample, count, response or volume, from its columns."""
    data: dict[str, object] = {"metric": metric}
    if subject is not None:
        data["subject"] = subject
    if kind == SAMPLE:
        return {**data, "up": bool(value)}
    if kind == COUNT:
        return {**data, "good": value, "total": scale_or_total}
    return {**data, "value": written(Fraction(value, 10 ** max(scale_or_total, 0)))}


def columns(rows: Sequence[Row]) -> Facts:
    """The rows as columns, in their order."""
    if not rows:
        return EMPTY
    source, ids, identity, payload, kind, metric, at_us, value, scale_or_total, subject, data = zip(
        *rows, strict=True
    )
    halves = np.frombuffer(b"".join(identity), ">u8").reshape(-1, 2)
    hashes = np.frombuffer(b"".join(each.ljust(16, b"\0") for each in payload), ">u8")
    hashes = hashes.reshape(-1, 2)
    sources, subjects = _positions(source), _positions(each for each in subject if each is not None)
    return Facts(
        ids=list(ids),
        id_high=halves[:, 0].astype(np.uint64),
        id_low=halves[:, 1].astype(np.uint64),
        payload_high=hashes[:, 0].astype(np.uint64),
        payload_low=hashes[:, 1].astype(np.uint64),
        kind=np.array(kind, np.int8),
        metric=np.array(metric, np.int32),
        at_us=np.array(at_us, np.int64),
        value=np.array(value, np.int64),
        scale_or_total=np.array(scale_or_total, np.int64),
        source=np.array([sources[each] for each in source], np.int32),
        subject=np.array([-1 if each is None else subjects[each] for each in subject], np.int32),
        data=list(data),
        sources=list(sources),
        subjects=list(subjects),
    )


def _positions(names: Iterable[str]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for name in names:
        positions.setdefault(name, len(positions))
    return positions


def joined(parts: Sequence[Facts], budget: Budget = UNBOUNDED) -> Facts:
    """All facts of several frames as one, in order. Sources and subjects get common positions.

    Raises OverBudget.
    """
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    sources = _positions(name for part in parts for name in part.sources)
    subjects = _positions(name for part in parts for name in part.subjects)
    ids: list[str] = []
    data: list[str] = []
    for part in parts:
        for some in chunks(len(part), budget):
            ids.extend(part.ids[some])
            data.extend(part.data[some])
    return Facts(
        ids=ids,
        id_high=np.concatenate([part.id_high for part in parts]),
        id_low=np.concatenate([part.id_low for part in parts]),
        payload_high=np.concatenate([part.payload_high for part in parts]),
        payload_low=np.concatenate([part.payload_low for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        metric=np.concatenate([part.metric for part in parts]),
        at_us=np.concatenate([part.at_us for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        scale_or_total=np.concatenate([part.scale_or_total for part in parts]),
        source=np.concatenate([_moved(part.source, part.sources, sources) for part in parts]),
        subject=np.concatenate([_moved(part.subject, part.subjects, subjects) for part in parts]),
        data=data,
        sources=list(sources),
        subjects=list(subjects),
    )


def _moved(
    codes: npt.NDArray[np.int32], names: Sequence[str], positions: dict[str, int]
) -> npt.NDArray[np.int32]:
    """Positions in ``names`` as positions in the common list; -1 stays -1."""
    table = np.array([*(positions[name] for name in names), -1], np.int32)
    return table[codes]


def taken(facts: Facts, index: Index, budget: Budget = UNBOUNDED) -> Facts:
    """The facts at these positions, in that order. Raises OverBudget."""
    ids: list[str] = []
    data: list[str] = []
    for some in chunks(len(index), budget):
        rows = index[some].tolist()
        ids.extend(facts.ids[row] for row in rows)
        data.extend(facts.data[row] for row in rows)
    return Facts(
        ids=ids,
        id_high=facts.id_high[index],
        id_low=facts.id_low[index],
        payload_high=facts.payload_high[index],
        payload_low=facts.payload_low[index],
        kind=facts.kind[index],
        metric=facts.metric[index],
        at_us=facts.at_us[index],
        value=facts.value[index],
        scale_or_total=facts.scale_or_total[index],
        source=facts.source[index],
        subject=facts.subject[index],
        data=data,
        sources=facts.sources,
        subjects=facts.subjects,
    )


def between(facts: Facts, start: int, stop: int) -> Facts:
    """The facts from one position up to another, with the sources and subjects they name."""
    if start <= 0 and stop >= len(facts):
        return facts
    source, sources = _named(facts.source[start:stop], facts.sources)
    subject, subjects = _named(facts.subject[start:stop], facts.subjects)
    return Facts(
        ids=facts.ids[start:stop],
        id_high=facts.id_high[start:stop],
        id_low=facts.id_low[start:stop],
        payload_high=facts.payload_high[start:stop],
        payload_low=facts.payload_low[start:stop],
        kind=facts.kind[start:stop],
        metric=facts.metric[start:stop],
        at_us=facts.at_us[start:stop],
        value=facts.value[start:stop],
        scale_or_total=facts.scale_or_total[start:stop],
        source=source,
        subject=subject,
        data=facts.data[start:stop],
        sources=sources,
        subjects=subjects,
    )


def _named(
    codes: npt.NDArray[np.int32], names: Sequence[str]
) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Positions in a list of only those names that they point to; -1 stays -1."""
    used = np.unique(codes[codes >= 0])
    moved = np.searchsorted(used, codes).astype(np.int32)
    return np.where(codes < 0, np.int32(-1), moved), [names[each] for each in used.tolist()]


def by_identity(facts: Facts, budget: Budget = UNBOUNDED) -> Index:
    """Positions in order of identity; facts of one identity in order of arrival."""
    return in_order(facts.id_high, facts.id_low, budget)


def in_order(high: UInt64s, low: UInt64s, budget: Budget = UNBOUNDED) -> Index:
    """Positions in order of identity, given by its halves. Raises OverBudget."""
    order = argsort(high, budget)
    sorted_ = high[order]
    if bool(np.any(sorted_[1:] == sorted_[:-1])):
        by_low = argsort(low, budget)
        order = by_low[argsort(high[by_low], budget)]
    return order


def distinct(facts: Facts, budget: Budget = UNBOUNDED) -> tuple[Index, Index]:
    """Positions of each identity's first fact, in order of identity; and of conflicts with it.

    A fact that says the same as the first of its identity is a duplicate and in neither. Raises
    OverBudget.
    """
    order = by_identity(facts, budget)
    high, low = facts.id_high[order], facts.id_low[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    if bool(first.all()):
        return order, order[:0]
    standing = np.repeat(order[first], np.diff(np.flatnonzero(first), append=len(order)))
    differs = (facts.payload_high[order] != facts.payload_high[standing]) | (
        facts.payload_low[order] != facts.payload_low[standing]
    )
    conflicts = order[differs]
    return order[first], np.sort(conflicts)


def identities(facts: Facts, index: Index) -> npt.NDArray[np.uint64]:
    """Identity and payload of facts, big-endian: what evidence hashes.

    32 bytes a fact, and 24 where the hash of its payload has 64 bits: what was sent of it stands.
    """
    rows = np.empty((len(index), 4), ">u8")
    rows[:, 0] = facts.id_high[index]
    rows[:, 1] = facts.id_low[index]
    rows[:, 2] = facts.payload_high[index]
    rows[:, 3] = facts.payload_low[index]
    told = np.ones(rows.shape, np.bool_)
    told[:, 3] = rows[:, 3] != 0
    return rows.reshape(-1) if bool(told.all()) else rows[told]


def number(digest: bytes) -> int:
    """Eight bytes as the number that a column holds."""
    return int.from_bytes(digest, "big")


def _empty() -> Facts:
    wide: UInt64s = np.empty(0, np.uint64)
    long, short = np.empty(0, np.int64), np.empty(0, np.int32)
    return Facts(
        ids=(), id_high=wide, id_low=wide, payload_high=wide, payload_low=wide,
        kind=np.empty(0, np.int8), metric=short,
        at_us=long, value=long, scale_or_total=long, source=short, subject=short,
        data=(), sources=(), subjects=(),
    )  # fmt: skip


EMPTY = _empty()
