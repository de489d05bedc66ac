"""What changed between two versions of a contract or a programme, in words.

Terms are matched by their names and rows of a table by the values they hold, so that a term put in
between changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from schemas.agreement import Agreement
from schemas.bands import Band, Rounding, Threshold
from schemas.base import Noun, written
from schemas.programme import Programme
from services.core.contracts.inheritance import NAMED_BY, Whence, whence

_NAMED_BY: Mapping[str, str] = MappingProxyType(
    {
        **NAMED_BY,
        "credits": "name",
        "reads": "name",
        "metrics": "metric",
        "vendors": "vendor",
        "sources": "source",
        "shared_caps": "cap",
        "shares": "attributed_to",
    }
)
_ONE_OF: Mapping[str, str] = MappingProxyType(
    {
        "conversions": "conversion of",
        "bases": "base",
        "at_risk": "amount at risk",
        "categories": "category",
        "levels": "level",
        "retainages": "retainage",
        "caps": "cap",
        "shared_caps": "shared cap",
        "shares": "share of",
        "earn_backs": "earn-back",
        "banks": "bank",
        "fees": "fee",
        "terminations": "right to end",
        "clauses": "clause",
        "credits": "credit",
        "reads": "name read",
        "metrics": "metric",
        "vendors": "vendor",
        "sources": "source",
        "factors": "factor",
        "bands": "row",
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``old`` is None for what is added, ``new`` for what is left out.

    ``path``: where it stands, with names in place of positions: ``levels[uptime].expected``.
    ``words``: the same for people: ``level uptime, expected``. ``origin``: the agreement and
    version that states an inherited term; None for what the document states itself.
    """

    path: str
    words: str
    old: str | None
    new: str | None
    origin: str | None = None

    def text(self) -> str:
        """One line for people."""
        whence = f" (inherited from {self.origin})" if self.origin else ""
        if self.old is None:
            return f"{self.words}: added, {self.new}{whence}"
        if self.new is None:
            return f"{self.words}: left out (was {self.old}){whence}"
        return f"{self.words}: {self.old} → {self.new}{whence}"


@dataclass(frozen=True, slots=True)
class _DiffPath:
    """Where the comparison stands, as a path and in words."""

    path: str = ""
    words: tuple[str, ...] = ()

    def field(self, name: str) -> _DiffPath:
        """A field below."""
        path = f"{self.path}.{name}" if self.path else name
        return _DiffPath(path, (*self.words, name.replace("_", " ")))

    def item(self, section: str, name: str) -> _DiffPath:
        """A term of a section below, by name or number."""
        path = f"{self.path}.{section}" if self.path else section
        one = _ONE_OF.get(section, section)
        return _DiffPath(f"{path}[{name}]", (*self.words, f"{one} {name}".strip()))

    def change(self, old: Any, new: Any) -> Change:
        """A change at this place."""
        return Change(self.path, ", ".join(self.words), _said(old), _said(new))


def contract_diff(old: Agreement | Programme, new: Agreement | Programme) -> tuple[Change, ...]:
    """Every change from one version to another, in the order of the newer file's sections.

    Equal documents have none. A change of an inherited term says where it comes from, and needs no
    line of its own for that. Raises ValueError for an agreement beside a programme.
    """
    if old.kind != new.kind:
        raise ValueError(
            f"{old.kind} and {new.kind} cannot be compared; give two versions of one document"
        )
    found = _nouns(old, new, _DiffPath())
    if isinstance(old, Agreement) and isinstance(new, Agreement):
        return (*_with_origins(found, old, new), *_moved(old, new))
    return tuple(found)


def _with_origins(changes: Iterator[Change], old: Agreement, new: Agreement) -> Iterator[Change]:
    """Each change with the origin of its term: of the new one, or of the old where none is left."""
    there = {one.term for one in whence(new)}
    gone = [origin for origin in old.origins if origin.term not in there]
    known = {_path(one.term): one for one in (*gone, *new.origins)}
    for change in changes:
        if change.path.startswith("origins"):
            continue  # said beside each term that changes
        for path, origin in known.items():
            if change.path == path or change.path.startswith((f"{path}.", f"{path}[")):
                change = replace(change, origin=f"{origin.agreement} version {origin.version}")
        yield change


def _moved(old: Agreement, new: Agreement) -> Iterator[Change]:
    """Terms that another agreement states than before: itself, or another framework."""
    before = {one.term: one for one in whence(old)}
    for one in whence(new):
        was = before.get(one.term)
        if was is not None and _stater(was) != _stater(one):
            yield Change(
                f"origins[{one.term}]", f"origin of {one.term}", _stater(was), _stater(one)
            )


def _stater(one: Whence) -> str:
    return one.agreement if one.inherited else "itself"


