"""JSON in which no key of an object is there twice.

RFC 8259 leaves open which of two counts, so two readers of the same signed bytes may see two
statements. Nothing of ours takes such bytes.
"""

from __future__ import annotations

import json
from typing import Any


class RepeatedKey(ValueError):
    """An object has a key more than once."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key '{key}' is there more than once in one object")
        self.key = key


def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For ``object_pairs_hook`` of `json.loads`. Raises RepeatedKey."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKey(key)
            seen.add(key)
    return found


def check_keys(raw: bytes) -> None:
    """Raise RepeatedKey for well-formed JSON with a key twice in one object."""
    json.loads(raw, object_pairs_hook=refuse_repeated_keys)


def may_repeat_keys(raw: bytes, quoted: int) -> bool:
    """Whether JSON may have a key twice, told from its quotation marks alone.

    ``quoted``: keys and texts of what was read from it. Each took two marks; what a reader dropped,
    or a mark inside a text, took more. Quick, and never wrongly False.
    """
    return raw.count(b'"') != 2 * quoted


def quoted_in(value: Any) -> int:
    """Keys and texts in a value read from JSON, nested ones too."""
    if value.__class__ is str:
        return 1
    if value.__class__ is dict:
        return len(value) + sum(map(quoted_in, value.values()))
    if value.__class__ is list:
        return sum(map(quoted_in, value))
    return 0
