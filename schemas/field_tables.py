"""Tables of fields, in Markdown, from the nouns themselves: name, form, meaning.

A field's meaning is its description; where it has none, what the noun's docstring says of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.base import Instant, Language, Name, Number, Text, TimeZone, Version, WorkedOut
from schemas.business_hours import WallClock
from schemas.evaluation import Digest
from schemas.event import EventId, Stated, Subject
from schemas.money import Currency, MinorUnits
from schemas.period import PeriodLabel
from schemas.programme import SourceUri

_FORMS: tuple[tuple[Any, str], ...] = (
    (Currency, "currency code"),
    (Digest, "SHA-256, 64 hexadecimal digits"),
    (EventId, "text without spaces"),
    (Instant, "time in UTC"),
    (Language, "`2`"),
    (MinorUnits, "whole number"),
    (Name, "name"),
    (Number, "exact number"),
    (PeriodLabel, "period"),
    (SourceUri, "text without spaces"),
    (Stated, "number, text, or true or false"),
    (Subject, "text"),
    (Text, "text"),
    (TimeZone, "time zone"),
    (Version, "whole number from 1"),
    (WallClock, "time of day, `HH:MM`"),
    (WorkedOut, "exact number"),
    (bool, "true or false"),
    (date, "day"),
    (int, "whole number"),
    (str, "text"),
)
"""How the annotations that many nouns share are called; the more special ones come first."""


MEASURES = ("schemas.programme", "schemas.composites")
"""Where nouns are that a contract chooses by their kind."""

_ELSEWHERE: Mapping[str, str] = {"SharedCap": "terms/adjustments.md"}
"""Nouns that another page tells of."""


def nouns_of(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The noun and every noun inside it, by name, in the order in which they are met."""
    found = {root.__name__: root}
    for hint in get_type_hints(root, include_extras=True).values():
        for inner in _nouns_in(hint):
            if inner.__name__ not in {*found, *_ELSEWHERE}:
                found |= {name: one for name, one in nouns_of(inner).items() if name not in found}
    return found


def _nouns_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _nouns_in(inner)


def field_table(noun: type[BaseModel]) -> str:
    """The table of a noun's fields. Raises ValueError for a field that nobody describes."""
    hints = get_type_hints(noun, include_extras=True)
    rows = [
        (f"`{name}`", _form(hints[name], info), meaning(noun, name))
        for name, info in noun.model_fields.items()
    ]
    return table(("field", "form", "means"), rows)


def meaning(noun: type[BaseModel], name: str) -> str:
    """What a field means. Raises ValueError where nobody says it."""
    described = noun.model_fields[name].description
    if described:
        return described
    if name == "kind":
        return "Which kind it is."
    others = "|".join(noun.model_fields)
    said = re.search(rf"``{name}``: (.+?)(?=\s``(?:{others})``: |\Z)", _plain(noun))
    if said is None:
        raise ValueError(f"{noun.__name__}.{name} has no description; give it one")
    words = said[1].strip().replace("``", "`")
    return words[0].upper() + words[1:]


def _plain(noun: type[BaseModel]) -> str:
    return " ".join((noun.__doc__ or "").split())


def table(heading: tuple[str, ...], rows: Any) -> str:
    """A Markdown table."""
    lines = [heading, ("---",) * len(heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n"
                   for line in lines)  # fmt: skip


def _form(annotation: Any, info: FieldInfo) -> str:
    words = _words(annotation)
    if info.is_required():
        return words
    default = info.get_default(call_default_factory=True)
    if default in (None, PydanticUndefined):
        return f"{words}; may be left out"
    if isinstance(default, tuple | Mapping):
        return f"{words}; may be left out: none"
    return f"{words}; left out: `{default}`"


def _words(annotation: Any) -> str:
    for known, words in _FORMS:
        if _is(annotation, known):
            return words
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _link(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inner[0])
    if origin is Literal:
        return _choices([f"`{one}`" for one in inner])
    if origin is tuple:
        return f"list: {_words(inner[0])}"
    if origin is dict:
        return f"by {_words(inner[0])}: {_words(inner[1])}"
    if origin in (Union, UnionType):
        return _choices([_words(one) for one in inner if one is not NoneType])
    raise ValueError(f"{annotation} has no words; add it to the forms")


def _is(annotation: Any, known: Any) -> bool:
    """Whether it is that annotation, or one with further bounds round it."""
    if get_origin(known) is not Annotated:
        return bool(annotation == known)
    own = get_args(known)
    return get_origin(annotation) is Annotated and get_args(annotation)[: len(own)] == own


def _choices(words: list[str]) -> str:
    """One form, or a list of them; a word that is a list itself goes into it."""
    flat = ", ".join(word.removeprefix("one of ") for word in words)
    return flat if len(words) == 1 and words[0] == flat else f"one of {flat}"


def _link(noun: type[BaseModel]) -> str:
    page = _ELSEWHERE.get(noun.__name__, f"#{anchor(noun)}")
    return f"[{heading(noun)}]({page})"


def heading(noun: type[BaseModel]) -> str:
    """What a page calls a noun: by its kinds where a contract chooses it by them."""
    kind = noun.model_fields.get("kind")
    if kind is not None and noun.__module__ in MEASURES:
        return ", ".join(f"`{one}`" for one in get_args(kind.annotation))
    return re.sub(r"(?<!^)(?=[A-Z])", " ", noun.__name__).capitalize()


def anchor(noun: type[BaseModel]) -> str:
    """Where the heading is reached on its page."""
    return re.sub(r"[^a-z0-9_ -]", "", heading(noun).lower()).replace(" ", "-")
