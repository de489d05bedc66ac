"""Whose word counts for single charges and circumstances: of what is there, and by whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from re import compile as pattern

from schemas.agreement import Agreement
from schemas.whose_word import SIDES
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import Finding
from services.core.events.stated_numbers import IN_USE
from services.core.events.whose_word import CLAIM


def _words(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement, programme = contract.agreement, contract.programme
    bases = [base.base for base in agreement.bases]
    third = [one.party for one in programme.third_parties]
    read = _words_in(agreement) | {cap.opening for cap in programme.shared_caps}
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(agreement.whose_word):
        if each.of not in (*SIDES, *third):
            yield Finding(
                ("whose_word", index, "of"),
                f"'{each.of}' is neither one of {', '.join(SIDES)} nor a third party of the "
                "programme",
                f"use {', '.join((*SIDES, *third))}, or add the party to third_parties",
            )
        if each.states == "charge" and each.name not in bases:
            yield Finding(
                ("whose_word", index, "name"),
                f"the agreement has no base {each.name}",
                f"use {', '.join(bases)}" if bases else "leave it out",
            )
        if each.states == "circumstance" and each.name not in read:
            yield Finding(
                ("whose_word", index, "name"),
                f"no term of the agreement reads the circumstance {each.name}",
                "correct the name, or leave it out",
            )
        if (each.states, each.name) in seen:
            yield Finding(
                ("whose_word", index, "name"),
                f"whose word counts for the {each.states} {each.name} is stated twice",
                "keep one of the two",
            )
        seen.add((each.states, each.name))


_WORD = pattern(r"[A-Za-z0-9_-]+")
_SAYS_NOTHING = ("whose_word", "clauses", "name")


def _words_in(agreement: Agreement) -> set[str | None]:
    """Every word in a term, conditions included, and the circumstances that terms read unnamed."""
    found: set[str | None] = set()
    told: list[object] = [
        text
        for field, text in agreement.model_dump(mode="json").items()
        if field not in _SAYS_NOTHING
    ]
    while told:
        term = told.pop()
        if isinstance(term, str):
            found.update(_WORD.findall(term))
        elif isinstance(term, Mapping):
            told.extend(text for field, text in term.items() if field not in _SAYS_NOTHING)
        elif isinstance(term, list):
            told.extend(term)
    if agreement.claim is not None:
        found.add(CLAIM)
    if any(base.part_of_period == "by_days_in_use" for base in agreement.bases):
        found.add(IN_USE)
    return found


CHECKS: tuple[Check, ...] = (_words,)
