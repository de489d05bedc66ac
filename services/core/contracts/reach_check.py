"""Terms that could never do anything: points, earn-backs, banks, deposits, retainages."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.contracts.level_effects import has_minimum
from services.core.contracts.under_check import Check, ContractUnderCheck
from services.core.contracts.wording import Finding


def _points_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    if contract.agreement.points is None:
        return
    for _, _, credit in contract.credits():
        if credit.rate.kind == "points" or getattr(credit.rate, "gives", "") == "points":
            return
    reason = "points are turned into money, but no credit gives points"
    yield Finding(("points",), reason, "give points in a level's credits, or leave points out")


def _earn_backs_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    paying = {
        level.level
        for _, level, credit in contract.credits()
        if credit.is_a in ("service_credit", "penalty")
    }
    for index, term in enumerate(contract.agreement.earn_backs):
        for name in term.levels:
            if name not in paying:
                reason = f"level {name} bears no credit that could be earned back"
                yield Finding(("earn_backs", index, "levels"), reason, "leave the level out")


def _money_terms_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    filled = {credit.bank for _, _, credit in contract.credits()}
    for index, bank in enumerate(agreement.banks):
        if bank.opening is None and bank.bank not in filled:
            reason = f"nothing ever credits bank {bank.bank}"
            yield Finding(("banks", index), reason, "add a banked credit or an opening, or drop it")
    if agreement.deposit is not None and agreement.effective_until is None:
        reason = "a deposit is taken in the last period but one, but the agreement has no end"
        yield Finding(("deposit",), reason, "state effective_until, or leave the deposit out")
    critical = agreement.critical_failure
    failing = agreement.level_named(critical.level or "") if critical is not None else None
    if failing is not None and not has_minimum(failing):
        reason = f"level {failing.level} has no minimum, so it never fails critically"
        yield Finding(("critical_failure", "level"), reason, "state the level's minimum")
    for index, term in enumerate(agreement.retainages):
        parts = agreement.level_named(term.parts)
        if parts is not None and not parts.each_subject:
            reason = f"level {term.parts} is not judged for each subject"
            yield Finding(("retainages", index, "parts"), reason, "write each_subject: true there")


CHECKS: tuple[Check, ...] = (
    _points_out_of_reach,
    _earn_backs_out_of_reach,
    _money_terms_out_of_reach,
)
