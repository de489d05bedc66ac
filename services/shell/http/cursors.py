"""Cursors: opaque places in a list, bound to the list and its filters."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from services.shell.http.problems import Fault, Problem


def encode_cursor(scope: str, *keys: str | int) -> str:
    """Return an opaque place in a list: the sort keys of the last row given out.

    `scope` names the list and its filters, so that a cursor of one list is refused by another.
    """
    text = json.dumps([1, scope, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(scope: str, cursor: str, kinds: Sequence[type[str] | type[int]]) -> list[Any]:
    """Return the keys in a cursor, one of each kind.

    Raises:
        Problem: 400 when it is damaged or of another list.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, of, *keys = json.loads(text.decode("utf-8"))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        refuse_cursor()
    fits = len(keys) == len(kinds) and all(
        type(key) is kind and _storable(key) for key, kind in zip(keys, kinds, strict=True)
    )
    if version != 1 or of != scope or not fits:
        refuse_cursor()
    return list(keys)


def _storable(key: str | int) -> bool:
    """Whether a key may be one that was given out: the database takes no other."""
    if isinstance(key, int):
        return -(2**63) <= key < 2**63
    # Half of a surrogate pair is text to Python, and to nobody else.
    return "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)


def refuse_cursor() -> NoReturn:
    """Raise the problem of a cursor that was not given out for the list."""
    raise Problem(
        400,
        "bad-cursor",
        "The cursor does not belong to this list.",
        faults=[
            Fault(
                "cursor",
                "damaged, or given out for another list or filter",
                "leave it out to begin again, or use the `next` of the last page unchanged",
                "query",
            )
        ],
    )
