"""What is wrong with a contract, in the words of contracts: path, reason and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.field_words import field_words

FieldPath = tuple[str | int, ...]

NAME_WORDS = "names are lower case letters, digits, dot, dash and underscore, at most 80"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, at a path, in words for people."""

    path: FieldPath
    reason: str
    remedy: str


def path_text(path: FieldPath) -> str:
    """A path as people read it: ``levels[0].credits[0].rate``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, or None where none is close."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def in_words(detail: Mapping[str, Any], model: type[BaseModel], data: Any) -> Finding | None:
    """One pydantic error for people; None where it belongs to a choice that was not written."""
    walked = _walk(tuple(detail["loc"]), model, data)
    if walked is None:
        return None
    walked.document = data
    if detail["type"] == "too_short" and len(walked.node) >= detail["ctx"]["min_length"]:
        # pydantic counts only what it could read: the items have refusals of their own
        return None
    say = _SAYINGS.get(str(detail["type"]), _other)
    return say(detail, walked)


@dataclass(slots=True)
class _Walked:
    """Where an error's location leads: the path in the file, and the models along it.

    ``models``: what may stand at the path. ``above``: what holds it. ``field``: its declaration.
    ``document``: the whole that the path leads through.
    """

    path: FieldPath
    node: Any
    models: tuple[type[BaseModel], ...]
    above: tuple[type[BaseModel], ...] = ()
    field: FieldInfo | None = None
    chosen: bool = False
    document: Any = None


def _walk(loc: FieldPath, model: type[BaseModel], data: Any) -> _Walked | None:
    """Follows a location through the data; names of choices, which pydantic adds, are left out.

    None where the location leads into a branch of a choice that does not fit what is written.
    """
    at = _Walked((), data, (model,))
    for part in loc:
        if isinstance(part, int):
            at = _Walked((*at.path, part), _item(at.node, part), at.models, at.above, at.field)
        elif _is_tag(at, part):
            at.models = tuple(one for one in at.models if part in _kinds(one)) or at.models
            at.chosen = True
        elif _is_branch_name(part):
            if part[:1].isupper() != isinstance(at.node, dict):
                return None
            at.models = tuple(one for one in at.models if one.__name__ == part) or at.models
        else:
            at = _below(at, part)
    return at


def _is_tag(at: _Walked, part: str) -> bool:
    """Whether a part names the kind that was written here, not a field of it."""
    written = at.node.get("kind") if isinstance(at.node, dict) else None
    return written == part and not at.chosen and bool(at.path)


def _is_branch_name(part: str) -> bool:
    """A choice without a kind is told by a class name or by the words of a literal."""
    return part[:1].isupper() or "[" in part


def _below(at: _Walked, name: str) -> _Walked:
    info = next((one.model_fields[name] for one in at.models if name in one.model_fields), None)
    inner = tuple(_models_in(info.annotation)) if info is not None else ()
    return _Walked((*at.path, name), _item(at.node, name), inner, at.models, info)


def _item(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    info = model.model_fields.get("kind")
    return tuple(str(one) for one in get_args(info.annotation)) if info is not None else ()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _described(info: FieldInfo | None) -> str:
    return f" ({info.description})" if info is not None and info.description else ""


def _missing(_: Mapping[str, Any], at: _Walked) -> Finding:
    name = at.path[-1]
    if isinstance(name, int):
        return Finding(at.path, f"item {name + 1} of the list is not stated", "add it")
    choices = [str(one) for one in _choices(at.field.annotation)] if at.field else []
    which = f": one of {', '.join(choices)}" if choices else ""
    if (at.path[0], name) == ("sources", "metrics"):
        which = f": a list of {', '.join(_metrics_of(at.document))}; or []"
    return Finding(at.path, f"'{name}' is not stated", f"add {name}{which}{_described(at.field)}")


def _metrics_of(programme: Any) -> Iterator[str]:
    """The names of the metrics that a programme defines, as far as they are written."""
    metrics = _item(programme, "metrics")
    for metric in metrics if isinstance(metrics, list) else ():
        if name := _item(metric, "metric"):
            yield str(name)


_JOINED = (Annotated, Literal, Union, UnionType)


def _choices(annotation: Any) -> Iterator[object]:
    """The words, numbers and small mappings that may be written: ``miss``, ``{counts_as: N}``."""
    for inner in get_args(annotation) if get_origin(annotation) in _JOINED else ():
        if isinstance(inner, (str, int)) and not isinstance(inner, bool):
            yield inner
        elif get_origin(inner) in _JOINED:
            yield from _choices(inner)
        else:
            yield from _forms([inner])


def _forms(models: Iterable[Any]) -> Iterator[str]:
    """How the nouns among these are written, where they are told by no kind."""
    for model in models:
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or _kinds(model):
            continue
        fields = [name for name, info in model.model_fields.items() if info.is_required()]
        value = "N" if len(fields) == 1 else "..."
        if fields:
            yield "{" + ", ".join(f"{name}: {value}" for name in fields) + "}"


def _unknown(_: Mapping[str, Any], at: _Walked) -> Finding:
    name = str(at.path[-1])
    if name.isdigit() and at.node is None:
        reason = f"'{name}' stands alone after a comma"
        return Finding(at.path, reason, "write numbers with a decimal point: 99.9, not 99,9")
    known = sorted({one for model in at.above for one in model.model_fields})
    close = nearest(name, known)
    remedy = f"did you mean '{close}'?" if close else f"known here: {', '.join(known)}"
    return Finding(at.path, f"'{name}' is not a term that is known here", remedy)


def _no_kind(detail: Mapping[str, Any], at: _Walked) -> Finding:
    kinds = [kind for one in at.models for kind in _kinds(one)]
    return Finding((*at.path, "kind"), "'kind' is not stated", f"write one of {', '.join(kinds)}")


def _bad_kind(detail: Mapping[str, Any], at: _Walked) -> Finding:
    kinds = [kind for one in at.models for kind in _kinds(one)]
    said = _item(at.node, "kind")
    close = nearest(str(said), kinds)
    hint = f"did you mean '{close}'? " if close else ""
    remedy = f"{hint}write one of {', '.join(kinds)}"
    return Finding((*at.path, "kind"), f"{as_written(said)} is no kind of {at.path[-1]}", remedy)


def _bad_choice(detail: Mapping[str, Any], at: _Walked) -> Finding:
    expected = str(detail["ctx"]["expected"]).replace("'", "")
    forms = tuple(_forms(at.models))
    if forms:
        expected = " or ".join((expected.replace(" or ", ", "), *forms))
    close = nearest(str(detail["input"]), expected.replace(" or ", ", ").split(", "))
    hint = f"did you mean '{close}'? " if close else ""
    said = as_written(detail["input"])
    return Finding(at.path, f"{said} is not a choice here", f"{hint}write {expected}")


def _by_rule(detail: Mapping[str, Any], at: _Walked) -> Finding:
    text = str(detail["ctx"]["error"])
    reason, _, remedy = text.partition("; ")
    return Finding(at.path, reason, remedy or "correct it")


def _not_text(detail: Mapping[str, Any], at: _Walked) -> Finding:
    remedy = "put it in quotes" if not isinstance(at.node, dict | list) else "write a text"
    return Finding(at.path, f"{as_written(at.node)} is not text", remedy)


def as_written(node: Any) -> str:
    """What stands in the file, in the file's own words."""
    if isinstance(node, dict | list):
        return "a mapping" if isinstance(node, dict) else "a list"
    if isinstance(node, bool) or node is None:
        return {True: "true", False: "false", None: "null"}[node]
    return f"'{node}'" if isinstance(node, str) else str(node)


