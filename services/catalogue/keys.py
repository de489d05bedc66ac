"""API keys: random, shown once, kept as a digest.

A key reads ``eb_<prefix>_<secret>``. The prefix finds the row, the digest of the whole text proves
it. The secret is 256 random bits, so a fast digest is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from services.catalogue.revision import move
from services.shell.postgres import Connection

Role = Literal["vendor", "procurement", "finance", "admin", "probe"]
ROLES: tuple[Role, ...] = get_args(Role)

_MARK = "eb"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who speaks: the party (a vendor, the buyer) and in which role."""

    prefix: str
    party: str
    role: Role
    sha256: bytes

    def __repr__(self) -> str:
        return f"ApiKey({self.prefix}, party={self.party}, role={self.role})"


class UnknownKey(ValueError):
    """No such key to revoke."""


async def create(connection: Connection, *, party: str, role: Role, label: str) -> str:
    """Create a key and return its text. It can't be shown again: only its digest is kept.

    Raises ValueError for an unknown role.
    """
    if role not in ROLES:
        raise ValueError(f"role '{role}' is unknown; use one of {', '.join(ROLES)}")
    prefix = secrets.token_hex(6)
    text = f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
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
    return text


async def revoke(connection: Connection, prefix: str, *, reason: str) -> None:
    """Revoke a key. Every process stops taking it within a second. Twice is as good as once.

    Raises UnknownKey where no key has the prefix.
    """
    async with connection.transaction():
        await move(connection)
        if not await connection.fetchval("select true from api_key where prefix = $1", prefix):
            raise UnknownKey(f"no key has the prefix '{prefix}'; list the keys to find it")
        await connection.execute(
            "insert into api_key_revocation (prefix, reason) values ($1, $2)"
            " on conflict (prefix) do nothing",
            prefix,
            reason,
        )


async def load_keys(connection: Connection) -> dict[str, ApiKey]:
    """All keys that are not revoked, by prefix."""
    rows = await connection.fetch(
        "select prefix, sha256, party, role from api_key"
        " where not exists (select from api_key_revocation r where r.prefix = api_key.prefix)"
    )
    return {row["prefix"]: ApiKey(**dict(row)) for row in rows}


def recognise(keys: Mapping[str, ApiKey], text: str) -> ApiKey | None:
    """The key that a text is, or None. Takes the same time however much of it is right."""
    mark, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != _MARK or not prefix or not secret:
        return None
    key = keys.get(prefix)
    if key is None or not hmac.compare_digest(key.sha256, digest(text)):
        return None
    return key


def bearer(header: str | None) -> str | None:
    """The key in an ``Authorization: Bearer`` header, or None."""
    scheme, _, text = (header or "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" and text.strip() else None


def digest(text: str) -> bytes:
    """SHA-256 of a key's text."""
    return hashlib.sha256(text.encode()).digest()
