"""A dispute: something that a party does not accept, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.base import Instant, Name, Noun, Number, Text
from schemas.event import EventId, Subject
from schemas.money import MoneyAmount
from schemas.period import PeriodLabel, Window
from schemas.programme import SourceUri

DisputeSide = Literal["vendor", "buyer"]
"""A party to an agreement, by its side."""


class DisputeState(StrEnum):
    """Where a dispute stands."""

    RAISED = "raised"
    UNDER_REVIEW = "under_review"
    UPHELD = "upheld"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


class DisputeAct(StrEnum):
    """What a party may do to a dispute."""

    REVIEW = "review"
    UPHOLD = "uphold"
    DISMISS = "dismiss"
    WITHDRAW = "withdraw"


class DisputeEvent(Noun):
    """One step in a dispute's life; never changed. ``act`` None: it was raised."""

    act: DisputeAct | None
    state: DisputeState
    actor: Name
    comment: Text
    at: Instant


class DisputedFigure(Noun):
    """A figure that was counted for the period."""

    metric: Name
    subject: Subject | None = Field(None, description="Absent: of all together.")


class DisputedMeasurement(Noun):
    """An event that counts."""

    source: SourceUri = Field(description="The event's `source`.")
    id: EventId = Field(description="The event's `id`.")


class DisputedAbsence(Noun):
    """That nothing was reported where something should have been."""

    metric: Name
    subject: Subject | None = Field(None, description="Absent: of all together.")
    window: Window = Field(description="When; it has time in common with the period.")


class Contested(Noun):
    """What a dispute is about: one of line, figure, measurement and absence."""

    line: Text | None = Field(None, description="The name of a line of the statement.")
    figure: DisputedFigure | None = None
    measurement: DisputedMeasurement | None = None
    absence: DisputedAbsence | None = None


CONTESTED = tuple(Contested.model_fields)


class Dispute(Contested):
    """What a party to an agreement contests of a period, with its history."""

    dispute_id: UUID
    agreement: Name
    vendor: Name
    period: PeriodLabel
    revision: Annotated[int, Field(ge=1)] | None = Field(
        description="Of the statement at that time; null: there was none."
    )
    metric: Name | None = Field(
        description="Of a figure, a measurement or an absence. Null: the event has none."
    )
    effect: Number | None = Field(
        description="By how much the amount is wrong, as whoever raised it says, in main units."
    )
    error: bool | None = Field(description="Whether whoever raised it says that it is an error.")
    withheld: MoneyAmount | None = Field(
        description="What of its line is not due now, signed as the line is. Null: nothing is "
        "withheld by this dispute, what is disputed stays due."
    )
    raised_by: DisputeSide = Field(description="Who raised it; the other party decides on it.")
    state: DisputeState
    history: tuple[DisputeEvent, ...]
