"""What finance hears: a statement was posted or adjusted, an entry was booked.

Data of the CloudEvents on the topics ``settlements`` and ``ledger-entries``. The full statement,
with results and evidence, is behind ``statement_path``; its digest is ``statement_sha256``.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.base import Name, Noun
from schemas.evaluation import Digest
from schemas.ledger_entry import LedgerEntry
from schemas.money import Currency, MinorUnits
from schemas.period import PeriodLabel
from schemas.statement import LineKind

STATEMENT_POSTED = "earnback.statement.posted.v1"
STATEMENT_ADJUSTED = "earnback.statement.adjusted.v1"
ENTRY_BOOKED = "earnback.ledger.entry.v1"

Revision = Annotated[int, Field(ge=1)]
DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]


class PostedLine(Noun):
    """One amount of the statement; positive: the vendor owes the buyer."""

    line: str
    kind: LineKind
    level: Name | None
    for_period: PeriodLabel
    minor_units: MinorUnits
    version: Annotated[int, Field(ge=1)]


class StatementPosted(Noun):
    """A statement as it now stands. ``difference_minor`` is what this run booked on top."""

    programme: Name
    agreement: Name
    version: Annotated[int, Field(ge=1, description="Agreement version in force.")]
    vendor: Name
    buyer: Name
    period: PeriodLabel
    revision: Revision
    supersedes: Revision | None
    run_id: UUID
    currency: Currency
    total_minor: MinorUnits
    total: DecimalText
    difference_minor: MinorUnits
    lines: tuple[PostedLine, ...]
    statement_sha256: Digest
    statement_path: str


class EntryBooked(LedgerEntry):
    """A ledger entry as booked, with its place in the book and its amount as text."""

    buyer: Name
    position: Annotated[int, Field(ge=1, description="Its number in the book; no holes.")]
    amount: DecimalText
