"""Tickets in time, on the clock of the vendor that holds them.

The clock of a vendor runs while it holds the ticket, the ticket is not resolved, and its state is
none that stops the clock. Changes at or after the window's end are not known in it, unless the
question asks for what is said later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import msgspec

from schemas.evaluation import IncompleteOccurrence, Part, WholeOccurrence
from schemas.programme import TicketsInTime
from services.core.calendar.windows import business_us, instant
from services.core.counting.measures.boundaries import Extent
from services.core.counting.measures.question import (
    CountedFigure,
    Question,
    percent,
    positions,
    reference,
)

_MINUTE_US = 60_000_000


class _StateChange(msgspec.Struct):
    """The part of a ticket's data that moves its clock."""

    ticket: str
    state: str
    assigned_to: str | None = None
    priority: str | None = None
    sequence: int = -1
    subject: str | None = None


@dataclass(slots=True)
class _TicketState:
    """A ticket as it stands: who holds it, what it cost whom, whether it is resolved.

    ``has_start``: whether it is known when it began, by being opened or handed to somebody.
    """

    holder: str | None
    opened_us: int
    state: str = ""
    since_us: int = 0
    resolved_us: int | None = None
    priority: str | None = None
    subject: str | None = None
    has_start: bool = False
    clocks: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)

    def copied(self) -> _TicketState:
        """The same, untouched by what follows."""
        return replace(self, clocks=dict(self.clocks), held=dict(self.held), rows=list(self.rows))


@dataclass(frozen=True, slots=True)
class _TicketInWindow:
    """A ticket when the window began, when it ended, and as far as the question wants to know."""

    name: str
    before: _TicketState
    by_end: _TicketState
    known: _TicketState

    def extent(self) -> Extent:
        """From its first report until it is resolved."""
        return Extent(self.known.opened_us, self.known.resolved_us)


Share = Literal["counts", "open", "elsewhere"]
"""What a vendor's share of a ticket is in a window: it counts, is waited for, or neither."""


def in_time(question: Question, measure: TicketsInTime) -> CountedFigure:
    """Share of tickets resolved in time, in percent: a part per ticket and vendor.

    ``good``: parts in time. ``total``: parts. A part's amount is minutes on the vendor's clock.
    There is no value while a ticket that counts where it began may yet be in time.
    """
    tickets = question.told.about(
        question.need.subject,
        lambda: _tickets(question, measure),
        lambda each: (each.by_end.subject, each.known.subject),
    )
    shares = _shares(question, measure, tickets)
    counted, still_open = shares["counts"], shares["open"]
    incomplete = _never_opened(measure, (*counted, *still_open))
    if measure.incomplete != "from_first_change":
        counted = [(ticket, part) for ticket, part in counted if ticket.known.has_start]
        still_open = [(ticket, part) for ticket, part in still_open if ticket.known.has_start]
    touching = [
        (ticket, part)
        for ticket, part in shares["elsewhere"]
        if question.with_touching and ticket.extent().touches(question)
    ]
    good = sum(1 for _, part in counted if part.good)
    late = [_state(question, ticket).rows[-1] for ticket, part in counted if not part.good]
    looked_at = (*counted, *still_open, *touching)
    return CountedFigure(
        value=None if still_open else percent(good, len(counted)),
        rows=positions(row for ticket, _ in looked_at for row in _state(question, ticket).rows),
        good=Fraction(good),
        total=Fraction(len(counted)),
        telling=positions(late),
        parts=tuple(part for _, part in (*counted, *still_open)),
        touching=tuple(part for _, part in touching),
        unfinished=tuple(part.part for _, part in still_open),
        nothing=not counted and any(_is_heard_of(question, ticket) for ticket in tickets),
        incomplete=incomplete,
    )


def _is_heard_of(question: Question, ticket: _TicketInWindow) -> bool:
    """Whether a ticket shows that tickets are reported: it changed or is open in the window."""
    start, _ = question.bounds
    state = ticket.by_end
    if not state.rows or not question.is_about(state.subject):
        return False
    changed = any(int(question.facts.at_us[row]) >= start for row in state.rows)
    return changed or state.resolved_us is None


def _never_opened(
    measure: TicketsInTime, shares: Iterable[tuple[_TicketInWindow, Part]]
) -> tuple[IncompleteOccurrence, ...]:
    """Tickets of which a share counts and nobody knows when they began."""
    found = {part.part: part for ticket, part in shares if not ticket.known.has_start}
    return tuple(
        IncompleteOccurrence(
            part=part.part,
            subject=part.subject,
            missing="opened",
            counts="waits" if measure.incomplete == "wait" else measure.incomplete,
            events=part.events,
        )
        for part in found.values()
    )


def _shares(
    question: Question, measure: TicketsInTime, tickets: Iterable[_TicketInWindow]
) -> dict[Share, list[tuple[_TicketInWindow, Part]]]:
    """The vendors' shares of all tickets by what they are in this window, in order of their end."""
    found: dict[Share, list[tuple[_TicketInWindow, Part]]] = {
        "counts": [],
        "open": [],
        "elsewhere": [],
    }
    for ticket in tickets:
        state = _state(question, ticket)
        if measure.priorities and state.priority not in measure.priorities:
            continue
        if not question.is_about(state.subject):
            continue
        for holder in sorted(state.clocks):
            if measure.counts_for == "holder" and question.need.vendor not in (None, holder):
                continue
            part = _part(question, measure, ticket, holder)
            found[_share(question, measure, ticket, part)].append((ticket, part))
    for shares in found.values():
        shares.sort(
            key=lambda each: (each[1].end or question.window.end, each[1].part, each[0].known.rows)
        )
    return found


