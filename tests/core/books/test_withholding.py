"""What of a disputed line is not due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dispute import DisputeSide
from services.core.books.withholding import withheld

AMOUNTS = st.integers(-(10**9), 10**9)
SIDES = st.sampled_from(["vendor", "buyer"])


@pytest.mark.parametrize(
    ("raised_by", "effect", "disputed", "posted", "expected"),
    [
        ("vendor", 50, 200, 200, 50),
        ("vendor", 500, 200, 200, 200),  # no more than there is
        ("vendor", 50, 200, 170, 20),  # 150 are undisputed, and stay due
        ("vendor", 50, 200, 150, 0),
        ("vendor", 50, 200, 300, 50),  # only so much was ever disputed
        ("vendor", 50, -200, -200, 0),  # a bonus: the buyer owes it
        ("buyer", 50, -200, -200, -50),
        ("buyer", 50, -200, -170, -20),
        ("buyer", 50, 200, 200, 0),  # a credit that should be more: what there is stays due
        ("vendor", 50, 200, -10, 0),
        ("vendor", 0, 200, 200, 0),
    ],
)
def test_who_owes_a_line_withholds_what_it_disputes(
    raised_by: DisputeSide, effect: int, disputed: int, posted: int, expected: int
) -> None:
    assert withheld(raised_by, effect=effect, disputed=disputed, posted=posted) == expected


@given(SIDES, st.integers(0, 10**9), AMOUNTS, AMOUNTS)
def test_the_undisputed_part_is_due_whatever_comes_later(
    raised_by: DisputeSide, effect: int, disputed: int, posted: int
) -> None:
    held = withheld(raised_by, effect=effect, disputed=disputed, posted=posted)
    sign = 1 if raised_by == "vendor" else -1
    due = posted - held
    assert 0 <= sign * held <= effect
    assert held * posted >= 0, "it is signed as the line is"
    assert abs(held) <= abs(posted)
    if sign * posted > 0:
        assert sign * due >= min(sign * posted, max(0, sign * disputed - effect))
