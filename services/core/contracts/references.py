"""What a term reads, wherever inside it: metrics, and names of a condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.base import Noun
from schemas.credit import Credit
from services.core.contracts.conditions import Unfit, used
from services.core.contracts.wording import FieldPath

_FIELDS = ("metric", "highest", "lowest")


def metrics_in(noun: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Every metric that a term names, with its path; one may come several times."""
    if isinstance(noun, tuple):
        for index, one in enumerate(noun):
            yield from metrics_in(one, (*path, index))
    elif isinstance(noun, Noun):
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            if field in _FIELDS and isinstance(value, str):
                yield (*path, field), value
            else:
                yield from metrics_in(value, (*path, field))


def names_used(credit: Credit) -> frozenset[str]:
    """The names that a credit's condition uses; none where it cannot be read."""
    if credit.when is None:
        return frozenset()
    try:
        return frozenset(used(credit.when))
    except Unfit:
        return frozenset()
