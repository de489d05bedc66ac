"""A condition: a yes or no over names that it declares, in CEL. It never makes an amount."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Name, Noun

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A name as an expression writes it: small letters, digits and underscore."""

GIVEN: dict[str, Literal["number", "text"]] = {
    "result": "number",
    "standing": "text",
    "subject": "text",
    "period": "text",
    "year": "number",
    "month": "number",
    "settlement": "number",
}
"""Names that every condition knows: of the level's result, and of the settlement period."""

RESERVED = frozenset(
    "as break const continue else false for function if import in let loop null package namespace "
    "return true var void while".split()
)


class FigureRead(Noun):
    """The figure of a metric, a number."""

    kind: Literal["figure"]
    name: Word
    metric: Name


class CircumstanceRead(Noun):
    """The value of a circumstance, a number."""

    kind: Literal["circumstance"]
    name: Word
    circumstance: Name


class StatedRead(Noun):
    """Whether a circumstance is stated and not denied: true or false, never unknown."""

    kind: Literal["stated"]
    name: Word
    circumstance: Name


class TextRead(Noun):
    """A word among the values that a circumstance states."""

    kind: Literal["text"]
    name: Word
    circumstance: Name
    value: Name


Read = Annotated[FigureRead | CircumstanceRead | StatedRead | TextRead, Field(discriminator="kind")]


class Condition(Noun):
    """What must hold besides ``due``. ``unknown``: what follows where a name has no value yet."""

    holds: Annotated[str, StringConstraints(min_length=1, max_length=2000)] = Field(
        description="Boolean CEL: && || ! == != < <= > >= in, names, numbers, words in quotes."
    )
    reads: tuple[Read, ...] = ()
    unknown: Literal["wait", "due", "not_due"]

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        names = [read.name for read in self.reads]
        for name in names:
            if name in GIVEN or name in RESERVED or names.count(name) > 1:
                raise ValueError(f"'{name}' has a meaning already; give it another name")
        return self
