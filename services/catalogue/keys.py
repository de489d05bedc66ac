"""API keys in Postgres: made, shown once, kept as a digest, revoked."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from schemas.audit import AuditAction
from schemas.programme import Programme
from schemas.role import ROLES, Role
from services.catalogue.api_key import MARK, ApiKey, digest
from services.catalogue.audit import INSTALLATION, AuditedChange, Author, record
from services.catalogue.four_eyes import RequestedAct, days_for, digest_of, let_through
from services.catalogue.revision import move
from services.catalogue.stored import programme_of
from services.shell.postgres import Connection


class UnknownKey(ValueError):
    """No such key to revoke."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is kept of a key, beside its digest. ``revoked_at``: None while it is taken."""

    prefix: str
    party: str
    role: Role
    label: str
    created_at: datetime
    revoked_at: datetime | None
    reason: str | None


async def create(
    connection: Connection, *, party: str, role: Role, label: str, by: Author = INSTALLATION
) -> str:
    """Create a key and return its text. It can't be shown again: only its digest is kept.

    Raises ValueError for an unknown role.
    """
    if role not in ROLES:
        raise ValueError(f"role '{role}' is unknown; use one of {', '.join(ROLES)}")
    prefix = secrets.token_hex(6)
    text = f"{MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    async with connection.transaction():
        await move(connection)
        await connection.execute(
            "insert into api_key (prefix, sha256, party, role, label) values ($1, $2, $3, $4, $5)",
            prefix,
            digest(text),
            party,
            role,
            label,
        )
        await record(connection, by, _change(AuditAction.KEY_MADE, prefix, party, role, label))
    return text


def _change(action: AuditAction, prefix: str, party: str, role: Role, reason: str) -> AuditedChange:
    """What happens to a key concerns its party; that of the operator, the operator alone."""
    return AuditedChange(
        action,
        prefix,
        vendor=party if role in ("vendor", "probe") else None,
        buyer=party if role in ("procurement", "finance", "probe") else None,
        reason=reason or None,
    )


async def revoke(
    connection: Connection, prefix: str, *, reason: str, by: Author = INSTALLATION
) -> None:
    """Revoke a key. Every process stops taking it within a second. Twice is as good as once.

    Raises UnknownKey where no key has the prefix, and AgreementNeeded where a programme of its
    party asks for two.
    """
    async with connection.transaction():
        await move(connection)
        found = await connection.fetchrow(
            "select party, role from api_key where prefix = $1", prefix
        )
        if found is None:
            raise UnknownKey(f"no key has the prefix '{prefix}'; 'earnback key list' shows all")
        if not await connection.fetchval(
            "select true from api_key_revocation where prefix = $1", prefix
        ):
            await _agreed_to(connection, prefix, found["party"], reason)
        new = await connection.fetchval(
            "insert into api_key_revocation (prefix, reason) values ($1, $2)"
            " on conflict (prefix) do nothing returning true",
            prefix,
            reason,
        )
        if new:
            change = _change(AuditAction.KEY_REVOKED, prefix, found["party"], found["role"], reason)
            await record(connection, by, change)


async def _agreed_to(connection: Connection, prefix: str, party: str, reason: str) -> None:
    """Where a programme of the party asks for two, take up the agreement of the second."""
    rows = await connection.fetch(
        "select distinct on (programme) body from programme_version"
        " order by programme, version desc"
    )
    programmes = [one for row in rows if (one := _read(row["body"])) is not None]
    asking = [
        days
        for one in programmes
        if party in (one.buyer, *(vendor.vendor for vendor in one.vendors))
        and (days := days_for(one, "keys")) is not None
    ]
    if not asking:
        return
    content = json.dumps({"prefix": prefix, "reason": reason})
    act = RequestedAct(
        kind="key",
        party=party,
        days=min(asking),
        about=prefix,
        content=content,
        digest=digest_of("key", party, prefix),
    )
    await let_through(connection, act, prefix)


def _read(body: str) -> Programme | None:
    """A programme; None for one that cannot be read, which asks for nothing."""
    try:
        return programme_of(body)
    except ValueError:
        return None


async def known_keys(connection: Connection) -> tuple[KnownKey, ...]:
    """Every key that was ever made, revoked or not, the oldest first."""
    rows = await connection.fetch(
        "select prefix, party, role, label, created_at, revoked_at, reason"
        " from api_key left join api_key_revocation using (prefix) order by created_at, prefix"
    )
    return tuple(KnownKey(**dict(row)) for row in rows)


async def load_keys(connection: Connection) -> dict[str, ApiKey]:
    """All keys that are not revoked, by prefix."""
    rows = await connection.fetch(
        "select prefix, sha256, party, role from api_key"
        " where not exists (select from api_key_revocation r where r.prefix = api_key.prefix)"
    )
    return {row["prefix"]: ApiKey(**dict(row)) for row in rows}