def _path(term: str) -> str:
    """A term's path as changes name it: ``caps[month]`` for ``caps.month``."""
    section, _, name = term.partition(".")
    return f"{section}[{name}]" if name else section


def _nouns(old: Noun, new: Noun, place: _DiffPath) -> Iterator[Change]:
    for name in type(new).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield from _values(before, after, name, place)


def _values(before: Any, after: Any, name: str, place: _DiffPath) -> Iterator[Change]:
    if _is_terms(before) and _is_terms(after):
        yield from _terms(before, after, name, place)
    elif _can_be_walked(before, after):
        yield from _nouns(before, after, place.field(name))
    else:
        yield place.field(name).change(before, after)


def _is_terms(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, Noun) for one in value)


def _can_be_walked(before: Any, after: Any) -> bool:
    """Whether two terms are of one kind, and large enough to be compared field by field."""
    if not isinstance(after, Noun) or type(before) is not type(after):
        return False
    same_kind = getattr(before, "kind", None) == getattr(after, "kind", None)
    return same_kind and not isinstance(after, Threshold | Rounding | Band)


def _terms(
    before: Sequence[Noun], after: Sequence[Noun], section: str, place: _DiffPath
) -> Iterator[Change]:
    rows = section == "bands" or all(isinstance(one, Band) for one in (*before, *after))
    if rows:
        yield from _rows(before, after, section, place)
        return
    olds, news = _named(before, section), _named(after, section)
    for name in dict.fromkeys((*olds, *news)):
        at = place.item(section, name)
        old, new = olds.get(name), news.get(name)
        if old is not None and new is not None and _can_be_walked(old, new):
            yield from _nouns(old, new, at)
        elif old != new:
            yield at.change(old, new)
    orders = [[name for name in side if name in other]
              for side, other in ((olds, news), (news, olds))]  # fmt: skip
    if orders[0] != orders[1]:
        at = place.field(section)
        yield Change(at.path, f"order of {at.words[-1]}", *(", ".join(one) for one in orders))


def _named(terms: Sequence[Noun], section: str) -> dict[str, Noun]:
    """Terms by name; those without one by their number among the nameless."""
    found: dict[str, Noun] = {}
    nameless = 0
    for term in terms:
        name = getattr(term, _NAMED_BY.get(section, ""), None)
        if name is None:
            nameless += 1
        key = str(name) if name is not None else str(nameless)
        found[f"{key} again" if key in found else key] = term
    return found


def _rows(
    before: Sequence[Noun], after: Sequence[Noun], section: str, place: _DiffPath
) -> Iterator[Change]:
    """Rows that hold the same values are compared; the others in their order, one by one."""
    olds = {_holds(row): row for row in before}
    news = {_holds(row): row for row in after}
    for text, row in news.items():
        if text in olds and olds[text] != row:
            yield place.item(section, f"'{text}'").change(olds[text], row)
    left = [row for text, row in olds.items() if text not in news]
    came = [row for text, row in news.items() if text not in olds]
    for number in range(max(len(left), len(came))):
        old = left[number] if number < len(left) else None
        new = came[number] if number < len(came) else None
        shown = old if old is not None else new
        assert shown is not None
        yield place.item(section, f"'{_holds(shown)}'").change(old, new)


def _holds(row: Noun) -> str:
    """The values that a row holds."""
    if isinstance(row, Band):
        return row.text()
    upper = getattr(row, "up_to", None)
    lower = f"above {written(row.above)}"  # type: ignore[attr-defined]
    return lower if upper is None else f"{lower}, up to {written(upper)}"


def _said(value: Any) -> str | None:
    """A value for people; None for what is not stated."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Fraction):
        return written(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return ", ".join(str(_said(one)) for one in value) or "none"
    if isinstance(value, Threshold):
        return value.text()
    if isinstance(value, Rounding):
        return f"{value.decimals} decimals, {value.mode.replace('_', ' ')}"
    if isinstance(value, Band):
        named = f" ({value.name})" if value.name else ""
        return f"{value.text()}: gives {written(value.gives)}{named}"
    if isinstance(value, Noun):
        return _told(value)
    return str(value)


def _told(noun: Noun) -> str:
    """A whole term: its kind, then what it states beside its defaults."""
    kind = getattr(noun, "kind", None)
    words = [] if kind is None else [str(kind).replace("_", " ")]
    for name, info in type(noun).model_fields.items():
        value = getattr(noun, name)
        if name == "kind" or value is None or value == info.default:
            continue
        text = _said(value)
        inner = isinstance(value, Noun) and not isinstance(value, Threshold | Rounding)
        words.append(f"{name.replace('_', ' ')} {f'({text})' if inner else text}")
    return ", ".join(words)
