"""The SQL that reads the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.audit import AuditAction, AuditEntry
from services.settlement.queries import DatabaseRow
from services.shell.http.seal import Seal
from services.shell.postgres import Connection

CLOSE = "close"
"""The kind of id that an order to close goes out under."""

_ENTRY = """
    (select number, recorded_at, action, key_prefix, party, role, person, programme, agreement,
            period, about, reason
       from audit_entry
      where {mine} and number > $1 and ($2::text is null or agreement = $2)
        and ($3::text is null or action = $3)
      order by number limit $4)
"""
_OF_VENDOR = ("vendor = $5", "vendor is null and programme = any($6::text[])")
_OF_BUYER = ("buyer = $5",)


@dataclass(frozen=True, slots=True)
class AuditScope:
    """What of the audit somebody may read: what concerns a vendor or a buyer; None: all.

    ``programmes``: those that the vendor takes part in; a version of one concerns all its vendors.
    """

    vendor: str | None
    buyer: str | None
    programmes: Sequence[str]


async def entries(
    connection: Connection,
    scope: AuditScope,
    *,
    agreement: str | None,
    action: AuditAction | None,
    after: int,
    limit: int,
) -> list[DatabaseRow]:
    """Entries in the order of commits, each found by an index of whom it concerns."""
    given: list[object] = [after, agreement, action.value if action else None, limit]
    mine: tuple[str, ...] = ("true",)
    if scope.vendor is not None:
        mine, given = _OF_VENDOR, [*given, scope.vendor, list(scope.programmes)]
    elif scope.buyer is not None:
        mine, given = _OF_BUYER, [*given, scope.buyer]
    parts = " union all ".join(_ENTRY.format(mine=each) for each in mine)
    rows: list[DatabaseRow] = await connection.fetch(
        f"select * from ({parts}) found order by number limit $4",  # noqa: S608 texts of this file
        *given,
    )
    return rows


def id_of(row: DatabaseRow, seal: Seal) -> UUID:
    """The id that an entry goes out under."""
    return seal.hide("audit", row["number"])


def from_row(row: DatabaseRow, seal: Seal, *, reader: str | None) -> AuditEntry:
    """An entry as a party reads it: key and person of another party are withheld.

    ``reader``: None for the operator, who reads all.
    """
    own = reader is None or row["party"] == reader
    ordered = row["action"] == AuditAction.CLOSE_ORDERED
    return AuditEntry(
        audit_id=id_of(row, seal),
        at=row["recorded_at"],
        action=row["action"],
        key=row["key_prefix"] if own else None,
        party=row["party"],
        role=row["role"],
        person=row["person"] if own else None,
        programme=row["programme"],
        agreement=row["agreement"],
        period=row["period"],
        about=str(seal.hide(CLOSE, int(row["about"]))) if ordered else row["about"],
        reason=row["reason"],
    )
