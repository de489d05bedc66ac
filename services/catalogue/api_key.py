"""An API key as a value: who it speaks for, and how a text is recognised as one. No I/O.

A key reads ``eb_<prefix>_<secret>``. The prefix finds the row, the digest of the whole text proves
it. The secret is 256 random bits, so a fast digest is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.role import Role

MARK = "eb"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who speaks: the party (a vendor, the buyer) and in which role."""

    prefix: str
    party: str
    role: Role
    sha256: bytes

    def __repr__(self) -> str:
        return f"ApiKey({self.prefix}, party={self.party}, role={self.role})"


def recognise(keys: Mapping[str, ApiKey], text: str) -> ApiKey | None:
    """The key that a text is, or None. Takes the same time however much of it is right."""
    mark, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != MARK or not prefix or not secret:
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
