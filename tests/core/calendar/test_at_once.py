"""What lies in so many sets of time at once: of outages, when so many parts are down together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.core.calendar.intervals import Interval, at_least, common, holds, length, merged

SETS = st.lists(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=5).map(merged),
    min_size=2,
    max_size=4,
)


@given(SETS, st.integers(1, 4))
def test_it_is_what_each_moment_says(sets: list[list[Interval]], many: int) -> None:
    found = at_least(sets, many)
    assert found == merged(found)
    for moment in range(61):
        inside = sum(holds(one, moment) for one in sets)
        assert holds(found, moment) == (inside >= many)


@given(SETS)
def test_any_of_them_is_their_union_and_no_longer_than_their_sum(
    sets: list[list[Interval]],
) -> None:
    union = at_least(sets, 1)
    assert union == merged(span for one in sets for span in one)
    together = sum(length(one) for one in sets)
    assert length(union) <= together
    # Where parts never meet none are down at once, and what any of them is down adds up.
    assert (length(union) == together) == (not at_least(sets, 2))


@given(SETS, st.integers(1, 4), st.integers(0, 60))
def test_cutting_the_window_in_two_changes_nothing(
    sets: list[list[Interval]], many: int, cut: int
) -> None:
    halves = [
        at_least([common(one, [span]) for one in sets], many) for span in ((0, cut), (cut, 61))
    ]
    assert merged([*halves[0], *halves[1]]) == at_least(sets, many)
