"""What ingest accepts: CloudEvents 1.0 whose data is one of a few kinds of fact.

Identity is ``(source, id)``. The payload is everything that has meaning: type, time and data.
Two events with one identity and one payload are the same event; with two payloads, a conflict.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints

from schemas.base import Count, Instant, Name, Noun, Number, Text
from schemas.period import DayLabel, PeriodLabel
from schemas.programme import SourceUri, Unit

EventId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
Subject = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
"""What the fact is about within its metric: a site, a probe's target, a ticket, an order."""


class Measured(Noun):
    """Data of a measurement: which metric, and about what within it."""

    metric: Name
    subject: Subject | None = None


class Sample(Measured):
    """One probe: the service answered or not."""

    up: StrictBool


class Counted(Measured):
    """Good out of total: deliveries, requests, calls."""

    good: Count
    total: Count


class Response(Measured):
    """One measured value, such as a response time."""

    value: Number
    unit: Unit


class Volume(Measured):
    """How much there was to do."""

    value: Number
    unit: Unit


class Outage(Measured):
    """An outage opens, closes, or is corrected. The same ``outage`` name joins the parts.

    Names are the source's own: two sources may use one name for two outages.
    ``open``: the event's time is the start. ``close``: the event's time is the end.
    ``correct``: ``started_at`` and ``ended_at`` replace what was said; ``void`` takes it back.
    """

    outage: Subject
    phase: Literal["open", "close", "correct"]
    started_at: Instant | None = None
    ended_at: Instant | None = None
    void: StrictBool = False
    cause: Text | None = None


class Ticket(Measured):
    """A ticket changes state or hands. The event's time is the moment of the change."""

    ticket: Subject
    state: Name = Field(description="opened, assigned, resolved, reopened, or a state of your own.")
    assigned_to: Name | None = Field(None, description="The vendor that holds it from now on.")
    priority: Name | None = None
    sequence: Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] | None = Field(
        None, description="Breaks ties of changes at one instant."
    )


class Delivery(Measured):
    """Something was due and was delivered, or not yet. The last word about it stands.

    Names are the source's own, as with outages and tickets. What is neither delivered nor called
    off goes on being late.
    """

    delivery: Subject
    due_at: Instant
    delivered_at: Instant | None = None
    called_off_at: Instant | None = Field(
        None, description="It is no longer owed from then on: its delay ends."
    )
    value: Number | None = Field(None, description="Value of what is late, in main units.")


class Figure(Measured):
    """A figure that a party declares for a whole period."""

    period: PeriodLabel
    value: Number
    unit: Unit


class Correction(Noun):
    """Takes back an earlier event of the same source, or puts other data or time in its place.

    With neither ``data`` nor ``time`` the event is taken back. The data replaces the original's
    whole data and must fit its type. Of several corrections of one event the last stands, by time
    and then id. A correction can itself be corrected: taken back, it leaves the event as it was.
    """

    corrects: EventId
    reason: Text
    data: dict[str, Any] | None = Field(
        None, description="Data that replaces the original's. Absent: it keeps its data."
    )
    time: Instant | None = Field(None, description="Replaces the original's time.")


class Charge(Noun):
    """What the vendor bills for a period: the base of percentages and at-risk amounts.

    A credit note stands beside the charge that it takes from, and is taken off it.
    """

    agreement: Name
    base: Name = Field(description="Which charge: a base that the agreement names.")
    period: PeriodLabel
    amount: Number = Field(description="In main units of the currency.")
    currency: str = Field(description="The agreement's own, or one that it converts.")
    subject: Subject | None = None
    dated: DayLabel | None = Field(
        None, description="The invoice's date; needed where its day decides the rate."
    )
    credit_note: Literal[True] | None = Field(
        None, description="The amount is below zero, and is taken off what is charged otherwise."
    )


Stated = Annotated[StrictBool | Number | str, Field(union_mode="left_to_right")]
"""A number where it reads as one, so that what is written reads back as itself.

True and false come first: asked in its turn, a number's writer would take them for 1 and 0.
"""


class Circumstance(Noun):
    """A fact about an agreement's period that no probe measures.

    Claims, excuses, notices, buyer's decisions, opening balances, months already settled: the
    agreement's terms name the circumstances they look at.
    """

    agreement: Name
    circumstance: Name
    period: PeriodLabel
    level: Name | None = None
    subject: Subject | None = None
    value: Number | None = None
    values: dict[Name, Stated] = Field(default_factory=dict)


class ProposalAnswer(Noun):
    """Takes over what another party has proposed, or rejects it. The last answer stands.

    A proposal is a charge, circumstance or figure stated by a party whose word does not count, or a
    correction by a party in its own interest that came after the close.
    """

    agreement: Name = Field(
        description="That of the proposal; of a figure, the one for which it is answered."
    )
    states: Literal["charge", "circumstance", "figure", "correction"]
    name: Name = Field(
        description="The proposal's base, circumstance or metric; of a correction, its event's."
    )
    period: PeriodLabel = Field(description="That of the proposal.")
    of_source: SourceUri = Field(description="The proposal's source.")
    of_id: EventId = Field(description="The proposal's id.")
    of_payload: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}([0-9a-f]{16})?$")] = Field(
        description="Hash of what the proposal says: one that is corrected is another proposal."
    )
    answer: Literal["accept", "reject"]
    reason: Text


EVENT_TYPES: dict[str, type[Noun]] = {
    "earnback.sample.v1": Sample,
    "earnback.count.v1": Counted,
    "earnback.response.v1": Response,
    "earnback.volume.v1": Volume,
    "earnback.outage.v1": Outage,
    "earnback.ticket.v1": Ticket,
    "earnback.delivery.v1": Delivery,
    "earnback.figure.v1": Figure,
    "earnback.correction.v1": Correction,
    "earnback.charge.v1": Charge,
    "earnback.circumstance.v1": Circumstance,
    "earnback.answer.v1": ProposalAnswer,
}
"""CloudEvents ``type`` to the model of its ``data``. Its position is the number in frames."""

KIND_OF_TYPE = {name: number for number, name in enumerate(EVENT_TYPES)}


class CloudEvent(Noun):
    """The envelope as ingest accepts it. Extension attributes are ignored and not part of identity.

    ``time`` is when the fact happened, with an offset.
    """

    specversion: Literal["1.0"]
    id: EventId
    source: SourceUri
    type: str
    time: Instant
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data: dict[str, Any]
