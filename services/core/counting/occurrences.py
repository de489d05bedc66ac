"""What events say of outages, tickets and deliveries: what a later one changes of it, or adds.

An event adds what nobody had said yet: the occurrence itself, the end of what was open, the
delivery of what was late. It changes what was said where it puts another moment, priority, worth or
subject in its place, takes an outage back, calls a delivery off, or tells of a ticket what comes
before what was told of it already.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from schemas.frame import Facts
from services.core.calendar.windows import microseconds
from services.core.counting.measures.outages import OutageHistory
from services.core.events.facts import DELIVERY, OUTAGE, TICKET
from services.core.exact.budget import UNBOUNDED, Budget

NAMED_BY = {OUTAGE: "outage", TICKET: "ticket", DELIVERY: "delivery"}
"""The kinds of events that say things of one occurrence, to the field that names it."""
_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class OccurrenceEvent:
    """What one event says. ``row``: of its fact. ``data``: as facts keep it."""

    row: int
    at_us: int
    data: Mapping[str, Any]

    @property
    def order(self) -> tuple[int, int, int]:
        """Its place in what is told of an occurrence."""
        return self.at_us, int(self.data.get("sequence", -1)), self.row


@dataclass(frozen=True, slots=True)
class ToldOccurrence:
    """All that one source says of an occurrence, in order of time."""

    kind: int
    metric: int
    source: str
    told: tuple[OccurrenceEvent, ...]


@dataclass(frozen=True, slots=True)
class OccurrenceChange:
    """What an event changes of what was said, or adds to it. Times in microseconds.

    ``first_us``: the first moment that it changes or adds. ``start_us``: when the occurrence began.
    ``longer``: 1 where it makes it clearly longer, -1 where clearly shorter; 0: cannot be told.
    ``only_calls_off``: what had not been delivered is owed no more, and nothing else changes.
    ``adds``: it says what nobody had said, and changes nothing else. ``is_first``: nothing was
    said of the occurrence before.
    """

    first_us: int
    start_us: int
    longer: int = 0
    only_calls_off: bool = False
    adds: bool = False
    is_first: bool = False


def told_occurrences(facts: Facts, budget: Budget = UNBOUNDED) -> tuple[ToldOccurrence, ...]:
    """The occurrences of which events tell. Raises OverBudget."""
    heard: dict[tuple[int, int, int, str], list[OccurrenceEvent]] = {}
    for row in np.flatnonzero(np.isin(facts.kind, list(NAMED_BY))).tolist():
        budget.spend(0)
        data, kind = msgspec.json.decode(facts.data[row]), int(facts.kind[row])
        key = kind, int(facts.metric[row]), int(facts.source[row]), data[NAMED_BY[kind]]
        heard.setdefault(key, []).append(OccurrenceEvent(row, int(facts.at_us[row]), data))
    return tuple(
        ToldOccurrence(
            kind, metric, facts.sources[source], tuple(sorted(told, key=lambda each: each.order))
        )
        for (kind, metric, source, _), told in heard.items()
    )


@dataclass(slots=True)
class OccurrenceSoFar:
    """What the events that count have said of an occurrence, one after another.

    ``is_admitted``: it was told after the close, and is believed: its end goes with it.
    """

    kind: int
    told: list[OccurrenceEvent] = field(default_factory=list)
    is_admitted: bool = False
    _said: Any = None

    def change(self, said: OccurrenceEvent, *, dated_back: bool) -> OccurrenceChange | None:
        """What an event changes of what was said, or adds; None where it does neither.

        ``dated_back``: it came after the close of the period in which it lies.
        """
        if self.kind == TICKET:
            return self._ticket(said, dated_back=dated_back)
        after = self._with(said)
        if self.kind == OUTAGE:
            found = _outage(self._said or OutageHistory(""), after)
        elif self.told:
            found = _delivery(_DeliverySaid.of(self._said), _DeliverySaid.of(after))
        else:
            found = _new_delivery(_DeliverySaid.of(after))
        if found is None or not found.adds:
            return found
        is_whole = self.is_admitted and found.longer < 0
        return replace(found, is_first=not self.told, longer=1 if is_whole else found.longer)

    def _ticket(self, said: OccurrenceEvent, *, dated_back: bool) -> OccurrenceChange | None:
        """Any change that is dated back, and what an open one does not become by itself."""
        if not self.told:
            new = OccurrenceChange(said.at_us, said.at_us, adds=True, is_first=True)
            return new if dated_back else None
        change = OccurrenceChange(said.at_us, min(self.told[0].at_us, said.at_us))
        if dated_back or said.order < self.told[-1].order:
            return change
        return change if _is_ticket_changed(self._said, self._with(said)) else None

    def hear(self, said: OccurrenceEvent) -> None:
        """Take in an event that counts."""
        self._said = self._with(said)
        insort(self.told, said, key=lambda each: each.order)

    def before(self, said: OccurrenceEvent) -> OccurrenceEvent:
        """The event whose word another one changes: the last before it, else the first."""
        place = bisect(self.told, said.order, key=lambda each: each.order)
        return self.told[max(place - 1, 0)]

    def steps(self, said: OccurrenceEvent) -> int:
        """How many events are looked at anew for one more: none for the last one in time."""
        is_last = not self.told or said.order > self.told[-1].order
        return 0 if is_last else len(self.told)

    def _with(self, said: OccurrenceEvent) -> Any:
        if not self.told or said.order > self.told[-1].order:
            return _then(self.kind, self._said, said)
        after: Any = None
        for each in sorted((*self.told, said), key=lambda each: each.order):
            after = _then(self.kind, after, each)
        return after


def _then(kind: int, before: Any, said: OccurrenceEvent) -> Any:
    """What is said of an occurrence after a further event; ``before`` stays as it is."""
    if kind == DELIVERY:
        return {**(before or {}), **said.data}
    if kind == TICKET:
        return (before or _TicketSaid()).then(said.data)
    outage = replace(before) if before is not None else OutageHistory("")
    outage.hear(said.at_us, said.data)
    outage.subject = said.data.get("subject", outage.subject)
    return outage


def _outage(before: OutageHistory, after: OutageHistory) -> OccurrenceChange | None:
    """A start, an end or a subject that was not said yet is added."""
    if before.void and after.void:
        return None
    moments = [*_changed(before.start, after.start), *_changed(before.end, after.end)]
    other_subject = before.subject not in (None, after.subject)
    known = [one for one in (before.start, after.start, before.end, after.end) if one is not None]
    if (before.void != after.void or other_subject) and known:
        moments.append(min(known))
    added = [*_added(before.start, after.start), *_added(before.end, after.end)]
    if before.subject != after.subject and known:
        added.append(min(known))
    if (after.void and not moments) or not (moments or added):
        return None
    is_moved = before.subject != after.subject and before.start is not None
    longer = 0 if other_subject or is_moved else _longer(before, after)
    return OccurrenceChange(min([*moments, *added]), min(known), longer, adds=not moments)


def _longer(before: OutageHistory, after: OutageHistory) -> int:
    if after.start is None or (before.start is None and before.end is not None):
        return 0
    if before.start is None:
        return 1
    if before.void != after.void:
        return -1 if after.void else 1
    ends = [_NEVER if each.end is None else each.end for each in (before, after)]
    if ends[0] < before.start or ends[1] < after.start:
        return 0
    if after.start <= before.start and ends[1] >= ends[0]:
        return 1
    return -1 if after.start >= before.start and ends[1] <= ends[0] else 0


def _changed(before: int | None, after: int | None) -> Iterator[int]:
    """The first moment that changes; none where nothing was said before."""
    if before is not None and after is not None and before != after:
        yield min(before, after)


def _added(before: int | None, after: int | None) -> Iterator[int]:
    """The moment that is said for the first time."""
    if before is None and after is not None:
        yield after


@dataclass(frozen=True, slots=True)
class _DeliverySaid:
    due: int
    delivered: int | None = None
    called_off: int | None = None
    value: object = None
    subject: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> _DeliverySaid:
        """The last word on every field."""
        due, delivered, called_off = (
            microseconds(datetime.fromisoformat(data[key])) if key in data else None
            for key in ("due_at", "delivered_at", "called_off_at")
        )
        assert due is not None, "accepted deliveries say when they are due"
        return cls(due, delivered, called_off, data.get("value"), data.get("subject"))

    @property
    def end(self) -> int:
        return min(_NEVER if one is None else one for one in (self.delivered, self.called_off))

    @property
    def is_owed(self) -> bool:
        return self.called_off is None or self.called_off > self.due


def _new_delivery(said: _DeliverySaid) -> OccurrenceChange:
    moments = (one for one in (said.due, said.delivered, said.called_off) if one is not None)
    return OccurrenceChange(min(moments), said.due, adds=True)


def _delivery(before: _DeliverySaid, after: _DeliverySaid) -> OccurrenceChange | None:
    """A delivery, a worth or a subject that was not said yet is added; that it is called off
    changes what was said."""
    moments = [*_changed(before.due, after.due), *_changed(before.delivered, after.delivered)]
    if after.called_off is not None and after.called_off != before.called_off:
        moments.append(min(after.called_off, before.called_off or _NEVER))
        if before.is_owed != after.is_owed:
            moments.append(after.due)
    other = before.value not in (None, after.value) or before.subject not in (None, after.subject)
    if other:
        moments.append(before.due)
    added = [*_added(before.delivered, after.delivered)]
    is_told_more = (before.value, before.subject) != (after.value, after.subject)
    if is_told_more:
        added.append(before.due)
    if not (moments or added):
        return None
    start, first = min(before.due, after.due), min([*moments, *added])
    longer = (after.end > before.end) - (after.end < before.end)
    if not moments:
        return OccurrenceChange(first, start, 0 if is_told_more else longer, adds=True)
    if not is_told_more and before.end == _NEVER and before.due == after.due:
        return OccurrenceChange(first, start, only_calls_off=True)
    if is_told_more or before.due != after.due or before.is_owed != after.is_owed:
        return OccurrenceChange(first, start)
    return OccurrenceChange(first, start, longer)


@dataclass(frozen=True, slots=True)
class _TicketSaid:
    priority: str | None = None
    subject: str | None = None
    resolved: bool = False

    def then(self, data: Mapping[str, Any]) -> _TicketSaid:
        state = data["state"]
        return replace(
            self,
            priority=data.get("priority") or self.priority,
            subject=data.get("subject") or self.subject,
            resolved=state == "resolved" or (self.resolved and state != "reopened"),
        )


def _is_ticket_changed(before: _TicketSaid, after: _TicketSaid) -> bool:
    """What is told of an open ticket, after all else, is its further life, but for another
    priority or subject than was said."""
    if before.resolved:
        return after != before
    reclassified = before.priority not in (None, after.priority)
    return reclassified or before.subject not in (None, after.subject)
