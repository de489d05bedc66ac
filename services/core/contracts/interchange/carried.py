"""What an import or export comes to: the documents, what is lost, what must still be stated.

Nothing is guessed. What the other format does not say is left out of the contract file, so that
reading the file refuses it, place by place, until somebody has filled it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import StringIO
from re import sub
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from schemas.base import exact
from services.core.contracts.reading import (
    MOST_CHARACTERS,
    NotReadable,
    Refusal,
    YamlReader,
    read_documents,
)

EITHER_ABOVE = "at_least_or_above"
EITHER_BELOW = "at_most_or_below"
NO_WORD = "at_least_or_at_most"
"""Written where the other format leaves open which word of a limit is meant; never accepted."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that one format says and the other has no place for."""

    where: str
    what: str

    def text(self) -> str:
        """One line for people."""
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A contract file in the making. ``must_be_stated``: why it is refused as it stands."""

    text: str
    lost: tuple[Lost, ...]
    must_be_stated: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """A document of the other format."""

    document: Mapping[str, Any]
    lost: tuple[Lost, ...]


@dataclass(slots=True)
class Losses:
    """What is lost so far, each once."""

    found: list[Lost] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """Note a loss."""
        lost = Lost(where, what)
        if lost not in self.found:
            self.found.append(lost)

    def of_fields(
        self,
        where: str,
        node: Mapping[str, Any],
        known: Sequence[str],
        what: str = "has no place in a contract file",
    ) -> None:
        """Note every field that nobody looked at."""
        for name in node:
            if name not in known:
                self.add(f"{where}.{name}" if where else name, what)


def imported(
    programme: Mapping[str, Any], agreements: Sequence[Mapping[str, Any]], losses: Losses
) -> Imported:
    """The contract file of what was found, with everything that reading it still refuses."""
    text = written_as_yaml([programme, *agreements])
    _, refusals = read_documents(text, "imported.yaml")
    return Imported(text, tuple(losses.found), refusals)


def written_as_yaml(documents: Sequence[Mapping[str, Any]]) -> str:
    """YAML of several documents, in the order of their fields."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.explicit_start = True
    out = StringIO()
    yaml.dump_all([dict(one) for one in documents], out)
    return out.getvalue()


def read_as_text(text: str) -> list[Any]:
    """All documents of a YAML (or JSON) text, every scalar as the text written.

    Raises ValueError for what is not readable, too large or too deep, or has a key twice.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the text has more than {MOST_CHARACTERS} characters; split it")
    try:
        nodes = [one for one in YAML(typ="base", pure=True).compose_all(text) if one is not None]
        return [YamlReader(lambda scalar: scalar.value).plain(node, ()) for node in nodes]
    except NotReadable as refused:
        line, column = refused.mark
        raise ValueError(f"{line}:{column}: {refused.reason}; {refused.remedy}") from None
    except RecursionError:
        raise ValueError("the document is too deep; use fewer levels") from None
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"not readable as YAML ({first}); correct it") from None


def mapping(node: Any, name: str) -> Mapping[str, Any]:
    """A field that is a mapping; empty where it is absent or anything else."""
    found = node.get(name) if isinstance(node, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def sequence(node: Any, name: str) -> Sequence[Any]:
    """A field that is a list; empty where it is absent or anything else."""
    found = node.get(name) if isinstance(node, Mapping) else None
    return found if isinstance(found, list | tuple) else ()


def mappings(node: Any, name: str, losses: Losses, where: str) -> list[Mapping[str, Any]]:
    """The mappings in a list; anything else in it is noted as lost."""
    found = []
    for number, one in enumerate(sequence(node, name)):
        if isinstance(one, Mapping):
            found.append(one)
        else:
            losses.add(f"{where}[{number}]", "is no mapping, as it should be")
    return found


def exact_number(value: Any, where: str) -> Fraction:
    """The number that a field writes; raises ValueError naming the field for anything else."""
    try:
        return exact(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def name_of(text: str, losses: Losses, where: str) -> str:
    """The text as a name of this language; where that changes it, the loss is noted."""
    slug = sub(r"[^a-z0-9._-]+", "-", sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower())
    name = slug.strip("-._")[:80] or "unnamed"
    if name != text:
        losses.add(where, f"'{text}' is written as the name '{name}'")
    return name


def one_of_its_own(name: str, taken: Sequence[str]) -> str:
    """The name, with a number where it is taken."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name[:76]}-{number}", number + 1
    return found
