"""Columns in the making: accepted events one below the other, without an object for each.

What many events have in common, the source, kind, metric and subject, is a form; an event has the
form's number. One table of forms serves all sheets of a reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from schemas.frame import Facts
from services.core.events.facts import Row


class Form(NamedTuple):
    """What events have in common. ``metric``: its number; ``partition``: of measurements."""

    source: str
    kind: int
    metric: int
    subject: str | None


@dataclass(slots=True)
class Forms:
    """Every form that was seen, in order of appearance."""

    table: list[Form] = field(default_factory=list)
    _numbers: dict[Form, int] = field(default_factory=dict)

    def number(self, form: Form) -> int:
        """The form's number, a new one for a new form."""
        number = self._numbers.get(form)
        if number is None:
            number = self._numbers[form] = len(self.table)
            self.table.append(form)
        return number


@dataclass(slots=True)
class Sheet:
    """The events of one partition, in order: a list per column, all equally long."""

    forms: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    identities: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    at_us: list[int] = field(default_factory=list)
    a: list[int] = field(default_factory=list)
    b: list[int] = field(default_factory=list)
    data: dict[int, str] = field(default_factory=dict)
    """By place; most events have none."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, row: Row, forms: Forms) -> None:
        """Put a row below the others."""
        if row.data:
            self.data[len(self.ids)] = row.data
        self.forms.append(forms.number(Form(row.source, row.kind, row.metric, row.subject)))
        self.ids.append(row.id)
        self.identities.append(row.identity)
        self.payloads.append(row.payload)
        self.at_us.append(row.at_us)
        self.a.append(row.a)
        self.b.append(row.b)

    def facts(self, forms: Forms) -> Facts:
        """All of it as columns."""
        size = len(self)
        seen, place = np.unique(np.fromiter(self.forms, np.intp, size), return_inverse=True)
        used = [forms.table[number] for number in seen.tolist()]
        sources, subjects = _Names(), _Names()
        halves = np.frombuffer(b"".join(self.identities), ">u8").reshape(-1, 2)
        data = [""] * size
        for row, text in self.data.items():
            data[row] = text
        return Facts(
            ids=self.ids,
            id_high=halves[:, 0].astype(np.uint64),
            id_low=halves[:, 1].astype(np.uint64),
            payload=np.frombuffer(b"".join(self.payloads), ">u8").astype(np.uint64),
            kind=np.array([form.kind for form in used], np.int8)[place],
            metric=np.array([form.metric for form in used], np.int32)[place],
            at_us=np.fromiter(self.at_us, np.int64, size),
            a=np.fromiter(self.a, np.int64, size),
            b=np.fromiter(self.b, np.int64, size),
            source=np.array([sources.place(form.source) for form in used], np.int32)[place],
            subject=np.array([subjects.place(form.subject) for form in used], np.int32)[place],
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
