"""The audit: who changed what, when and why. One entry for each change, never edited."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from schemas.base import Instant, Name, Noun
from schemas.period import PeriodLabel


class AuditAction(StrEnum):
    """What was done."""

    PROGRAMME_APPLIED = "programme-applied"
    AGREEMENT_APPLIED = "agreement-applied"
    KEY_MADE = "key-made"
    KEY_REVOKED = "key-revoked"
    CLOSE_ORDERED = "close-ordered"
    RESTATEMENT_ORDERED = "restatement-ordered"
    DISPUTE_RAISED = "dispute-raised"
    DISPUTE_ACTED = "dispute-acted"
    PROPOSED = "proposed"
    PROPOSAL_ANSWERED = "proposal-answered"
    ANSWER_COUNTED = "answer-counted"
    REQUEST_MADE = "request-made"
    REQUEST_AGREED = "request-agreed"
    REQUEST_DECLINED = "request-declined"


class AuditEntry(Noun):
    """One change: who made it, when and why."""

    audit_id: UUID
    at: Instant
    action: AuditAction
    key: str | None = Field(
        description="Prefix of the key that was used. Null: none was, or it is another party's."
    )
    party: str | None = Field(description="Whose key it was. Null: there was no key.")
    role: str = Field(
        description="Role of the key; command: made at the command line with the database's own "
        "access; installation: made by earnback itself; event: stated by an event of the party, "
        "whatever key sent it."
    )
    person: str | None = Field(
        description="Who was named as the person. Null: nobody, or one of another party."
    )
    programme: Name | None
    agreement: Name | None
    period: PeriodLabel | None
    about: str = Field(
        description="What was changed: the version applied, the prefix of the key, the order "
        "to close, the run of the restatement, the id of the dispute, the proposal or the request."
    )
    reason: str | None = Field(description="Why. Null where the change asks for no reason.")
