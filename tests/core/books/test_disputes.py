"""The life of a dispute, row by row."""

from __future__ import annotations

import pytest

from schemas.dispute import DisputeAct, DisputeSide, DisputeState
from services.core.books.disputes import NEXT_STATE, ActNotAllowed, after, may_act

ROWS = """
    raised        review    under_review
    raised        withdraw  withdrawn
    under_review  uphold    upheld
    under_review  dismiss   dismissed
    under_review  withdraw  withdrawn
"""
OPEN = {tuple(row.split()[:2]): row.split()[2] for row in ROWS.strip().splitlines()}


@pytest.mark.parametrize("state", DisputeState)
@pytest.mark.parametrize("act", DisputeAct)
def test_an_act_leads_where_the_table_says_and_nowhere_else(
    state: DisputeState, act: DisputeAct
) -> None:
    expected = OPEN.get((state.value, act.value))
    if expected is not None:
        assert after(state, act) == expected
        return
    with pytest.raises(ActNotAllowed, match=f"cannot {act.value} a dispute that is {state.value}"):
        after(state, act)


def test_an_act_that_is_not_open_is_told_those_that_are() -> None:
    with pytest.raises(ActNotAllowed) as refused:
        after(DisputeState.UNDER_REVIEW, DisputeAct.REVIEW)
    assert str(refused.value) == (
        "cannot review a dispute that is under_review; open acts: uphold, dismiss, withdraw"
    )
    with pytest.raises(ActNotAllowed) as refused:
        after(DisputeState.UPHELD, DisputeAct.WITHDRAW)
    assert str(refused.value) == (
        "cannot withdraw a dispute that is upheld; open acts: none, it is at its end"
    )


def test_every_state_has_a_row() -> None:
    assert set(NEXT_STATE) == set(DisputeState)


@pytest.mark.parametrize("raised_by", ["vendor", "buyer"])
def test_whoever_raised_it_withdraws_it_and_the_other_does_all_else(
    raised_by: DisputeSide,
) -> None:
    other: DisputeSide = "buyer" if raised_by == "vendor" else "vendor"
    for act in DisputeAct:
        assert may_act(raised_by, raised_by, act) == (act is DisputeAct.WITHDRAW)
        assert may_act(other, raised_by, act) == (act is not DisputeAct.WITHDRAW)
