"""What ledger entries add up to: counted from the entries alone, for tests to compare with."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.ledger_entry import LedgerEntry
from services.core.books.ledger import Position, owed, vendor_account


def posted_by(entries: Iterable[LedgerEntry]) -> dict[Position, int]:
    """What entries of one agreement and period add up to, by position. Nothing stands at zero."""
    sums: dict[Position, int] = {}
    for entry in entries:
        debtor = vendor_account(entry.vendor)
        ours = entry.credit_account if entry.debit_account == debtor else entry.debit_account
        position = Position(entry.line, entry.kind, entry.level, entry.vendor, ours, entry.currency)
        sums[position] = sums.get(position, 0) + owed(entry)
    return {position: amount for position, amount in sums.items() if amount}


def balances(entries: Iterable[LedgerEntry]) -> dict[tuple[str, str], int]:
    """Debits minus credits by account and currency, in minor units; a currency sums to zero."""
    sums: dict[tuple[str, str], int] = {}
    for entry in entries:
        for account, amount in (
            (entry.debit_account, entry.minor_units),
            (entry.credit_account, -entry.minor_units),
        ):
            key = (account, entry.currency)
            sums[key] = sums.get(key, 0) + amount
    return sums
