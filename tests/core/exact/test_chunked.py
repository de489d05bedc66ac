"""Work in chunks of rows comes to what the work at once does, whatever the chunk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.statement import canonical
from services.core.events.facts import by_identity, distinct, in_order
from services.core.exact import chunked
from services.core.exact.budget import Budget, OverBudget
from tests.core.counting.test_evaluation import EVENTS, LEVELS
from tests.core.said import PROBE, Said, evaluation_of, facts, moment

SMALL, LARGE = st.integers(-3, 3), st.integers(-(2**62), 2**62)
COLUMNS = st.one_of(
    st.lists(SMALL, max_size=40),
    st.lists(LARGE, max_size=40),
    st.lists(SMALL, max_size=40).map(sorted),
).map(lambda values: np.array(values, np.int64))
CHUNKS = st.integers(1, 12)


@contextmanager
def cut(rows: int) -> Iterator[None]:
    """So many rows at a time."""
    usual = chunked.ROWS
    chunked.ROWS = rows
    try:
        yield
    finally:
        chunked.ROWS = usual


@given(COLUMNS, CHUNKS)
def test_positions_are_those_of_the_stable_order(column: Any, rows: int) -> None:
    with cut(rows):
        found = chunked.argsort(column)
    assert found.tolist() == np.argsort(column, kind="stable").tolist()


@given(COLUMNS, st.lists(SMALL, max_size=5), CHUNKS)
def test_rows_are_found_by_their_values(column: Any, wanted: list[int], rows: int) -> None:
    with cut(rows):
        found = chunked.rows_in(column, np.array(wanted, np.int64))
    assert found.tolist() == [row for row, value in enumerate(column) if value in wanted]


@given(st.sets(st.integers(0, 60)).map(list), CHUNKS)
def test_positions_are_put_in_order(positions: list[int], rows: int) -> None:
    with cut(rows):
        found = chunked.ascending(np.array(positions, np.intp))
    assert found.tolist() == sorted(positions)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30), CHUNKS)
def test_facts_are_put_in_order_of_both_halves(pairs: list[tuple[int, int]], rows: int) -> None:
    halves = np.array(pairs, np.uint64).reshape(-1, 2)
    with cut(rows):
        found = in_order(halves[:, 0], halves[:, 1])
    assert found.tolist() == sorted(range(len(pairs)), key=lambda row: pairs[row])


@settings(max_examples=25, deadline=None)
@given(EVENTS, CHUNKS, st.integers(0, 9))
def test_an_evaluation_is_the_same_for_every_chunk(
    events: list[Said], rows: int, corrected: int
) -> None:
    said = {"corrects": f"e{corrected}", "reason": "a false one"}
    given_ = [*events, Said(PROBE, "fix", "correction", moment("2025-02-01 10:00"), said)]
    plain = canonical(evaluation_of(given_, LEVELS))
    with cut(rows):
        assert canonical(evaluation_of(given_, LEVELS)) == plain
        assert by_identity(facts(given_)).tolist() == distinct(facts(given_))[0].tolist()


@dataclass(slots=True, eq=False)
class _Asked(Budget):
    """Stops once it has been asked so often."""

    left: int = 0

    def spend(self, steps: int = 1) -> None:
        if not self.left:
            self.stop()
        self.left -= 1
        Budget.spend(self, steps)


@pytest.mark.parametrize("asked", range(6))
def test_it_ends_between_two_chunks(asked: int) -> None:
    column = np.arange(40)[::-1]
    with cut(10), pytest.raises(OverBudget, match="nobody waits"):
        chunked.argsort(column, _Asked(left=asked))
