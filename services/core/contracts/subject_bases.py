"""Bases that are charged for each subject, where a term asks for the charge of none.

Such a term waits for ever, though the charge of every subject is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.agreement import Agreement
from schemas.base import Noun
from services.core.contracts.wording import FieldPath, Finding


def waiting_for_ever(agreement: Agreement) -> Iterator[Finding]:
    """Every term of the whole, and every credit of a level without subject, over such a base."""
    per_subject = {base.base for base in agreement.bases if base.per_subject}
    if not per_subject:
        return
    at_risk = {term.at_risk for term in agreement.at_risk if term.base in per_subject}
    for index, level in enumerate(agreement.levels):
        if level.subject is None and not level.each_subject:
            for path, name in _read(
                level.credits, ("levels", index, "credits"), per_subject, at_risk
            ):
                reason = (
                    f"{name} is charged for each subject, and level {level.level} is about no "
                    "single one, so its charge is never there"
                )
                remedy = "state the level's subject, or each_subject: true, or take a base that "
                yield Finding(path, reason, f"{remedy}is charged for the whole agreement")
    for section in type(agreement).model_fields:
        if section not in ("levels", "bases", "at_risk"):
            for path, name in _read(getattr(agreement, section), (section,), per_subject, at_risk):
                reason = f"{name} is charged for each subject, and this term is about all of them"
                yield Finding(path, reason, "take a base that is charged for the whole agreement")


def _read(
    noun: Any, path: FieldPath, bases: set[str], at_risk: set[str]
) -> Iterator[tuple[FieldPath, str]]:
    """Where one of these bases, or an amount at risk over one, is read."""
    if isinstance(noun, tuple):
        for index, one in enumerate(noun):
            yield from _read(one, (*path, index), bases, at_risk)
    elif isinstance(noun, Noun):
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            named = {"base": bases, "cost": bases, "at_risk": at_risk}.get(field, set())
            if isinstance(value, str) and value in named:
                yield (*path, field), value
            else:
                yield from _read(value, (*path, field), bases, at_risk)
