"""The life of a dispute, row by row."""

from __future__ import annotations

import pytest

from schemas.dispute import DisputeAct, DisputeState
from services.core.disputes import NEXT_STATE, ActNotAllowed, after

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


def test_every_state_has_a_row() -> None:
    assert set(NEXT_STATE) == set(DisputeState)
