"""The index of accepted identities against a plain dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.evaluator import identity_index as index

# A tiny space of hashes, so that equal halves, equal identities and equal payloads all happen.
ROW = st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(0, 2))
BATCHES = st.lists(st.lists(ROW, max_size=30), max_size=12)


class Oracle:
    """Identity to payload, and nothing clever."""

    def __init__(self) -> None:
        self.accepted: dict[tuple[int, int], int] = {}

    def take(self, rows: list[tuple[int, int, int]]) -> list[int]:
        return [self._verdict((high, low), payload) for high, low, payload in rows]

    def _verdict(self, identity: tuple[int, int], payload: int) -> int:
        if identity not in self.accepted:
            self.accepted[identity] = payload
            return index.NEW
        same = self.accepted[identity] == payload
        return index.DUPLICATE if same else index.CONFLICT


def told_apart(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Rows whose payloads differ between identities, as 64-bit hashes do.

    Equal halves of two identities together with equal payloads would be taken for a repetition.
    """
    return [(high, low, payload * 10 + low) for high, low, payload in rows]


def columns(rows: list[tuple[int, int, int]]) -> list[np.ndarray]:
    """High, low, and both halves of the payload's hash."""
    places = [np.array([row[place] for row in rows], np.uint64) for place in range(3)]
    return [*places, places[2] % np.uint64(7) + np.uint64(1)]


class Said:
    """What rows say, as `services.evaluator.payloads.Payloads` has it."""

    def __init__(self, rows: list[tuple[int, int, int]]) -> None:
        self._rows = rows

    def of(self, row: int) -> bytes:
        return self._rows[row][2].to_bytes(16, "big")

    def repeats(self, stands: bytes, row: int) -> bool:
        return stands == self.of(row)


def take(
    seen: index.Seen, store: dict[int, list[tuple[int, int, int]]], rows: list[tuple[int, int, int]]
) -> list[int]:
    """One step as the consumer makes it: judge, read the doubtful frames, settle, store, add."""
    high, low, *payload = columns(rows)
    judged = seen.judge(high, low, *payload)
    stored = {
        (one, two): told.to_bytes(16, "big")
        for frame in judged.frames
        for one, two, told in store[frame]
    }
    verdict = index.settle(judged.verdict, high, low, Said(rows), stored)
    fresh = verdict == index.NEW
    number = len(store)
    store[number] = [row for row, new in zip(rows, fresh.tolist(), strict=True) if new]
    numbers = np.full(int(fresh.sum()), number, np.uint32)
    seen.add(high[fresh], *(half[fresh] for half in payload), numbers)
    return verdict.tolist()


@settings(max_examples=400, deadline=None)
@given(BATCHES)
def test_every_row_gets_the_verdict_that_a_dict_gives(batches):
    batches = [told_apart(rows) for rows in batches]
    oracle, seen, store = Oracle(), index.Seen(), {}
    for rows in batches:
        assert take(seen, store, rows) == oracle.take(rows)
    assert len(seen) == len(oracle.accepted)


@settings(max_examples=100, deadline=None)
@given(st.lists(ROW, max_size=60), st.integers(1, 60))
def test_where_the_batches_are_cut_changes_no_verdict(rows, size):
    rows = told_apart(rows)
    whole = take(index.Seen(), {}, rows)
    seen, store, cut = index.Seen(), {}, []
    for first in range(0, len(rows), size):
        cut += take(seen, store, rows[first : first + size])
    assert cut == whole


def test_of_equal_rows_in_one_batch_the_first_is_new():
    seen = index.Seen()
    judged = seen.judge(*columns([(5, 1, 9), (3, 1, 8), (5, 1, 9)]))
    assert judged.verdict.tolist() == [index.NEW, index.NEW, index.DUPLICATE]


def test_a_doubt_names_only_the_frames_that_can_settle_it():
    seen = index.Seen()
    for frame in range(10):
        high = np.arange(frame * 100, frame * 100 + 100, dtype=np.uint64)
        seen.add(high, high, high % np.uint64(7) + np.uint64(1), np.full(100, frame, np.uint32))
    judged = seen.judge(*columns([(350, 0, 1), (999, 0, 999), (5000, 0, 1)]))
    assert judged.verdict.tolist() == [index.DOUBTFUL, index.DUPLICATE, index.NEW]
    assert judged.frames == (3,)


def test_runs_stay_few_and_cost_28_bytes_an_event():
    rng = np.random.default_rng(7)
    seen = index.Seen()
    for frame in range(200):
        high, payload = rng.integers(0, 2**64, (2, 500), dtype=np.uint64)
        seen.add(high, payload, payload, np.full(500, frame, np.uint32))
    assert len(seen) == 100_000
    assert seen.nbytes == 28 * len(seen)
    assert len(seen._runs) <= 9
