"""A dispute: a statement line that its vendor does not accept, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.base import Instant, Name, Noun, Text
from schemas.period import PeriodLabel


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


class Dispute(Noun):
    """A line of one revision of a statement that the vendor contests, with its history."""

    dispute_id: UUID
    agreement: Name
    vendor: Name
    period: PeriodLabel
    revision: Annotated[int, Field(ge=1)]
    line: str
    state: DisputeState
    history: tuple[DisputeEvent, ...]
