"""What stands inside a noun, such as the terms of a contract: found without knowing its fields."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from schemas.base import Noun


def nouns_in(term: object) -> Iterator[Noun]:
    """Every noun in a noun or a tuple, the outer one before those inside it."""
    if isinstance(term, tuple):
        for each in term:
            yield from nouns_in(each)
    elif isinstance(term, Noun):
        yield term
        for field in type(term).model_fields:
            yield from nouns_in(getattr(term, field))


def names_in(
    term: object, fields: Collection[str], without: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Every text in one of these fields anywhere inside a term, with its field, in order.

    ``without``: fields that are not looked into.
    """
    if isinstance(term, tuple):
        for each in term:
            yield from names_in(each, fields, without)
    elif isinstance(term, Noun):
        for field in type(term).model_fields:
            value = getattr(term, field)
            if field in without:
                continue
            if field in fields and isinstance(value, str):
                yield field, value
            else:
                yield from names_in(value, fields, without)
