"""Columns in the making: accepted events one below the other, without an object for each.

Source, kind, metric and subject make a series; an event holds only its series' number. One table of
series serves all builders of a reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from schemas.frame import Facts
from services.core.events.facts import Row


class SeriesKey(NamedTuple):
    """What the events of a series have in common. ``metric``: its number."""

    source: str
    kind: int
    metric: int
    subject: str | None


@dataclass(slots=True)
class SeriesTable:
    """Every series that was seen, in order of appearance."""

    keys: list[SeriesKey] = field(default_factory=list)
    _numbers: dict[SeriesKey, int] = field(default_factory=dict)

    def number(self, key: SeriesKey) -> int:
        """The number of a series; a new series gets the next one."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number


@dataclass(slots=True)
class ColumnBuilder:
    """The events of one partition, in order: a list per column, all equally long."""

    series: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    identities: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    at_us: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)
    scale_or_total: list[int] = field(default_factory=list)
    data: dict[int, str] = field(default_factory=dict)
    """By place; most events have none."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, row: Row, table: SeriesTable) -> None:
        """Put a row below the others."""
        if row.data:
            self.data[len(self.ids)] = row.data
        self.series.append(table.number(SeriesKey(row.source, row.kind, row.metric, row.subject)))
        self.ids.append(row.id)
        self.identities.append(row.identity)
        self.payloads.append(row.payload)
        self.at_us.append(row.at_us)
        self.value.append(row.value)
        self.scale_or_total.append(row.scale_or_total)

    def facts(self, table: SeriesTable) -> Facts:
        """All of it as columns."""
        size = len(self)
        seen, place = np.unique(np.fromiter(self.series, np.intp, size), return_inverse=True)
        used = [table.keys[number] for number in seen.tolist()]
        sources, subjects = _Names(), _Names()
        halves = np.frombuffer(b"".join(self.identities), ">u8").reshape(-1, 2)
        hashes = np.frombuffer(b"".join(self.payloads), ">u8").reshape(-1, 2)
        data = [""] * size
        for row, text in self.data.items():
            data[row] = text
        return Facts(
            ids=self.ids,
            id_high=halves[:, 0].astype(np.uint64),
            id_low=halves[:, 1].astype(np.uint64),
            payload_high=hashes[:, 0].astype(np.uint64),
            payload_low=hashes[:, 1].astype(np.uint64),
            kind=np.array([key.kind for key in used], np.int8)[place],
            metric=np.array([key.metric for key in used], np.int32)[place],
            at_us=np.fromiter(self.at_us, np.int64, size),
            value=np.fromiter(self.value, np.int64, size),
            scale_or_total=np.fromiter(self.scale_or_total, np.int64, size),
            source=np.array([sources.place(key.source) for key in used], np.int32)[place],
            subject=np.array([subjects.place(key.subject) for key in used], np.int32)[place],
            data=data,
            sources=list(sources.places),
            subjects=list(subjects.places),
        )


class _Names:
    """Names in order of appearance; -1 stands for none."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, name: str | None) -> int:
        return -1 if name is None else self.places.setdefault(name, len(self.places))