def _state(question: Question, ticket: _TicketInWindow) -> _TicketState:
    """The ticket as it counts: where it began by all that is known, else by the window's end."""
    begins = question.convention(ticket.known.opened_us) == "begins"
    return ticket.known if begins else ticket.by_end


def _tickets(question: Question, measure: TicketsInTime) -> Iterator[_TicketInWindow]:
    """Every ticket, brought up to the window's ends, and to what was said of it later."""
    start, end = question.bounds
    facts = question.facts
    changes: dict[tuple[int, str], list[tuple[int, int, int, _StateChange]]] = {}
    decoder = msgspec.json.Decoder(_StateChange)
    rows = question.rows
    for row in (rows if question.later else rows[facts.at_us[rows] < end]).tolist():
        question.budget.spend()
        change = decoder.decode(facts.data[row])
        key = int(facts.source[row]), change.ticket
        told = int(facts.at_us[row]), change.sequence, row, change
        changes.setdefault(key, []).append(told)
    for (source, name), told_of in changes.items():
        told_of.sort(key=lambda each: each[:3])
        ticket = _TicketState(question.holders.get(facts.sources[source]), told_of[0][0])
        ahead, seen = [start, end], []
        for at_us, _, row, change in told_of:
            while ahead and ahead[0] <= at_us:
                _advance(ticket, measure, ahead.pop(0))
                seen.append(ticket.copied())
            _advance(ticket, measure, at_us)
            _hear(ticket, change, at_us, question.vendors)
            ticket.rows.append(row)
        for at_us in ahead:
            _advance(ticket, measure, at_us)
            seen.append(ticket.copied())
        yield _TicketInWindow(name, seen[0], seen[1], ticket)


def _advance(ticket: _TicketState, measure: TicketsInTime, until_us: int) -> None:
    """Let the clock run from the last change to the next one."""
    since_us, ticket.since_us = ticket.since_us, until_us
    stands = ticket.resolved_us is not None or ticket.state in measure.stops_in
    if stands or ticket.holder not in ticket.clocks:
        return
    hours = measure.business_hours
    passed = until_us - since_us if hours is None else business_us(since_us, until_us, hours)
    ticket.clocks[ticket.holder] += passed


def _hear(ticket: _TicketState, change: _StateChange, at_us: int, vendors: frozenset[str]) -> None:
    """Take in a change of state or hands. Only ``reopened`` brings back what was resolved.

    Who gets a ticket after it was resolved, or is no vendor, has no clock.
    """
    if not ticket.state:  # the first change that is known: a clock needs its start
        handed_over = change.assigned_to is not None and change.state != "resolved"
        ticket.has_start = change.state == "opened" or handed_over
    if change.state == "resolved":
        ticket.resolved_us = at_us if ticket.resolved_us is None else ticket.resolved_us
    elif change.state == "reopened":
        ticket.resolved_us = None
    ticket.state = change.state
    ticket.holder = change.assigned_to or ticket.holder
    ticket.priority = change.priority or ticket.priority
    ticket.subject = change.subject or ticket.subject
    if ticket.holder in vendors and ticket.resolved_us in (None, at_us):
        ticket.clocks.setdefault(ticket.holder, 0)
        ticket.held.setdefault(ticket.holder, at_us)


def _share(
    question: Question, measure: TicketsInTime, ticket: _TicketInWindow, part: Part
) -> Share:
    """Whether a vendor's share of a ticket counts in this window."""
    late_if_open = measure.open_past_limit == "late" and not part.good
    if question.convention(ticket.known.opened_us) == "begins":
        if not ticket.extent().counts(question, "begins"):
            return "elsewhere"
        return "counts" if ticket.known.resolved_us is not None or late_if_open else "open"
    if measure.late_counts == "once" and not part.good:
        was_good = _is_good(measure, ticket.before.clocks.get(part.vendor or "", 0))
        return "counts" if was_good else "elsewhere"
    since, _ = question.bounds
    resolved = ticket.by_end.resolved_us
    if resolved is not None:
        return "counts" if resolved >= since else "elsewhere"
    return "counts" if late_if_open and ticket.by_end.holder == part.vendor else "elsewhere"


def _is_good(measure: TicketsInTime, us: int) -> bool:
    minutes = Fraction(us, _MINUTE_US)
    return minutes < measure.limit_minutes or (
        measure.equal_is_in_time and minutes == measure.limit_minutes
    )


def _part(question: Question, measure: TicketsInTime, ticket: _TicketInWindow, holder: str) -> Part:
    """A vendor's share of a ticket, with the minutes on its clock."""
    state = _state(question, ticket)
    return Part(
        part=ticket.name,
        subject=state.subject,
        vendor=holder,
        start=instant(state.held[holder]),
        end=None if state.resolved_us is None else instant(state.resolved_us),
        amount=Fraction(state.clocks[holder], _MINUTE_US),
        good=_is_good(measure, state.clocks[holder]),
        events=tuple(reference(question.facts, row) for row in state.rows),
        whole=_whole(question, ticket, holder),
    )


def _whole(question: Question, ticket: _TicketInWindow, holder: str) -> WholeOccurrence | None:
    """All of a share that reaches beyond the window; its time is that on the vendor's clock."""
    since, until = question.bounds
    extent = ticket.extent()
    if extent.start >= since and extent.end is not None and extent.end < until:
        return None
    return WholeOccurrence(
        start=instant(extent.start),
        end=None if extent.end is None else instant(extent.end),
        counts=question.convention(extent.start),
        amount=Fraction(ticket.known.clocks[holder], _MINUTE_US),
        before=Fraction(ticket.before.clocks.get(holder, 0), _MINUTE_US),
        so_far=Fraction(ticket.by_end.clocks.get(holder, 0), _MINUTE_US),
    )
