"""What finance hears: a statement was posted or adjusted, an entry was booked, and what of a
disputed line is not due.

Data of the CloudEvents on the topics ``settlements`` and ``ledger-entries``. The full statement,
with results and evidence, is behind ``statement_path``; its digest is ``statement_sha256``.
"""

from __future__ import annotations

from typing import Annotated, Literal
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
AMOUNT_WITHHELD = "earnback.amount.withheld.v1"
AMOUNT_RELEASED = "earnback.amount.released.v1"

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


class WithholdingChanged(Noun):
    """What of a line in dispute is not due from now on. The line and what is booked stay as they
    are; amounts are signed as the line is: positive where the vendor owes."""

    programme: Name
    agreement: Name
    vendor: Name
    buyer: Name
    period: PeriodLabel
    line: str
    dispute_id: UUID
    number: Annotated[int, Field(ge=1, description="Of the dispute's changes; no holes.")]
    because: Literal["raised", "revised", "ended"] = Field(
        description="The dispute was raised; a further revision changed its line; it has ended."
    )
    currency: Currency
    line_minor: MinorUnits = Field(description="What the line comes to by now.")
    withheld_minor: MinorUnits = Field(description="Not due from now on; 0: all of it is due.")
    difference_minor: MinorUnits = Field(description="To what was withheld before.")
    due_minor: MinorUnits = Field(description="What of the line is due from now on.")
    withheld: DecimalText
    due: DecimalText
