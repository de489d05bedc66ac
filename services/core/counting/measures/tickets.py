"""Tickets in time, on the clock of the vendor that holds them.

The clock of a vendor runs while it holds the ticket, the ticket is not resolved, and its state is
none that stops the clock. Changes at or after the window's end are not known in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import msgspec

from schemas.evaluation import Part
from schemas.programme import TicketsInTime
from services.core.calendar.windows import business_us, instant
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
    """A ticket as it stands: who holds it, what it cost whom, whether it is resolved."""

    holder: str | None
    state: str = ""
    since_us: int = 0
    resolved_us: int | None = None
    priority: str | None = None
    subject: str | None = None
    clocks: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)


def in_time(question: Question, measure: TicketsInTime) -> CountedFigure:
    """Share of tickets resolved in time, in percent: a part per ticket and vendor.

    ``good``: parts in time. ``total``: parts. A part's amount is minutes on the vendor's clock.
    """
    counted: list[tuple[_TicketState, Part]] = []
    for name, ticket in _tickets(question, measure):
        if measure.priorities and ticket.priority not in measure.priorities:
            continue
        if not question.is_about(ticket.subject):
            continue
        counted.extend((ticket, part) for part in _parts(question, measure, name, ticket))
    counted.sort(key=lambda each: (each[1].end or question.window.end, each[1].part, each[0].rows))
    good = sum(1 for _, part in counted if part.good)
    late = [ticket.rows[-1] for ticket, part in counted if not part.good]
    return CountedFigure(
        value=percent(good, len(counted)),
        rows=positions(row for ticket, _ in counted for row in ticket.rows),
        good=Fraction(good),
        total=Fraction(len(counted)),
        telling=positions(late),
        parts=tuple(part for _, part in counted),
    )


def _tickets(question: Question, measure: TicketsInTime) -> Iterable[tuple[str, _TicketState]]:
    """Every ticket, brought up to the window's end."""
    _, end = question.bounds
    facts = question.facts
    changes: dict[tuple[int, str], list[tuple[int, int, int, _StateChange]]] = {}
    decoder = msgspec.json.Decoder(_StateChange)
    for row in question.rows[facts.at_us[question.rows] < end].tolist():
        change = decoder.decode(facts.data[row])
        key = int(facts.source[row]), change.ticket
        told = int(facts.at_us[row]), change.sequence, row, change
        changes.setdefault(key, []).append(told)
    for (source, name), told_of in changes.items():
        ticket = _TicketState(holder=question.holders.get(facts.sources[source]))
        for at_us, _, row, change in sorted(told_of, key=lambda each: each[:3]):
            _advance(ticket, measure, at_us)
            _hear(ticket, change, at_us, question.vendors)
            ticket.rows.append(row)
        _advance(ticket, measure, end)
        yield name, ticket


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


def _parts(
    question: Question, measure: TicketsInTime, name: str, ticket: _TicketState
) -> Iterable[Part]:
    """The vendors' shares of a ticket that counts in this window."""
    start, _ = question.bounds
    if ticket.resolved_us is not None:
        if ticket.resolved_us < start:
            return
        holders = sorted(ticket.clocks)
    elif measure.open_past_limit == "late" and ticket.holder in ticket.clocks:
        holders = [ticket.holder]
    else:
        return
    for holder in holders:
        if measure.counts_for == "holder" and question.need.vendor not in (None, holder):
            continue
        minutes = Fraction(ticket.clocks[holder], _MINUTE_US)
        good = minutes < measure.limit_minutes or (
            measure.equal_is_in_time and minutes == measure.limit_minutes
        )
        if ticket.resolved_us is None and good:
            continue
        yield Part(
            part=name,
            subject=ticket.subject,
            vendor=holder,
            start=instant(ticket.held[holder]),
            end=None if ticket.resolved_us is None else instant(ticket.resolved_us),
            amount=minutes,
            good=good,
            events=tuple(reference(question.facts, row) for row in ticket.rows),
        )
