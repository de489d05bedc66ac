"""Versions: when one begins and ends, what stays between them, and what a framework needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.agreement import Agreement
from services.core.contracts.occurrence_check import occurrences_moved
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import Finding


def _ends_after_it_begins(contract: ContractUnderCheck) -> Iterator[Finding]:
    begins, until = contract.agreement.effective_from, contract.agreement.effective_until
    if until is not None and until <= begins:
        reason = f"it begins on {begins} and ends on {until}, so it covers no day"
        yield Finding(("effective_until",), reason, "correct one of the two, or leave the end out")


def _stands_alone(contract: ContractUnderCheck) -> Iterator[Finding]:
    """A framework is never settled, and inherited terms are part of what is applied."""
    agreement = contract.agreement
    if agreement.framework:
        reason = f"{agreement.agreement} is a framework, whose terms only others have"
        yield Finding(("framework",), reason, "give it beside the agreements that inherit from it")
    if agreement.inherits is not None and not agreement.origins:
        whose = f"{agreement.inherits.agreement} version {agreement.inherits.version}"
        reason = f"the terms of {whose} are not taken over yet"
        yield Finding(("inherits",), reason, "give the file of that framework as well")


def against_versions(agreement: Agreement, others: Sequence[Agreement]) -> Iterator[Finding]:
    """What does not fit the other versions of the same agreement."""
    for other in others:
        if other.agreement != agreement.agreement or other == agreement:
            continue
        if other.version == agreement.version:
            reason = f"version {other.version} of {other.agreement} is there with other terms"
            yield Finding(("version",), reason, "give the changed terms a new version")
            continue
        yield from _in_order(agreement, other)
        for field in ("programme", "vendor", "currency", "settled"):
            if getattr(other, field) != getattr(agreement, field):
                reason = f"version {other.version} has {field} {getattr(other, field)}"
                yield Finding((field,), reason, f"keep the {field}, or write a new agreement")
        yield from occurrences_moved(agreement, other)


def _in_order(agreement: Agreement, other: Agreement) -> Iterator[Finding]:
    later, earlier = (agreement, other) if agreement.version > other.version else (other, agreement)
    if later.effective_from <= earlier.effective_from:
        reason = (
            f"version {later.version} begins on {later.effective_from}, not after version "
            f"{earlier.version} ({earlier.effective_from})"
        )
        yield Finding(("effective_from",), reason, "let the later version begin later")


CHECKS: tuple[Check, ...] = (
    _ends_after_it_begins,
    _stands_alone,
)
