"""What finance is told of a posting: CloudEvents whose ids are derived, so a repeat is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from schemas.base import Noun
from schemas.finance import (
    AMOUNT_RELEASED,
    AMOUNT_WITHHELD,
    ENTRY_BOOKED,
    STATEMENT_ADJUSTED,
    STATEMENT_POSTED,
    EntryBooked,
    PostedLine,
    StatementPosted,
    WithholdingChanged,
)
from schemas.ledger_entry import LedgerEntry
from schemas.money import amount_text
from schemas.statement import SettlementStatement
from services.core.books import ledger
from services.shell.outbox import Outgoing

SOURCE = "urn:earnback:settlement"
CONTENT_TYPE = "application/cloudevents+json"
BOOK_POSITION = "book-position"
"""Header: a statement's place in the book. After a restore the runs are settled again in that
order."""
SCHEMA_ROOT = "urn:earnback:schema:"


@dataclass(frozen=True, slots=True)
class SettlementTopics:
    """The topics that settlement reads and writes, by their declared names; see
    `services.shell.prefix.under`."""

    evaluations: str = "evaluations"
    settlements: str = "settlements"
    ledger_entries: str = "ledger-entries"


DECLARED = SettlementTopics()
"""As schemas/topics has them."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One period's new statement and what is booked for it."""

    statement: SettlementStatement
    body: bytes
    """Canonical JSON of the statement."""
    content_digest: bytes
    revision: int
    run_id: UUID
    entries: tuple[LedgerEntry, ...]

    @property
    def supersedes(self) -> int | None:
        """The revision that this one takes the place of."""
        return self.revision - 1 or None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the body."""
        return sha256(self.body).digest()


def statement_path(agreement: str, period: str, revision: int) -> str:
    """Where the API shows one revision of a statement."""
    return f"/v1/statements/{quote(agreement)}/{quote(period)}?revision={revision}"


def statement_event(posting: Posting, *, position: int, at: datetime) -> Outgoing:
    """The event of a statement posted for the first time, or adjusted since.

    ``position``: its place in the book.
    """
    statement = posting.statement
    identity = ledger.statement_event_id(
        agreement=statement.agreement, period=statement.period, revision=posting.revision
    )
    return _event(
        STATEMENT_POSTED if posting.revision == 1 else STATEMENT_ADJUSTED,
        identity,
        subject=f"{statement.agreement}/{statement.period}",
        key=statement.vendor,
        at=at,
        data=_posted(posting),
        headers={BOOK_POSITION: str(position)},
    )


def _posted(posting: Posting) -> StatementPosted:
    statement = posting.statement
    return StatementPosted(
        **{
            name: getattr(statement, name)
            for name in (
                "programme agreement version vendor buyer period currency total_minor".split()
            )
        },
        revision=posting.revision,
        supersedes=posting.supersedes,
        run_id=posting.run_id,
        total=amount_text(statement.total_minor, statement.currency),
        difference_minor=sum(
            ledger.owed(entry) for entry in posting.entries if entry.currency == statement.currency
        ),
        lines=tuple(
            PostedLine(**line.model_dump(include=set(PostedLine.model_fields)))
            for line in statement.lines
        ),
        statement_sha256=posting.digest.hex(),
        statement_path=statement_path(statement.agreement, statement.period, posting.revision),
    )


def entry_events(posting: Posting, *, first_position: int, at: datetime) -> Sequence[Outgoing]:
    """The events of a posting's entries, in the order of the book."""
    return [
        _event(
            ENTRY_BOOKED,
            ledger.entry_event_id(entry.entry_id),
            subject=f"{entry.agreement}/{entry.period}/{entry.line}",
            key=entry.vendor,
            at=at,
            data=EntryBooked(
                **entry.model_dump(),
                buyer=posting.statement.buyer,
                position=first_position + place,
                amount=amount_text(entry.minor_units, entry.currency),
            ),
        )
        for place, entry in enumerate(posting.entries)
    ]


def withholding_event(change: WithholdingChanged, *, at: datetime) -> Outgoing:
    """The event of an amount that is withheld, or due again."""
    more = abs(change.withheld_minor) > abs(change.withheld_minor - change.difference_minor)
    return _event(
        AMOUNT_WITHHELD if more else AMOUNT_RELEASED,
        ledger.withholding_event_id(
            change.dispute_id, change.number, change.line_minor, change.withheld_minor
        ),
        subject=f"{change.agreement}/{change.period}/{change.line}",
        key=change.vendor,
        at=at,
        data=change,
    )


def _event(
    kind: str,
    identity: UUID,
    *,
    subject: str,
    key: str,
    at: datetime,
    data: Noun,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Outgoing:
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(identity),
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA_ROOT + kind,
        "partitionkey": key,
        "data": data.model_dump(mode="json"),
    }
    return Outgoing(
        key=key,
        event_id=str(identity),
        body=msgspec.json.encode(envelope, order="sorted"),
        headers={"content-type": CONTENT_TYPE, **headers},
    )
