"""One decision for every view: whose a thing is, who asks, and what the programme reveals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.role import ROLES, Role
from services.core.visibility.extent import Belonging, Viewer, extent

OWN = Belonging("town", "nimbus")
BUYERS = Belonging("town", None, frozenset({"nimbus"}))


@pytest.mark.parametrize(
    ("party", "role", "seen"),
    [
        ("nimbus", "vendor", "whole"),
        ("cirrus", "vendor", "nothing"),
        ("town", "procurement", "whole"),
        ("town", "finance", "whole"),
        ("village", "procurement", "nothing"),
        ("village", "finance", "nothing"),
        ("operator", "admin", "whole"),
        ("nimbus", "probe", "nothing"),
    ],
)
def test_what_is_a_vendors_is_seen_by_it_its_buyer_and_the_operator(
    party: str, role: Role, seen: str
) -> None:
    assert extent(Viewer(party, role), OWN) == seen


def test_what_the_buyer_states_is_seen_by_the_vendor_that_is_settled_by_it() -> None:
    assert extent(Viewer("nimbus", "vendor"), BUYERS) == "whole"
    assert extent(Viewer("cirrus", "vendor"), BUYERS) == "nothing"


@pytest.mark.parametrize(
    ("revealed", "seen"), [("nothing", "nothing"), ("figures", "reference"), ("events", "whole")]
)
def test_what_is_anothers_is_seen_as_far_as_the_programme_reveals_it(
    revealed: str, seen: str
) -> None:
    shared = Belonging("town", "cirrus", frozenset({"nimbus"}), revealed)  # type: ignore[arg-type] # one of three
    assert extent(Viewer("nimbus", "vendor"), shared) == seen
    assert extent(Viewer("fractus", "vendor"), shared) == "nothing"
    assert extent(Viewer("village", "procurement"), shared) == "nothing"


PARTIES = st.sampled_from(["town", "village", "nimbus", "cirrus"])


@given(
    PARTIES,
    st.sampled_from(ROLES),
    st.sampled_from(["nimbus", "cirrus", None]),
    st.frozensets(PARTIES),
)
def test_a_stranger_sees_nothing_unless_it_is_settled_by_it(
    party: str, role: Role, vendor: str | None, settles: frozenset[str]
) -> None:
    seen = extent(Viewer(party, role), Belonging("town", vendor, settles, "events"))
    mine = (
        role == "admin"
        or (role in ("procurement", "finance") and party == "town")
        or (role == "vendor" and (party == vendor or party in settles))
    )
    assert (seen != "nothing") == mine
