"""Whose word counts for single charges and circumstances: of what is there, and by whom."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.whose_word import SIDES
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import Finding


def _words(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement, programme = contract.agreement, contract.programme
    bases = [base.base for base in agreement.bases]
    third = [one.party for one in programme.third_parties]
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
        if (each.states, each.name) in seen:
            yield Finding(
                ("whose_word", index, "name"),
                f"whose word counts for the {each.states} {each.name} is stated twice",
                "keep one of the two",
            )
        seen.add((each.states, each.name))


CHECKS: tuple[Check, ...] = (_words,)
