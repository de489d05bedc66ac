"""Terms that an agreement inherits: corporate, then customer, then service; the nearest wins.

A term is known by its section and name. What an agreement states itself stands before what it
inherits, and replaces a term of the same name as a whole; a single term (such as a claim) that is
stated as null is not inherited. What every agreement must state (dates,
currency, conventions, lateness) is never inherited: money depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from schemas.agreement import DEFAULT_ORDER, Agreement, Inheritance, Origin
from services.core.contracts.reading import Document, Refusal, mark_of
from services.core.contracts.wording import nearest

NAMED_BY: Mapping[str, str] = MappingProxyType(
    {
        "conversions": "currency",
        "bases": "base",
        "at_risk": "at_risk",
        "categories": "category",
        "levels": "level",
        "retainages": "retainage",
        "caps": "cap",
        "earn_backs": "earn_back",
        "banks": "bank",
        "fees": "fee",
        "terminations": "term",
        "clauses": "clause",
    }
)
"""Sections of many terms, and the field by which each of their terms is named."""

SINGLE = (
    "reweighting", "points", "single_event", "critical_failure", "small_amounts", "deposit",
    "payable", "invoicing", "claim", "disputes",
)  # fmt: skip
"""Terms of which an agreement has at most one."""

_REACH = {"corporate": 2, "customer": 1}
_SAME = {
    "programme": "programme", "vendor": "vendor", "currency": "currency",
    "settled": "settlement period",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resolution:
    """Documents with what they inherit, the frameworks among what was given, and what is wrong.

    A document that cannot be resolved is in neither of the two.
    """

    documents: tuple[Document, ...]
    frameworks: tuple[Document, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Whence:
    """A term of an agreement and who states it. ``inherited``: whether that is another one."""

    term: str
    agreement: str
    version: int
    inherited: bool


class _Wrong(Exception):
    """The document cannot inherit, for this reason."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def resolve(documents: Sequence[Document]) -> Resolution:
    """Give every document what it inherits from frameworks among the documents.

    Documents that inherit nothing, or have what they inherit already, stay as they are. To be done
    before `contract_check.check`, which refuses frameworks and what is not resolved.
    """
    frameworks = {
        (one.noun.agreement, one.noun.version): one
        for one in documents
        if isinstance(one.noun, Agreement) and one.noun.framework
    }
    resolved: list[Document] = []
    refusals: list[Refusal] = []
    for document in documents:
        if isinstance(document.noun, Agreement) and document.noun.framework:
            continue
        try:
            resolved.append(_resolved(document, frameworks))
        except _Wrong as wrong:
            refusals.append(wrong.refusal)
    return Resolution(tuple(resolved), tuple(frameworks.values()), tuple(refusals))


def whence(agreement: Agreement) -> tuple[Whence, ...]:
    """Every term of a resolved agreement and where it came from, section by section."""
    origins = {origin.term: origin for origin in agreement.origins}
    return tuple(
        Whence(term, origins[term].agreement, origins[term].version, True)
        if term in origins
        else Whence(term, agreement.agreement, agreement.version, False)
        for term in _terms(agreement)
    )


def _terms(agreement: Agreement) -> Iterator[str]:
    for section, field in NAMED_BY.items():
        yield from (f"{section}.{getattr(one, field)}" for one in getattr(agreement, section))
    yield from (name for name in SINGLE if getattr(agreement, name) is not None)
    if agreement.order != DEFAULT_ORDER:
        yield "order"


def _is_stated(agreement: Agreement, name: str) -> bool:
    return name in agreement.model_fields_set and getattr(agreement, name) is not None


def _resolved(document: Document, frameworks: Mapping[tuple[str, int], Document]) -> Document:
    agreement = document.noun
    if not isinstance(agreement, Agreement):
        return document
    if agreement.inherits is None or agreement.origins:
        return document
    parent = _parent(document, agreement, agreement.inherits, frameworks)
    return _merged(document, agreement, parent)


