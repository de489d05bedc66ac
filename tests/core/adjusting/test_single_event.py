"""Which credits of one event stand: as trying every set would say, in work that is bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.adjusting.single_event import best_together
from services.core.exact.compatible import MOST_SETS, TooManySets, compatible_sets

NAMES = [chr(ord("a") + number) for number in range(8)]
Pairs = Sequence[tuple[str, str]]


def by_trying(worth: Mapping[str | None, Fraction], adds: Pairs) -> tuple[str | None, ...]:
    """The best of all sets, as it was found before."""
    pairs = {frozenset(pair) for pair in adds}
    best: tuple[str | None, ...] = ()
    most = Fraction(-1)
    for size in range(1, len(worth) + 1):
        for chosen in combinations(sorted(worth, key=str), size):
            if all(frozenset(pair) in pairs for pair in combinations(chosen, 2)):
                value = sum((worth[each] for each in chosen), Fraction(0))
                if value > most:
                    best, most = chosen, value
    return best


@given(
    st.lists(st.sampled_from([None, *NAMES]), min_size=1, max_size=8, unique=True).flatmap(
        lambda names: st.tuples(
            *(st.tuples(st.just(name), st.integers(0, 4).map(Fraction)) for name in names)
        )
    ),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=24),
)
def test_the_best_set_is_the_one_that_trying_all_finds(
    worths: tuple[tuple[str | None, Fraction], ...], adds: list[tuple[str, str]]
) -> None:
    worth = dict(sorted(worths, key=lambda each: str(each[0])))
    assert best_together(worth, adds) == by_trying(worth, adds)


def in_threes(count: int) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Groups of three that may not stand together, and every pair across them."""
    names = tuple(f"n{number:02}" for number in range(count))
    pairs = tuple(
        (names[one], names[other])
        for one, other in combinations(range(count), 2)
        if one // 3 != other // 3
    )
    return names, pairs


@pytest.mark.parametrize("count", [26, 60])
def test_pairs_that_make_too_many_sets_are_refused(count: int) -> None:
    with pytest.raises(TooManySets, match=f"more than {MOST_SETS} ways"):
        compatible_sets(*in_threes(count))


def test_every_level_beside_every_other_is_one_set_however_many_there_are() -> None:
    names = tuple(f"n{number:03}" for number in range(120))
    assert compatible_sets(names, tuple(combinations(names, 2))) == (frozenset(names),)
    assert len(compatible_sets(names, ())) == len(names)
    assert len(compatible_sets(*in_threes(18))) == 3**6
