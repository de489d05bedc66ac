"""The life of a dispute, as tables: which act leads where, and whose act it is."""

from __future__ import annotations

from types import MappingProxyType

from schemas.dispute import DisputeAct as Act
from schemas.dispute import DisputeSide
from schemas.dispute import DisputeState as State

NEXT_STATE = MappingProxyType(
    {
        State.RAISED: {Act.REVIEW: State.UNDER_REVIEW, Act.WITHDRAW: State.WITHDRAWN},
        State.UNDER_REVIEW: {
            Act.UPHOLD: State.UPHELD,
            Act.DISMISS: State.DISMISSED,
            Act.WITHDRAW: State.WITHDRAWN,
        },
        State.UPHELD: {},
        State.DISMISSED: {},
        State.WITHDRAWN: {},
    }
)
"""Upholding books nothing by itself: the correction of the fact does, as a difference."""

ACTS_OF_RAISER = frozenset({Act.WITHDRAW})
"""What the party that raised a dispute may do. All other acts are the other party's."""


class ActNotAllowed(Exception):
    """The act does not lead anywhere from where the dispute stands."""


def may_act(side: DisputeSide, raised_by: DisputeSide, act: Act) -> bool:
    """Whether an act is for that side of a dispute."""
    return (side == raised_by) == (act in ACTS_OF_RAISER)


def after(state: State, act: Act) -> State:
    """The state that an act leads to. Raises ActNotAllowed, naming the acts that are open."""
    try:
        return NEXT_STATE[state][act]
    except KeyError:
        open_acts = ", ".join(NEXT_STATE[state]) or "none, it is at its end"
        raise ActNotAllowed(
            f"cannot {act} a dispute that is {state}; open acts: {open_acts}"
        ) from None
