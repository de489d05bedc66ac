"""When an occurrence may matter, by what its events say: without putting it together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from services.core.calendar.windows import microseconds
from services.core.events.facts import OUTAGE, TICKET

_SAID = {OUTAGE: ("started_at", "ended_at"), TICKET: ()}
_OF_DELIVERIES = ("due_at", "delivered_at", "called_off_at")


class SaidTimes(NamedTuple):
    """The moments that one event names, in microseconds since 1970 UTC.

    ``first_us``, ``last_us``: of all of them, its own time among them. ``ended_us``: when it says
    that the occurrence was over; ``reopened_us``: that it is so no more. None: it says nothing.
    """

    first_us: int
    last_us: int
    ended_us: int | None
    reopened_us: int | None


def said_times(kind: int, at_us: int, data: Mapping[str, Any]) -> SaidTimes:
    """What an event of an outage, a ticket or a delivery says of time. ``data``: as facts keep it.

    An occurrence lies between the first and the last moment of all its events, once one has ended
    it and none has reopened it at that time or later; until then it may matter to all that follows.
    """
    moments = {
        name: microseconds(datetime.fromisoformat(data[name]))
        for name in _SAID.get(kind, _OF_DELIVERIES)
        if isinstance(data.get(name), str)
    }
    ended = [moments[name] for name in moments if name not in ("started_at", "due_at")]
    if data.get("phase") == "close" or data.get("state") == "resolved":
        ended.append(at_us)
    every = (at_us, *moments.values())
    return SaidTimes(
        min(every),
        max(every),
        max(ended, default=None),
        at_us if data.get("state") == "reopened" else None,
    )
