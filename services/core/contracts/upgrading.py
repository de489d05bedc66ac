"""A contract file of an earlier language, upgraded as text: only what was unsaid is added.

Comments, layout, quotes and the order of everything stay as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from re import compile as pattern
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, ScalarNode, SequenceNode

from services.core.contracts.language import LANGUAGE, Addition, additions, language_of
from services.core.contracts.reading import (
    Refusal,
    WrittenContract,
    empty,
    mark_of,
    unreadable,
    written_contract,
)
from services.core.contracts.wording import FieldPath, path_text

_PLAIN = pattern(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgraded text; what was added, and which of it a person should decide."""

    text: str
    added: tuple[str, ...]
    decide: tuple[str, ...]


def upgrade_text(text: str, name: str, *, anew: bool = False) -> Upgrade | Refusal:
    """The documents of a YAML text in today's language; the text as it is where they are in it.

    ``anew`` as in `additions`. A refusal where the text is not readable as YAML, or states a
    language that is not known, or holds something that is no contract.
    """
    try:
        nodes = [node for node in YAML(pure=True).compose_all(text) if node is not None]
    except YAMLError as error:
        return unreadable(error, name)
    if not nodes:
        return empty(name)
    work = _Work(text)
    for node in nodes:
        written = written_contract(node, name)
        if isinstance(written, Refusal):
            return written
        if language_of(written.data) not in (1, LANGUAGE):
            return _unknown_language(written, name)
        for one in additions(written.data, anew=anew):
            work.add(node, one)
    upgraded = _inserted(text, work.inserts.values())
    return Upgrade(upgraded, tuple(work.added), tuple(work.decide))


def _unknown_language(written: WrittenContract, name: str) -> Refusal:
    remedy = f"write language: {LANGUAGE}, or use a release that reads this language"
    reason = f"language {language_of(written.data)} is not known"
    return Refusal(name, *mark_of(written.marks, ("language",)), "language", reason, remedy)


@dataclass(slots=True)
class _Work:
    """The insertions so far, by the mapping that gets them and the field."""

    text: str
    inserts: dict[tuple[int, str], _Insert] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    decide: list[str] = field(default_factory=list)

    def add(self, document: Any, one: Addition) -> None:
        """Note an addition; once where the same mapping stands in several places by an alias."""
        node = _node_at(document, one.path)
        key = (node.start_mark.index, one.key)
        if key in self.inserts:
            return
        self.inserts[key] = (
            _into_json(self.text, node, one)
            if _is_json(document)
            else _insert(self.text, node, one)
        )
        where = path_text((*one.path, one.key))
        self.added.append(f"{where}: {_written(one.value)}")
        if one.decide is not None:
            self.decide.append(f"{where}: {one.decide}")


def _node_at(node: Any, path: FieldPath) -> MappingNode:
    for part in path:
        if isinstance(node, SequenceNode):
            node = node.value[part]
        else:
            node = next(child for key, child in node.value if key.value == part)
    assert isinstance(node, MappingNode)
    return node


@dataclass(frozen=True, slots=True)
class _Insert:
    """``text`` at an index of the file, and a comment on a line of its own above ``line_at``."""

    index: int
    text: str
    comment: str | None = None
    line_at: int = 0


def _insert(text: str, node: MappingNode, one: Addition) -> _Insert:
    """Where a field goes: at the end of a mapping in braces, else on a line of its own."""
    empty_list = next((child for key, child in node.value if key.value == one.key), None)
    if empty_list is not None:
        return _into_brackets(text, empty_list, one)
    written = f"{one.key}: {_written(one.value)}"
    if node.flow_style:
        return _into_braces(text, node, written, one.decide)
    indent = " " * node.value[0][0].start_mark.column
    line = f"{indent}{written}\n"
    comment = f"{indent}# decide: {one.decide}\n" if one.decide else ""
    after = _last_exact(node)
    if after is None:
        first = node.value[0][0].start_mark
        before = text.rfind("\n", 0, first.index) + 1
        if text[before : first.index].strip():  # after the dash of a list: the rest moves down
            return _Insert(first.index, f"{written}\n{comment}{indent}")
        return _Insert(before, comment + line)
    end = text.find("\n", after)
    if end < 0:
        return _Insert(len(text), f"\n{comment}{line}")
    return _Insert(end + 1, comment + line)


def _is_json(document: Any) -> bool:
    """Whether a document is written as JSON is, which knows no comments and no plain words."""
    return document.flow_style and all(key.style == '"' for key, _ in document.value)


def _into_json(text: str, node: MappingNode, one: Addition) -> _Insert:
    empty_list = next((child for key, child in node.value if key.value == one.key), None)
    if empty_list is not None:
        items = ", ".join(json.dumps(each, ensure_ascii=False) for each in one.value)
        return _Insert(empty_list.start_mark.index + 1, items)
    written = f"{json.dumps(one.key)}: {json.dumps(one.value, ensure_ascii=False)}"
    return _into_braces(text, node, written, None)


def _into_brackets(text: str, empty_list: SequenceNode, one: Addition) -> _Insert:
    """The items of a list that is written as an empty one."""
    index = empty_list.start_mark.index
    start = text.rfind("\n", 0, index) + 1
    indent = text[start:index]
    indent = indent[: len(indent) - len(indent.lstrip())]
    comment = None if one.decide is None else f"{indent}# decide: {one.decide}\n"
    return _Insert(index + 1, ", ".join(map(_written, one.value)), comment, start)


def _into_braces(text: str, node: MappingNode, written: str, decide: str | None) -> _Insert:
    closing = node.end_mark.index - 1
    last = closing
    while text[last - 1].isspace():
        last -= 1
    before = " " if text[last - 1] == "," else ", " if node.value else ""
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    indent = text[start : node.start_mark.index]
    indent = indent[: len(indent) - len(indent.lstrip())]
    comment = None if decide is None else f"{indent}# decide: {decide}\n"
    return _Insert(last, before + written, comment, start)


def _last_exact(node: MappingNode) -> int | None:
    """The end of the last field whose end is exact: a word or braces, no block of lines."""
    ends = [
        child.end_mark.index
        for _, child in node.value
        if (isinstance(child, ScalarNode) and child.style not in ("|", ">"))
        or (isinstance(child, CollectionNode) and child.flow_style)
    ]
    return ends[-1] if ends else None


def _inserted(text: str, inserts: Iterable[_Insert]) -> str:
    """The text with all insertions; a comment stands once, right above the line it speaks of."""
    fields: dict[int, list[str]] = {}
    comments: dict[int, dict[str, None]] = {}
    for one in inserts:
        fields.setdefault(one.index, []).append(one.text)
        if one.comment is not None:
            comments.setdefault(one.line_at, {})[one.comment] = None
    for index in sorted({*fields, *comments}, reverse=True):
        added = "".join((*fields.get(index, ()), *comments.get(index, ())))
        text = text[:index] + added + text[index:]
    return text


def _written(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _WORDS_OF_YAML):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)