def _no_list(_: Mapping[str, Any], at: _Walked) -> Finding:
    if at.path[-1] == "domain":
        remedy = "write domain: [lowest, highest], such as [0, 100]"
        return Finding(at.path, f"{as_written(at.node)} is no pair of ends", remedy)
    return Finding(at.path, f"{as_written(at.node)} is no list", "write each term after a dash")


def _empty(_: Mapping[str, Any], at: _Walked) -> Finding:
    return Finding(at.path, "the text is empty", "write a text")


def _too_few(detail: Mapping[str, Any], at: _Walked) -> Finding:
    fewest, there = detail["ctx"]["min_length"], len(at.node)
    reason = f"the list has {there} of at least {fewest} items" if there else "the list is empty"
    return Finding(at.path, reason, f"add {fewest - there} or more")


def _no_fields(_: Mapping[str, Any], at: _Walked) -> Finding:
    known = list(dict.fromkeys(name for one in at.models for name in one.model_fields))
    remedy = f"write its fields below it: {', '.join(known)}" if known else "write its fields"
    return Finding(at.path, f"{as_written(at.node)} has no fields", remedy)


_OTHER_PATTERNS = (
    (r"^[A-Z]{3}$", "currency code", "write the three capital letters of ISO 4217, such as EUR"),
    (
        r"^[!-~]{1,200}$",
        "source",
        "write printable characters without spaces, at most 200, such as urn:acme:probe",
    ),
    (r"^[!-~]{1,120}$", "subject", "write printable characters without spaces, at most 120"),
    (
        r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        "time of day",
        "write hours and minutes in quotes, such as '08:00' or '24:00'",
    ),
)
"""Patterns of text that is no name: what it is, and how it is written."""


def _bad_name(detail: Mapping[str, Any], at: _Walked) -> Finding:
    said = as_written(detail["input"])
    for pattern, what, remedy in _OTHER_PATTERNS:
        if detail.get("ctx", {}).get("pattern") == pattern:
            return Finding(at.path, f"{said} is no {what}", remedy)
    return Finding(at.path, f"{said} is not a name as wanted here", NAME_WORDS)


def _other(detail: Mapping[str, Any], at: _Walked) -> Finding:
    reason, remedy = field_words(detail, "correct the value")
    said = as_written(detail["input"])
    for subject in ("it is", "the number is"):
        if reason.startswith(subject):
            reason = f"{said} is{reason.removeprefix(subject)}"
    return Finding(at.path, reason, f"{remedy}{_described(at.field)}")


_SAYINGS: dict[str, Callable[[Mapping[str, Any], _Walked], Finding]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "union_tag_not_found": _no_kind,
    "union_tag_invalid": _bad_kind,
    "literal_error": _bad_choice,
    "value_error": _by_rule,
    "string_type": _not_text,
    "string_too_short": _empty,
    "tuple_type": _no_list,
    "too_short": _too_few,
    "model_type": _no_fields,
    "model_attributes_type": _no_fields,
    "string_pattern_mismatch": _bad_name,
}
