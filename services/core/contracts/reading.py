"""Reading contract files: YAML text to programmes and agreements, or to refusals with a place.

Numbers are taken as the text that is written, never through binary floating point. Nothing is
half accepted: a document with a refusal is not among the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from re import compile as pattern
from shlex import quote
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.language import LANGUAGE, language_of
from services.core.contracts.wording import FieldPath, as_written, in_words, nearest, path_text

MOST_CHARACTERS = 1_000_000
MOST_NODES = 50_000
MOST_DEPTH = 40

_KINDS: dict[str, type[Programme] | type[Agreement]] = {
    "programme": Programme,
    "agreement": Agreement,
}
_INTEGER = pattern(r"[+-]?(0|[1-9][0-9]*)")
Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file is not accepted. ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int
    path: str
    reason: str
    remedy: str

    def text(self) -> str:
        """One line for people: place, path, reason, remedy."""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Document:
    """One accepted document and where its parts stand in the file."""

    noun: Programme | Agreement
    file: str
    marks: Mapping[FieldPath, Mark]

    def refusal(self, path: FieldPath, reason: str, remedy: str) -> Refusal:
        """A refusal at the place of a path, or of the nearest part above it that is written."""
        line, column = mark_of(self.marks, path)
        return Refusal(self.file, line, column, path_text(path), reason, remedy)


@dataclass(frozen=True, slots=True)
class Documents:
    """The accepted documents of a file, in its order."""

    documents: tuple[Document, ...] = ()
    faulty_programmes: frozenset[str] = frozenset()
    """Names of programmes that are written here and refused."""

    @property
    def programmes(self) -> tuple[Programme, ...]:
        """The programmes among them."""
        return tuple(one.noun for one in self.documents if isinstance(one.noun, Programme))

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """The agreements among them."""
        return tuple(one.noun for one in self.documents if isinstance(one.noun, Agreement))


class NotReadable(Exception):
    """The YAML itself is refused, at a mark."""

    def __init__(self, node: Any, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.reason = reason
        self.remedy = remedy


def read_documents(
    text: str, name: str, given: str | None = None
) -> tuple[Documents, tuple[Refusal, ...]]:
    """All documents of a YAML text, and every refusal in it.

    ``name`` stands for the file in messages. ``given``: what a command must be given to find it.
    """
    if len(text) > MOST_CHARACTERS:
        reason = f"the file has {len(text)} characters, more than {MOST_CHARACTERS}"
        return Documents(), (Refusal(name, 1, 1, "", reason, "split it into several files"),)
    try:
        nodes = [node for node in YAML(pure=True).compose_all(text) if node is not None]
    except YAMLError as error:
        return Documents(), (unreadable(error, name),)
    if not nodes:
        return Documents(), (empty(name),)
    accepted: list[Document] = []
    refused: list[Refusal] = []
    faulty: set[str] = set()
    for node in nodes:
        document, refusals = _read(node, name, given or name)
        refused.extend(refusals)
        if document is not None:
            accepted.append(document)
        else:
            faulty.update(_programme_of(node))
    return Documents(tuple(accepted), frozenset(faulty)), tuple(refused)


def _programme_of(node: Any) -> Iterator[str]:
    """The name of a programme, of a document that could not be read whole."""
    pairs = node.value if isinstance(node, MappingNode) else []
    said = {
        key.value: child.value
        for key, child in pairs
        if isinstance(key, ScalarNode) and isinstance(child, ScalarNode)
    }
    if said.get("kind") == "programme" and "programme" in said:
        yield str(said["programme"])


def empty(name: str) -> Refusal:
    """Why a file without any document is not accepted."""
    remedy = "write a document that begins with kind: programme or kind: agreement"
    return Refusal(name, 1, 1, "", "the file holds no document", remedy)


def unreadable(error: YAMLError, name: str) -> Refusal:
    """Why a text is not readable as YAML, at its place."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    reason, remedy = next(
        (said for sign, said in _YAML_CAUSES.items() if sign in problem),
        (problem, "correct the YAML here, or in the line above"),
    )
    return Refusal(name, line, column, "", f"not readable as YAML: {reason}", remedy)


_YAML_CAUSES: Mapping[str, tuple[str, str]] = {
    "mapping values are not allowed": (
        "a second colon in one value",
        "put the name or text in quotes: it holds a colon; or begin a line of its own",
    ),
    "cannot start any token": (
        "a character that no value begins with, such as a tab, @ or `",
        "indent with spaces, and put such a text in quotes",
    ),
    "could not find expected ':'": (
        "a line without a colon among named terms",
        "write a colon and a space after the name, and indent the lines of a text",
    ),
    "expected <block end>": (
        "a line that is not indented as those before it",
        "indent it as deep as the terms beside it; put a text that begins with a quote in quotes",
    ),
    "expected ',' or": (
        "a bracket or brace that is not closed, or a comma that is missing",
        "close it, and put a comma between its parts",
    ),
    "found unexpected end of stream": ("a quote that is not closed", "close the quote"),
    "undefined alias": (
        "a text that begins with *, which YAML takes for a reference",
        "put it in quotes",
    ),
}
"""What ruamel says of a text, by a part of it: the usual cause, and what to do."""


@dataclass(frozen=True, slots=True)
class WrittenContract:
    """A document that is a programme or an agreement, in whatever language, as plain values."""

    data: dict[str, Any]
    model: type[Programme] | type[Agreement]
    marks: Mapping[FieldPath, Mark]


