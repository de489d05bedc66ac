"""Names: each that is used is declared, each is declared once, and lines can be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.agreement import AtRisk, Base, Category
from schemas.base import Noun
from schemas.ceiling import Cap
from schemas.earn_back import Bank
from schemas.level import Level
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import FieldPath, Finding, nearest

_REFERS = {
    "metric": "metric",
    "highest": "metric",
    "lowest": "metric",
    "base": "base",
    "at_risk": "amount at risk",
    "category": "category",
    "level": "level",
    "levels": "level",
    "replaces": "level",
    "pays_for": "level",
    "whole": "level",
    "parts": "level",
    "cost": "base",
    "bank": "bank",
    "cap": "cap",
}
"""Fields that name something declared elsewhere, and what they name."""


_DECLARES: dict[type[Noun], str] = {
    Base: "base",
    AtRisk: "at_risk",
    Category: "category",
    Level: "level",
    Bank: "bank",
    Cap: "cap",
}
"""The nouns that declare a name, in the field named here."""


def _names(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    known = {
        "metric": [metric.metric for metric in contract.programme.metrics],
        "base": [base.base for base in agreement.bases],
        "amount at risk": [term.at_risk for term in agreement.at_risk],
        "category": [term.category for term in agreement.categories],
        "level": [level.level for level in agreement.levels],
        "bank": [bank.bank for bank in agreement.banks],
        "cap": [cap.cap for cap in agreement.caps],
    }
    for path, what, name in _references(agreement, ()):
        if name not in known[what]:
            close = nearest(name, known[what])
            listed = ", ".join(known[what]) or "none"
            remedy = f"did you mean '{close}'?" if close else f"declared are: {listed}"
            yield Finding(path, f"there is no {what} '{name}'", remedy)
    vendors = [vendor.vendor for vendor in contract.programme.vendors]
    if agreement.vendor not in vendors:
        close = nearest(agreement.vendor, vendors)
        remedy = f"did you mean '{close}'?" if close else "add the vendor to the programme"
        reason = f"the programme has no vendor '{agreement.vendor}'"
        yield Finding(("vendor",), reason, remedy)


def _references(noun: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str, str]]:
    """Every name in an agreement that refers to something, with its path and what it names."""
    if isinstance(noun, tuple):
        for index, one in enumerate(noun):
            yield from _references(one, (*path, index))
    if not isinstance(noun, Noun):
        return
    for field in type(noun).model_fields:
        value = getattr(noun, field)
        what = _REFERS.get(field)
        if what is None or _DECLARES.get(type(noun)) == field:
            yield from _references(value, (*path, field))
            continue
        names = value if isinstance(value, tuple) else (value,)
        if all(isinstance(name, str) for name in names):
            yield from (((*path, field), what, name) for name in names)
        else:
            yield from _references(value, (*path, field))


def _declared_once(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    declared: tuple[tuple[str, str, Sequence[Any]], ...] = (
        ("bases", "base", agreement.bases),
        ("at_risk", "at_risk", agreement.at_risk),
        ("categories", "category", agreement.categories),
        ("levels", "level", agreement.levels),
        ("caps", "cap", agreement.caps),
        ("earn_backs", "earn_back", agreement.earn_backs),
        ("terminations", "term", agreement.terminations),
        ("clauses", "clause", agreement.clauses),
        ("banks", "bank", agreement.banks),
        ("fees", "fee", agreement.fees),
        ("retainages", "retainage", agreement.retainages),
    )
    for section, field, terms in declared:
        names = [getattr(term, field) for term in terms]
        for index, name in enumerate(names):
            if name in names[:index]:
                reason = f"'{name}' is declared twice in {section}"
                yield Finding((section, index, field), reason, "give it another name")


def _lines_are_told_apart(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        names = [credit.name for credit in level.credits]
        for index, name in enumerate(names):
            if name in names[:index]:
                which = "without a name" if name is None else f"named '{name}'"
                reason = f"two credits of level {level.level} are {which}"
                yield Finding((*path, "credits", index), reason, "give each a name of its own")


CHECKS: tuple[Check, ...] = (
    _names,
    _declared_once,
    _lines_are_told_apart,
)
