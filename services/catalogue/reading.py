"""Stored contracts read back one by one: one that cannot be read or indexed is left out alone.

A programme that cannot be read leaves out its agreements and sources as well, for nothing of them
can be judged without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.catalogue.parked import WorkFailure, WorkItem, input_digest
from services.catalogue.stored import agreement_of, programme_of
from services.core.events.rules import rules_of

Contract = TypeVar("Contract", Programme, Agreement)
Numbers = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class UnreadableContract:
    """A programme or an agreement that is left out, why, and the digest of what is stored.

    ``vendor``: of an agreement.
    """

    item: WorkItem
    failure: WorkFailure
    tried: str
    vendor: str


@dataclass(frozen=True, slots=True)
class StoredContracts:
    """All versions of what can be read, oldest first, and what cannot."""

    programmes: Mapping[str, tuple[Programme, ...]]
    agreements: Mapping[str, tuple[Agreement, ...]]
    unreadable: tuple[UnreadableContract, ...]


def read_stored(
    programme_rows: Iterable[Any], agreement_rows: Iterable[Any], numbers: Numbers
) -> StoredContracts:
    """Read rows of ``name``, ``programme``, ``version`` and ``body``, in order of version.

    Those of agreements have a ``vendor``, too.
    """
    found = _Reader(numbers)
    for name, rows in _grouped(programme_rows).items():
        found.programme(name, rows)
    for name, rows in _grouped(agreement_rows).items():
        found.agreement(name, rows)
    found.index()
    return StoredContracts(found.programmes, found.agreements, tuple(found.unreadable))


def _grouped(rows: Iterable[Any]) -> dict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row["name"]].append(row)
    return dict(groups)


class _Reader:
    def __init__(self, numbers: Numbers) -> None:
        self.programmes: dict[str, tuple[Programme, ...]] = {}
        self.agreements: dict[str, tuple[Agreement, ...]] = {}
        self.unreadable: list[UnreadableContract] = []
        self._numbers = numbers
        self._stored: dict[str, Sequence[Any]] = {}

    def programme(self, name: str, rows: Sequence[Any]) -> None:
        self._stored[name] = rows
        item = WorkItem("programme", programme=name)
        versions = self._read(item, rows, programme_of)
        if versions:
            self.programmes[name] = versions

    def agreement(self, name: str, rows: Sequence[Any]) -> None:
        programme = rows[-1]["programme"]
        if programme not in self.programmes:
            return
        self._stored[f"agreement/{name}"] = rows
        item = WorkItem("agreement", programme=programme, agreement=name)
        versions = self._read(item, rows, agreement_of)
        if versions:
            self.agreements[name] = versions

    def index(self) -> None:
        """Leave out what acceptance cannot be prepared from."""
        own: defaultdict[str, list[str]] = defaultdict(list)
        for name, versions in self.agreements.items():
            own[versions[-1].programme].append(name)
        for name in list(self.programmes):
            everything = [one for each in own[name] for one in self.agreements[each]]
            if self._index(name, everything) is None:
                continue
            alone = self._index(name, ())
            if alone is not None:
                self._leave_out(WorkItem("programme", programme=name), self._stored[name], alone)
                del self.programmes[name]
            for each in own[name]:
                error = self._index(name, self.agreements[each]) if alone is None else None
                if error is not None:
                    item = WorkItem("agreement", programme=name, agreement=each)
                    self._leave_out(item, self._stored[f"agreement/{each}"], error)
                if alone is not None or error is not None:
                    del self.agreements[each]

    def _index(self, programme: str, agreements: Iterable[Agreement]) -> Exception | None:
        try:
            rules_of(self.programmes[programme], agreements, self._numbers)
        except Exception as error:
            return error
        return None

    def _read(
        self, item: WorkItem, rows: Sequence[Any], read: Callable[[str], Contract]
    ) -> tuple[Contract, ...]:
        try:
            return tuple(read(row["body"]) for row in rows)
        except Exception as error:
            self._leave_out(item, rows, error)
            return ()

    def _leave_out(self, item: WorkItem, rows: Sequence[Any], error: Exception) -> None:
        name = item.agreement or item.programme
        failure = WorkFailure.of(error)
        reason = f"the {item.what} {name} cannot be read as it is stored, and is left out: "
        failure = WorkFailure(reason + failure.reason, failure.error, failure.place)
        tried = input_digest(*[(row["version"], row["body"]) for row in rows])
        vendor = rows[-1]["vendor"] if item.agreement else ""
        self.unreadable.append(UnreadableContract(item, failure, tried, vendor))
