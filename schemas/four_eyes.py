"""Four-eyes: which acts one person asks for and another one agrees to, and such a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import Field, model_validator

from schemas.base import Instant, Name, Noun, Text
from schemas.period import PeriodLabel

FourEyesAct = Literal["decisions", "closes", "contracts", "keys"]
FOUR_EYES_ACTS: tuple[FourEyesAct, ...] = get_args(FourEyesAct)


class FourEyes(Noun):
    """Which acts need two: the one who asks is not the one who agrees."""

    acts: Annotated[tuple[FourEyesAct, ...], Field(min_length=1)] = Field(
        description="decisions: circumstances by which a party decides, answers to proposals of "
        "them, and corrections of both. closes: orders to close a period, or to restate. "
        "contracts: versions of the programme and its agreements. keys: revoking keys of its "
        "parties."
    )
    expires_after_days: Annotated[int, Field(ge=1, le=366)] = Field(
        description="So many days of 24 hours a request can be agreed to."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.acts)) != len(self.acts):
            raise ValueError("an act is named twice; name each once")
        return self


RequestKind = Literal["decision", "close", "restatement", "agreement", "programme", "key"]
"""What is asked for."""
RequestState = Literal["open", "agreed", "declined", "expired", "done"]
"""agreed: it is carried out when it comes again, a decision by ingest in a moment. done: it was."""


class RequestActor(Noun):
    """Who asked or answered, and when."""

    key: str | None = Field(description="Prefix of the key. Null: none was used.")
    party: Name | None = Field(description="Whose key it was. Null: there was none.")
    role: str = Field(description="Of the key; command: with the database's own access.")
    person: str | None = Field(description="Who was named as the person. Null: nobody.")
    at: Instant


class FourEyesRequest(Noun):
    """An act that waits for the agreement of another, or what became of it."""

    request_id: UUID
    kind: RequestKind
    state: RequestState
    party: Name = Field(description="Whose act it is; another of its keys agrees.")
    programme: Name | None
    agreement: Name | None
    period: PeriodLabel | None
    about: str = Field(description="The version, the prefix of the key, the event, or the period.")
    content: Any = Field(description="What is asked for, as it would be carried out.")
    asked: RequestActor
    expires_at: Instant
    answered: RequestActor | None = Field(description="Who agreed or declined. Null: nobody yet.")
    reason: Text | None = Field(description="Why it was agreed to or declined.")
    outcome: str | None = Field(description="Where what it came to is found. Null: not done.")