def written_contract(node: Any, name: str) -> WrittenContract | Refusal:
    """A composed YAML document before anything but its kind is looked at; or why it is none."""
    reading = YamlReader(_scalar)
    try:
        data = reading.plain(node, ())
    except NotReadable as unreadable:
        line, column = unreadable.mark
        return Refusal(name, line, column, "", unreadable.reason, unreadable.remedy)
    if not isinstance(data, dict):
        line, column = reading.marks[()]
        remedy = "write a document that begins with kind: programme or kind: agreement"
        return Refusal(name, line, column, "", "the document is no mapping", remedy)
    model = _KINDS.get(str(data.get("kind")))
    if model is None:
        return _unknown_kind(reading, data, name)
    return WrittenContract(data, model, reading.marks)


def _read(node: Any, name: str, given: str) -> tuple[Document | None, list[Refusal]]:
    written = written_contract(node, name)
    if isinstance(written, Refusal):
        return None, [written]
    data, marks = written.data, written.marks
    if language_of(data) != LANGUAGE:
        return None, [_other_language(data, marks, name, given)]
    try:
        noun = written.model.model_validate(data)
    except ValidationError as error:
        return None, _refusals(error, written.model, data, marks, name)
    return Document(noun, name, marks), []


def _unknown_kind(reading: YamlReader, data: Mapping[str, Any], name: str) -> Refusal:
    line, column = mark_of(reading.marks, ("kind",))
    if "kind" not in data:
        remedy = "begin the document with kind: programme or kind: agreement"
        return Refusal(name, line, column, "kind", "kind is missing", remedy)
    close = nearest(str(data["kind"]), _KINDS)
    remedy = f"write kind: {close}" if close else "write kind: programme or kind: agreement"
    reason = f"{as_written(data['kind'])} is no kind of document"
    return Refusal(name, line, column, "kind", reason, remedy)


def _other_language(
    data: Mapping[str, Any], marks: Mapping[FieldPath, Mark], name: str, given: str
) -> Refusal:
    stated = language_of(data)
    line, column = mark_of(marks, ("language",))
    if str(stated) == "1":
        remedy = f"run: earnback contract upgrade {quote(given)}"
        reason = f"the document is in language 1 of contracts; this release reads {LANGUAGE}"
    else:
        reason = f"{as_written(stated)} is no language of contracts that this release reads"
        remedy = f"write language: {LANGUAGE}, or use a release that reads it"
    return Refusal(name, line, column, "language", reason, remedy)


@dataclass(slots=True)
class YamlReader:
    """Turns YAML nodes into plain values, noting where each stands.

    ``scalar``: what a single word comes to.
    """

    scalar: Callable[[Any], Any]
    marks: dict[FieldPath, Mark] = field(default_factory=dict)
    seen: int = 0

    def plain(self, node: Any, path: FieldPath) -> Any:
        """The node's value: mappings without doubles, aliases bounded. Raises NotReadable."""
        self.seen += 1
        if self.seen > MOST_NODES or len(path) > MOST_DEPTH:
            raise NotReadable(
                node,
                "the document is too deep or repeats too much of itself",
                f"use fewer aliases; at most {MOST_NODES} values, {MOST_DEPTH} levels deep",
            )
        self.marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        if isinstance(node, SequenceNode):
            return [self.plain(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._mapping(node, path)

    def _mapping(self, node: Any, path: FieldPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, ScalarNode):
                raise NotReadable(key, "a key is no single word", "write a name before the colon")
            if key.value in values:
                line = self.marks[(*path, key.value)][0]
                raise NotReadable(
                    key, f"'{key.value}' is stated twice; first in line {line}", "keep one of them"
                )
            values[key.value] = self.plain(child, (*path, key.value))
            self.marks[(*path, key.value)] = (key.start_mark.line + 1, key.start_mark.column + 1)
        return values


def _scalar(node: Any) -> Any:
    """A plain true, false, null or integer as such; everything else as the text written."""
    text = node.value
    if node.style is not None:
        return text
    tag = str(node.tag).rpartition(":")[2]
    if tag == "bool":
        return text.lower() == "true"
    if tag == "null":
        return None
    if tag == "int" and _INTEGER.fullmatch(text):
        return int(text)
    return text


def mark_of(marks: Mapping[FieldPath, Mark], path: FieldPath) -> Mark:
    """Where a path stands, or the nearest part above it that is written."""
    while path not in marks:
        path = path[:-1]
    return marks[path]


def _refusals(
    error: ValidationError,
    model: type[Programme] | type[Agreement],
    data: Mapping[str, Any],
    marks: Mapping[FieldPath, Mark],
    name: str,
) -> list[Refusal]:
    """pydantic's errors in the words of contracts, in the file's order."""
    found: dict[tuple[FieldPath, str], Refusal] = {}
    details: Sequence[Any] = error.errors(include_url=False)
    for detail in details:
        said = in_words(detail, model, data)
        if said is None:
            continue
        line, column = mark_of(marks, said.path)
        refusal = Refusal(name, line, column, path_text(said.path), said.reason, said.remedy)
        found.setdefault((said.path, said.reason), refusal)
    return sorted(found.values(), key=lambda refusal: (refusal.line, refusal.column))