def _parent(
    document: Document,
    agreement: Agreement,
    asked: Inheritance,
    frameworks: Mapping[tuple[str, int], Document],
) -> Agreement:
    """The framework, itself resolved."""
    found = frameworks.get((asked.agreement, asked.version))
    if found is None:
        known = [f"{name} version {version}" for name, version in frameworks]
        close = nearest(f"{asked.agreement} version {asked.version}", known)
        raise _wrong(
            document,
            f"there is no framework {asked.agreement} version {asked.version}",
            f"did you mean {close}?" if close else "give its file as well, with framework: true",
        )
    assert isinstance(found.noun, Agreement)
    _fits(document, agreement, found.noun)
    parent = _resolved(found, frameworks).noun
    assert isinstance(parent, Agreement)
    return parent


def _fits(document: Document, agreement: Agreement, parent: Agreement) -> None:
    """Refuses a framework of no wider reach (which also bars circles), or with other basics."""
    reach = _REACH.get(parent.type, 0)
    if reach <= _REACH.get(agreement.type, 0):
        raise _wrong(
            document,
            f"type {agreement.type} cannot inherit from type {parent.type}",
            "terms go from corporate to customer to all others; correct the types",
        )
    for field, words in _SAME.items():
        if getattr(parent, field) != getattr(agreement, field):
            raise _wrong(
                document,
                f"{parent.agreement} has the {words} {getattr(parent, field)}, this agreement "
                f"{getattr(agreement, field)}",
                f"inherit only between agreements of one {words}",
            )


def _merged(document: Document, agreement: Agreement, parent: Agreement) -> Document:
    fields: dict[str, Any] = {
        name: getattr(agreement, name)
        for name in type(agreement).model_fields
        if name in agreement.model_fields_set
    }
    origins: list[Origin] = []
    taken = {origin.term: origin for origin in parent.origins}

    def note(term: str) -> None:
        own = Origin(term=term, agreement=parent.agreement, version=parent.version)
        origins.append(taken.get(term, own))

    for section, field in NAMED_BY.items():
        more = _more(document, agreement, parent, section)
        if more:
            fields[section] = (*getattr(agreement, section), *more)
        for one in more:
            note(f"{section}.{getattr(one, field)}")
    for name in (*SINGLE, "order"):
        if name not in agreement.model_fields_set and _is_stated(parent, name):
            fields[name] = getattr(parent, name)
            note(name)
    if not origins:
        raise _wrong(
            document,
            f"nothing of {parent.agreement} version {parent.version} is left to inherit",
            "leave out 'inherits'",
        )
    return _validated(document, fields, origins)


def _more(
    document: Document, agreement: Agreement, parent: Agreement, section: str
) -> tuple[Any, ...]:
    """The framework's terms of a section that the agreement neither states nor leaves out."""
    field = NAMED_BY[section]
    own = {getattr(one, field) for one in getattr(agreement, section)}
    assert agreement.inherits is not None
    without = agreement.inherits.without_levels if section == "levels" else ()
    theirs = [getattr(one, field) for one in getattr(parent, section)]
    for name in without:
        if name not in theirs:
            close = nearest(name, theirs)
            raise _wrong(
                document,
                f"{parent.agreement} has no level '{name}' that could be left out",
                f"did you mean '{close}'?" if close else "take it out of without_levels",
            )
    return tuple(
        one
        for one in getattr(parent, section)
        if getattr(one, field) not in own and getattr(one, field) not in without
    )


def _validated(document: Document, fields: dict[str, Any], origins: Sequence[Origin]) -> Document:
    """The whole agreement. Inherited terms stand, for whoever asks, where ``inherits`` does."""
    try:
        noun = Agreement.model_validate({**fields, "origins": tuple(origins)})
    except ValidationError as error:
        reason, _, remedy = str(error.errors()[0]["ctx"]["error"]).partition("; ")
        raise _wrong(document, f"with what it inherits, {reason}", remedy) from None
    place = mark_of(document.marks, ("inherits",))
    marks = dict(document.marks)
    for section in NAMED_BY:
        for index in range(len(getattr(noun, section))):
            marks.setdefault((section, index), place)
    for name in SINGLE:
        marks.setdefault((name,), place)
    return replace(document, noun=noun, marks=marks)


def _wrong(document: Document, reason: str, remedy: str) -> _Wrong:
    return _Wrong(document.refusal(("inherits",), reason, remedy))
