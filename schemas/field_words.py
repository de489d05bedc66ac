"""What is wrong with one field, in plain words: pydantic's findings as reason and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE = ("it is not a whole number", "write a whole number, such as 1")
_TIME = ("it is not a time", "write it as 2025-01-31T12:00:00Z")
_DAY = ("it is not a day", "write it as 2025-01-31")
_TRUTH = ("it is neither true nor false", "write true or false")
_CHOICE = ("it is not a value that is possible here", "write {expected}")
_OBJECT = ("it is not an object with fields", "write an object with its fields")
_LIST = ("it is not a list", "write a list")

_SAID: Mapping[str, tuple[str, str]] = {
    "missing": ("the field is missing", "add the field"),
    "extra_forbidden": ("the field does not belong here", "remove it, or check its spelling"),
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": ("the whole number is too large", "write a smaller one"),
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "string_type": ("it is not text", "write it as a string, in quotes"),
    "string_too_short": ("the text is too short", "write at least {min_length} character(s)"),
    "string_too_long": ("the text is too long", "write at most {max_length} character(s)"),
    "string_pattern_mismatch": (
        "the text is not in the form that is needed here",
        "write it in the form {pattern}",
    ),
    "greater_than": ("the number is too small", "write more than {gt}"),
    "greater_than_equal": ("the number is too small", "write {ge} or more"),
    "less_than": ("the number is too large", "write less than {lt}"),
    "less_than_equal": ("the number is too large", "write {le} or less"),
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "uuid_parsing": (
        "it is not a UUID",
        "write a UUID, such as 0b2f9f3e-8d1c-4c1e-9a53-5d0f6f0f4a11",
    ),
    "timezone_aware": ("the time has no offset", "add the offset, such as Z or +01:00"),
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "tuple_type": _LIST,
    "list_type": _LIST,
}


def field_words(finding: Mapping[str, Any], otherwise: str) -> tuple[str, str]:
    """Reason and remedy of one of pydantic's errors, with ``ctx`` where it has one.

    ``otherwise``: the remedy where neither pydantic nor a rule of ours names one. Our own rules say
    what is wrong and, behind a semicolon, what to do about it.
    """
    known = _SAID.get(str(finding["type"]))
    if known is not None:
        reason, remedy = known
        return reason, remedy.format_map(finding.get("ctx") or {})
    said = str(finding["msg"]).removeprefix("Value error, ")
    reason, _, remedy = said.rpartition("; ")
    return (reason, remedy) if reason else (said, otherwise)
