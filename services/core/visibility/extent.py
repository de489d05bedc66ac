"""The one decision: how much of a thing a party sees. Every view asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.programme import VendorsSee
from schemas.role import Role

Visibility = Literal["whole", "reference", "nothing"]
"""All of it; that it is there, and its figures, without a word of whose or which; or nothing."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a party in a role."""

    party: str
    role: Role


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whose a thing is: of a programme of ``buyer``, and there of a vendor or of the buyer itself.

    ``vendor`` None: the buyer's own. ``settles``: the vendors whose agreements are settled by it.
    ``revealed``: what the programme lets these see of a thing that is another vendor's.
    """

    buyer: str
    vendor: str | None
    settles: frozenset[str] = frozenset()
    revealed: VendorsSee = "nothing"


def extent(viewer: Viewer, thing: Belonging) -> Visibility:
    """How much of a thing a viewer sees."""
    match viewer.role:
        case "admin":
            return "whole"
        case "procurement" | "finance":
            return "whole" if viewer.party == thing.buyer else "nothing"
        case "vendor":
            return _of_vendor(viewer.party, thing)
        case "probe":
            return "nothing"


def _of_vendor(party: str, thing: Belonging) -> Visibility:
    if thing.vendor == party:
        return "whole"
    if party not in thing.settles:
        return "nothing"
    return "whole" if thing.vendor is None else _REVEALED[thing.revealed]


_REVEALED: dict[VendorsSee, Visibility] = {
    "nothing": "nothing",
    "figures": "reference",
    "events": "whole",
}
