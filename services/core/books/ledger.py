"""What a statement books: the entries that bring the accounts from what is posted to what is owed.

The books are the buyer's. What a vendor owes stands on ``vendor:{vendor}:owes``; the other side is
the buyer's account for the kind of line. A run never edits: it books the difference between the
statement and all that earlier runs booked, so posting the same statement twice books nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec

from schemas.ledger_entry import LedgerEntry
from schemas.statement import LineKind, SettlementStatement, StatementLine

_NAMESPACE = UUID("5d3bcf0c-52a6-5d0e-9d0c-6e3a4f1f7a21")

_ACCOUNTS: dict[LineKind, str] = {
    "service_credit": "service_credits",
    "penalty": "penalties",
    "earn_back": "earn_backs",
    "bonus": "bonuses",
    "fee": "fees",
    "set_off": "set_offs",
    "deposit": "deposits",
}
"""Which of the buyer's accounts stands against the vendor's, by kind of line."""


class Position(NamedTuple):
    """Where an amount stands: a line of a statement on the two accounts it moves between.

    All fields belong to the identity. If a later run finds the same line with another level, kind,
    vendor or currency, the old position is booked back and the new one is booked anew.
    """

    line: str
    kind: LineKind
    level: str | None
    vendor: str
    buyer_account: str
    currency: str


def vendor_account(vendor: str) -> str:
    """The account of what a vendor owes the buyer; in debit while the vendor owes."""
    return f"vendor:{vendor}:owes"


def buyer_account(buyer: str, kind: LineKind) -> str:
    """The buyer's account that a kind of line is booked against."""
    return f"buyer:{buyer}:{_ACCOUNTS[kind]}"


def run_id(*, agreement: str, because_of: str, revision: int, caused_by: str | None = None) -> UUID:
    """The run that an evaluation causes: the same for every replay of that evaluation.

    ``caused_by``: the agreement evaluated, where it is another one that shares a cap.
    """
    evaluated = "" if caused_by is None else f"\0{caused_by}"
    return uuid5(_NAMESPACE, f"run\0{agreement}\0{because_of}\0{revision}{evaluated}")


def restatement_run_id(*, agreement: str, number: int) -> UUID:
    """The run that a person orders to restate periods, by its number among the agreement's runs."""
    return uuid5(_NAMESPACE, f"restated\0{agreement}\0{number}")


def statement_event_id(*, agreement: str, period: str, revision: int) -> UUID:
    """The id under which finance hears of one revision of a statement."""
    return uuid5(_NAMESPACE, f"statement\0{agreement}\0{period}\0{revision}")


def entry_event_id(entry_id: UUID) -> UUID:
    """The id under which finance hears of one ledger entry."""
    return uuid5(entry_id, "booked")


def withholding_event_id(dispute: UUID, number: int, posted: int, withheld: int) -> UUID:
    """The id under which finance hears of one change of what a dispute withholds.

    Made from what is told: after a restore, the same again is known, and another is another.
    """
    return uuid5(dispute, f"withheld\0{number}\0{posted}\0{withheld}")


def dispute_id(*, agreement: str, period: str, thing: str, number: int) -> UUID:
    """The dispute that is the n-th about a thing of a period: the same where it is raised again
    after a restore."""
    return uuid5(_NAMESPACE, f"dispute\0{agreement}\0{period}\0{thing}\0{number}")


def content_digest(statement: SettlementStatement) -> bytes:
    """SHA-256 over what a statement says, without the words in which its steps explain it and
    without the version of the rules that made it.

    A statement is issued anew where this differs: a better wording in a later release of the
    program does not touch what is issued, nor does a later version of the rules by itself.
    """
    bare = statement.model_copy(
        update={
            "lines": tuple(line.model_copy(update={"steps": ()}) for line in statement.lines),
            "results": tuple(each.model_copy(update={"steps": ()}) for each in statement.results),
        }
    )
    said = bare.model_dump(mode="json", exclude={"rules"})
    return sha256(msgspec.json.encode(said, order="sorted")).digest()


def targets(statement: SettlementStatement) -> dict[Position, int]:
    """The signed minor units that every position must hold once the statement is posted."""
    held: dict[Position, int] = {}
    for line in statement.lines:
        position = _position(statement, line)
        assert position not in held, f"line {line.line} stands twice in the statement"
        held[position] = line.minor_units
    assert sum(held.values()) == statement.total_minor, "the lines do not add up to the total"
    return held


def _position(statement: SettlementStatement, line: StatementLine) -> Position:
    return Position(
        line=line.line,
        kind=line.kind,
        level=line.level,
        vendor=statement.vendor,
        buyer_account=buyer_account(statement.buyer, line.kind),
        currency=statement.currency,
    )


def differences(
    posted: Mapping[Position, int], statement: SettlementStatement, *, run: UUID
) -> tuple[LedgerEntry, ...]:
    """The entries that a run books for one period.

    ``posted``: signed minor units that earlier runs booked for this agreement and period; positive
    where the vendor owes. A position that the statement no longer holds is booked back. Empty where
    all stands as it should. The order is that of the statement's lines, what vanished comes last.
    """
    due = targets(statement)
    versions = {line.line: line.version for line in statement.lines}
    ordered = [*due, *sorted(set(posted) - set(due), key=repr)]
    entries = []
    for position in ordered:
        difference = due.get(position, 0) - posted.get(position, 0)
        if difference:
            version = versions.get(position.line, statement.version)
            entries.append(_entry(position, difference, statement, version=version, run=run))
    return tuple(entries)


def _entry(
    position: Position,
    difference: int,
    statement: SettlementStatement,
    *,
    version: int,
    run: UUID,
) -> LedgerEntry:
    ours, theirs = position.buyer_account, vendor_account(position.vendor)
    debit, credit = (theirs, ours) if difference > 0 else (ours, theirs)
    name = "\0".join((statement.period, *(part or "" for part in position)))
    return LedgerEntry(
        entry_id=uuid5(run, name),
        run_id=run,
        programme=statement.programme,
        agreement=statement.agreement,
        version=version,
        vendor=position.vendor,
        period=statement.period,
        line=position.line,
        kind=position.kind,
        level=position.level,
        debit_account=debit,
        credit_account=credit,
        minor_units=abs(difference),
        currency=position.currency,
        facts_digest=statement.facts_digest,
    )


def owed(entry: LedgerEntry) -> int:
    """Signed minor units of an entry: positive where the vendor comes to owe the buyer more."""
    if entry.debit_account == vendor_account(entry.vendor):
        return entry.minor_units
    assert entry.credit_account == vendor_account(entry.vendor), "an entry without its vendor"
    return -entry.minor_units
