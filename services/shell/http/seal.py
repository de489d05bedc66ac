"""Numbers as they go out: nobody learns from an id or a cursor how many others there are.

Rows are numbered for everybody together. What goes out is the number encrypted with a key of the
installation: the same number is always the same id, so that answers keep their tags.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from services.shell.http.cursors import decode_cursor, encode_cursor, refuse_cursor

KEY_BYTES = 32


class Seal:
    """Seals numbers and cursors with the key of an installation, 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes, {KEY_BYTES} are needed")
        # One block is encrypted at a time, each by itself: a permutation of 128 bits.
        self._block = Cipher(AES256(sha256(b"number" + key).digest()), ECB())  # noqa: S305
        self._cursors = AESSIV(sha256(b"cursor" + key).digest())

    def hide(self, kind: str, number: int) -> UUID:
        """The id of the row of a kind that has this number."""
        encryptor = self._block.encryptor()
        block = _of_kind(kind) + number.to_bytes(8)
        return UUID(bytes=encryptor.update(block) + encryptor.finalize())

    def find(self, kind: str, hidden: UUID) -> int | None:
        """The number behind an id; None for one that was never given out for this kind."""
        decryptor = self._block.decryptor()
        block = decryptor.update(hidden.bytes) + decryptor.finalize()
        return int.from_bytes(block[8:]) if block[:8] == _of_kind(kind) else None

    def cursor(self, scope: str, *keys: str | int) -> str:
        """An opaque place in a list; see `encode_cursor`."""
        sealed = self._cursors.encrypt(encode_cursor(scope, *keys).encode(), [scope.encode()])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def keys(self, scope: str, cursor: str, kinds: Sequence[type[str] | type[int]]) -> list[Any]:
        """The keys in a cursor, one of each kind. Raises Problem: 400 for a forged one."""
        try:
            sealed = base64.b64decode(
                cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True
            )
            text = self._cursors.decrypt(sealed, [scope.encode()]).decode()
        except (binascii.Error, ValueError, InvalidTag):
            refuse_cursor()
        return decode_cursor(scope, text, kinds)


def _of_kind(kind: str) -> bytes:
    return sha256(kind.encode()).digest()[:8]
