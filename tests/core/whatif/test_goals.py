"""The goal calculator: exact, rounded up where a part is left, and never by a guess."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.whatif.goals import units_owed


def test_ten_thousand_at_five_hundred_and_a_fifth_are_a_hundred_units() -> None:
    goal = units_owed(Fraction(10_000), Fraction(500), Fraction(20))
    assert (goal.deals, goal.units, goal.rounded_up) == (20, 100, False)
    assert goal.steps == ("10000 by 500 per deal = 20 deals", "20 deals by 20 % = 100 units")


def test_a_part_of_a_unit_is_a_whole_one_and_the_step_says_so() -> None:
    goal = units_owed(Fraction(10_000), Fraction(500), Fraction(30))
    assert (goal.exact_units, goal.units, goal.rounded_up) == (Fraction(200, 3), 67, True)
    assert goal.steps[-1] == "200/3 rounded up, a part counts as a whole unit: 67"


@pytest.mark.parametrize(
    ("target", "each", "percent", "reason"),
    [
        (0, 500, 20, "^the revenue target is 0, not above zero; state what is aimed at$"),
        (-1, 500, 20, "the revenue target is -1, not above zero"),
        (1, 0, 20, "the revenue per deal is 0, not above zero"),
        (1, -5, 20, "the revenue per deal is -5, not above zero"),
        (1, 5, 0, "the conversion rate is 0, not above zero"),
        (1, 5, -20, "the conversion rate is -20, not above zero"),
        (
            1,
            5,
            "100.1",
            "^the conversion rate is 100.1 %, but no more than all units become deals; state a "
            "percentage up to 100$",
        ),
    ],
)
def test_what_leads_to_no_goal_is_refused(
    target: int, each: int, percent: object, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        units_owed(Fraction(target), Fraction(each), Fraction(str(percent)))


positive = st.fractions(min_value=Fraction(1, 1000), max_value=10**9, max_denominator=1000)


@given(positive, positive, st.fractions(Fraction(1, 100), 100, max_denominator=100))
def test_the_units_reach_the_target_and_one_fewer_does_not(
    target: Fraction, each: Fraction, percent: Fraction
) -> None:
    units = units_owed(target, each, percent).units
    assert units * percent / 100 * each >= target
    assert (units - 1) * percent / 100 * each < target
