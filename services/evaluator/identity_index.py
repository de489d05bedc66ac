"""Which events a partition has accepted: sorted runs of identities, merged as they grow.

28 bytes an event: the high half of the identity, the payload's hash, and the number of the stored
frame that holds the fact, so that a doubt is settled by reading one frame and not all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.frame import Bools, Int8s, UInt64s
from services.evaluator.payloads import Payloads

UInt32s = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.intp]

NEW, DUPLICATE, DOUBTFUL, CONFLICT = 0, 1, 2, 3
REFUSED = 5
"""A correction that no count would apply: decided by `links`, after the horizon."""
BEYOND = 6
"""A fact of a subject too many: decided by `subjects`, before the links."""

# A run is merged into its older neighbour when it has reached half of its size. Runs then at least
# halve from one to the next: there are at most log2 of them, and a fact is copied log2 times.
_MERGE_AT = 2

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """Sorted by ``high``; equal ``high`` may repeat with other payloads."""

    high: UInt64s
    payload_high: UInt64s
    payload_low: UInt64s
    frame: UInt32s

    def __len__(self) -> int:
        return len(self.high)

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """Its columns, in the order of its fields."""
        return self.high, self.payload_high, self.payload_low, self.frame


@dataclass(frozen=True, slots=True)
class IdentityVerdicts:
    """``verdict`` per row: NEW, DUPLICATE or DOUBTFUL. ``frames``: where the doubts are stored."""

    verdict: Int8s
    frames: tuple[int, ...]

    @property
    def doubtful(self) -> Indices:
        return np.flatnonzero(self.verdict == DOUBTFUL)


@dataclass(slots=True)
class Seen:
    """The identities one partition has accepted.

    ``judge`` changes nothing; ``add`` is called once the facts are committed.
    """

    _runs: list[_Run] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    @property
    def nbytes(self) -> int:
        return sum(sum(column.nbytes for column in run.columns) for run in self._runs)

    def judge(
        self, high: UInt64s, low: UInt64s, payload_high: UInt64s, payload_low: UInt64s
    ) -> IdentityVerdicts:
        """Tell new rows from repeated ones, in the order given: of equal rows the first is new.

        A row is DOUBTFUL when its ``high`` was seen with another payload, here or before: a
        conflict or, once in an age, two identities that share half of their hash. All rows of
        that ``high`` are then doubtful, and `settle` decides with the stored facts at hand.
        """
        verdict = np.zeros(len(high), np.int8)
        if not len(high):
            return IdentityVerdicts(verdict, ())
        order = np.argsort(high)
        keys = high[order]
        starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        if len(starts) == len(keys):
            heads, mixed, group = order, np.zeros(len(keys), np.bool_), None
        else:
            group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(keys)))
            heads = np.minimum.reduceat(order, starts)
            same = np.logical_and.reduce(
                [each[order] == each[heads][group] for each in (payload_high, payload_low, low)]
            )
            mixed = ~np.logical_and.reduceat(same, starts)
        known, differs, frames = self._look(
            keys[starts], payload_high[heads], payload_low[heads], mixed
        )
        doubtful = mixed | differs
        if group is not None:
            verdict[:] = DUPLICATE
            verdict[heads] = NEW
            verdict[order[known[group]]] = DUPLICATE
            verdict[order[doubtful[group]]] = DOUBTFUL
        else:
            verdict[heads[known]] = DUPLICATE
            verdict[heads[doubtful]] = DOUBTFUL
        return IdentityVerdicts(verdict, frames)

    def add(
        self, high: UInt64s, payload_high: UInt64s, payload_low: UInt64s, frame: UInt32s
    ) -> None:
        """Take in accepted rows. ``frame``: number of the stored frame, per row."""
        if not len(high):
            return
        order = np.argsort(high, kind="stable")
        self._runs.append(_Run(high[order], payload_high[order], payload_low[order], frame[order]))
        while len(self._runs) > 1 and len(self._runs[-1]) * _MERGE_AT >= len(self._runs[-2]):
            newer = self._runs.pop()
            self._runs.append(_merged(self._runs.pop(), newer))

    def _look(
        self, keys: UInt64s, payload_high: UInt64s, payload_low: UInt64s, mixed: Bools
    ) -> tuple[Bools, Bools, tuple[int, ...]]:
        """Per distinct key: seen with this payload; seen, but with another only; frames to read."""
        known = np.zeros(len(keys), np.bool_)
        hit = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            at = np.searchsorted(run.high, keys)
            at[at == len(run)] = 0
            found = run.high[at] == keys
            hit |= found
            same = (run.payload_high[at] == payload_high) & (run.payload_low[at] == payload_low)
            known |= found & same
        # Two facts that share a key are told apart by the stored facts, not by their position here.
        differs = hit & ~known
        frames = self.frames_with(keys[(differs | mixed) & hit])
        return known & ~mixed, differs, frames

    def frames_with(self, keys: UInt64s) -> tuple[int, ...]:
        """Numbers of the stored frames that hold a ``high`` among these keys, which are sorted."""
        found: set[int] = set()
        for run in self._runs if len(keys) else ():
            first = np.searchsorted(run.high, keys, side="left")
            last = np.searchsorted(run.high, keys, side="right")
            found.update(run.frame[first[last > first]].tolist())
            for row in np.flatnonzero(last > first + 1).tolist():
                found.update(run.frame[first[row] : last[row]].tolist())
        return tuple(sorted(found))


def _merged(older: _Run, newer: _Run) -> _Run:
    """Both runs as one: the newer rows' places are looked up, the older ones fill the rest."""
    size = len(older) + len(newer)
    at = np.searchsorted(older.high, newer.high, side="right") + np.arange(len(newer))
    kept = np.ones(size, np.bool_)
    kept[at] = False
    merged = []
    for old, new in zip(older.columns, newer.columns, strict=True):
        target = np.empty(size, old.dtype)
        target[at], target[kept] = new, old
        merged.append(target)
    return _Run(*merged)


def settle(
    verdict: Int8s,
    high: UInt64s,
    low: UInt64s,
    payloads: Payloads,
    stored: Mapping[Identity, bytes],
) -> Int8s:
    """Decide the doubtful rows in order, knowing the payload of every stored identity in question.

    Gives the verdicts with NEW, DUPLICATE or CONFLICT in place of DOUBTFUL. An identity stays what
    its first accepted row said: whatever differs from that is a conflict.
    """
    decided = verdict.copy()
    known = dict(stored)
    for row in np.flatnonzero(verdict == DOUBTFUL).tolist():
        identity = (int(high[row]), int(low[row]))
        if identity not in known:
            known[identity] = payloads.of(row)
            decided[row] = NEW
        else:
            same = payloads.repeats(known[identity], row)
            decided[row] = DUPLICATE if same else CONFLICT
    return decided
