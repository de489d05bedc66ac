"""The audit in Postgres: each change is written down in its own transaction, with who made it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from schemas.audit import AuditAction
from services.shell.postgres import Connection

LONGEST_NAME = 200
"""Characters of a person's name, at most."""

_TURN = 0x6175_6469_7400
"""Number of the advisory lock that makes the numbers of entries follow the order of commits."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change.

    ``key``: prefix of the key, ``party``: whose it is; None where none is used. ``role``: that of
    the key, else command or installation. ``person``: as named by whoever uses the key.
    """

    key: str | None
    party: str | None
    role: str
    person: str | None = None

    def written(self) -> str:
        """In ASCII, for a header from one service to another."""
        return json.dumps(asdict(self))


INSTALLATION = Author(None, None, "installation")
"""What earnback does by itself, such as the keys that `earnback up` makes."""


def at_the_command_line(person: str | None) -> Author:
    """Somebody with the database's own access, and no key."""
    return Author(None, None, "command", person)


def written_author(text: str) -> Author:
    """The author that a header says. Raises ValueError for what `Author.written` never made."""
    try:
        return Author(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"no author: {error}") from error


def checked_person(text: str) -> str:
    """A person's name without space around it. Raises ValueError for what cannot be one."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a name has 1 to {LONGEST_NAME} printable characters, and no line breaks")
    return name


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """What is written down of a change.

    ``vendor``, ``buyer``: whom it concerns. ``about``: the version, prefix, number, run or id.
    """

    action: AuditAction
    about: str
    programme: str | None = None
    agreement: str | None = None
    period: str | None = None
    vendor: str | None = None
    buyer: str | None = None
    reason: str | None = None


async def record(connection: Connection, by: Author, change: AuditedChange) -> None:
    """Write a change down. Call it last in the transaction of the change: others wait from then."""
    await connection.execute("select pg_advisory_xact_lock($1)", _TURN)
    await connection.execute(
        "insert into audit_entry (action, key_prefix, party, role, person, programme, agreement,"
        " period, vendor, buyer, about, reason)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        change.action.value,
        by.key,
        by.party,
        by.role,
        by.person,
        change.programme,
        change.agreement,
        change.period,
        change.vendor,
        change.buyer,
        change.about,
        change.reason,
    )
