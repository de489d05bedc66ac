"""Which role may send which kinds of event. The one table of it, for HTTP and for Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from schemas.role import Role
from services.core.events.facts import (
    COUNT,
    DELIVERY,
    OUTAGE,
    RESPONSE,
    SAMPLE,
    TICKET,
    TYPE_OF_KIND,
    VOLUME,
)

_MEASURED = frozenset({SAMPLE, COUNT, RESPONSE, VOLUME, OUTAGE, TICKET, DELIVERY})
_ALL = frozenset(range(len(TYPE_OF_KIND)))

MAY_SEND: Mapping[Role, frozenset[int]] = MappingProxyType(
    {
        "vendor": _ALL,
        "procurement": _ALL,
        "finance": frozenset(),
        "admin": _ALL,
        # A correction may be of any kind of event, and which one is not known when it comes.
        "probe": _MEASURED,
    }
)
"""Role to the kinds that it may send. Whose sources they may come from is another question."""


class Sender(NamedTuple):
    """Who sends, as the door has made sure of it.

    ``party``: whose sources the events must be of. ``role``: that of the key; an intake topic's
    is that of its vendor.
    """

    party: str
    role: Role


def instead_of(role: Role) -> str:
    """What to do with an event that a role may not send."""
    kinds = ", ".join(TYPE_OF_KIND[kind] for kind in sorted(MAY_SEND[role]))
    own = f"; this one sends {kinds}" if kinds else "; this one reads and sends nothing"
    able = [name for name, kinds in MAY_SEND.items() if kinds == _ALL]
    return f"use a key of the role {', '.join(able[:-1])} or {able[-1]}{own}"
