"""The terms of the contract language by the schemas, and what the page on facts says of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from re import findall
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.agreement import Agreement
from schemas.programme import Programme
from tests.docs.pages import page, rows, section

Term = type[BaseModel]
FACTS = ("Measures", "Terms that read a figure", "Terms that read a circumstance",
         "Terms that read a charge")  # fmt: skip
NAMED = {"CountsAs": "counts_as", "Threshold": "limits", "Rounding": "rounding",
         "PointBand": "bands of points", "OwnWord": "whose_word of a term"}  # fmt: skip
"""What stands in so many places that a list of them would be no name."""
QUESTIONS = ("absent", "longer or shorter", "narrowed", "boundary", "attributed", "currency")


@cache
def terms() -> Mapping[str, Term]:
    """Every model that a contract file can hold, by its name on the page: where it stands, kind."""
    stands_at: dict[Term, set[str]] = defaultdict(set)
    roots: tuple[Term, ...] = (Programme, Agreement)
    for root in roots:
        _walk(root, stands_at)
    found = {_name(term, at): term for term, at in stands_at.items()}
    assert len(found) == len(stands_at), "two terms have one name"
    return found | {"programme": Programme, "agreement": Agreement}


def _walk(term: Term, stands_at: dict[Term, set[str]]) -> None:
    for name, field in term.model_fields.items():
        for inner in _models(field.annotation):
            new = inner not in stands_at
            stands_at[inner].add(name)
            if new:
                _walk(inner, stands_at)


def _models(annotation: Any) -> Iterator[Term]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _name(term: Term, stands_at: set[str]) -> str:
    kind = term.model_fields.get("kind")
    kinds = "/".join(get_args(kind.annotation)) if kind is not None else ""
    if term.__name__ in NAMED:
        return NAMED[term.__name__]
    return " ".join(filter(None, ("/".join(sorted(stands_at)), kinds)))


def names_in(term: Term) -> set[str]:
    """The fields of a term that hold a name, a text or a currency."""
    return {name for name, field in term.model_fields.items() if _holds_a_name(field)}


def _holds_a_name(field: FieldInfo) -> bool:
    said = repr(field.annotation) + repr(field.metadata)
    # The length of a period is a word of the language, though many are possible.
    return "str" in said and "pattern" in said and "_known_length" not in said


@cache
def answers() -> dict[str, dict[str, str]]:
    """The answers of each row, by question, by the term and, after a colon, each field."""
    found: dict[str, dict[str, str]] = {}
    for heading in FACTS:
        for first, *cells in rows(section(page("facts.md"), f"## {heading}")):
            term, *fields = findall(r"`([^`]+)`", first)
            for field in fields or [""]:
                key = f"{term}: {field}" if field else term
                assert key not in found, f"{key} stands twice"
                found[key] = dict(zip(QUESTIONS, cells, strict=True))
    return found


def bases() -> set[str]:
    """The fields that name a base, as the page lists them."""
    text = section(page("facts.md"), "## Terms that read a charge")
    listed = text[text.index("These name a base") :]
    return {f"{term}: {field}" for term, field in findall(r"`([^`]+)`: `([^`]+)`", listed)}


def others() -> dict[str, set[str]]:
    """The terms and names that read no fact, as the page lists them."""
    listed = rows(section(page("facts.md"), "## Names that name no fact"))
    return {findall(r"`([^`]+)`", term)[0]: set(findall(r"`([^`]+)`", names))
            for term, names in listed}  # fmt: skip


def alone() -> set[str]:
    """The terms that read nothing of their own, as the page lists them."""
    return set(findall(r"`([^`]+)`", section(page("facts.md"), "## Terms that read no fact")))
