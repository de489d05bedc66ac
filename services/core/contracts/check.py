"""What one document cannot know of itself: names of the programme, totals, terms out of reach.

Each check looks at one thing and says where, why, and what to do. None stops the others. They are
in `name_check`, `level_check`, `price_check`, `reach_check` and `version_check`.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts import (
    level_check,
    name_check,
    price_check,
    reach_check,
    version_check,
    word_check,
)
from services.core.contracts.attribution_check import broken_attributions
from services.core.contracts.calendar_check import broken_calendars
from services.core.contracts.currency_check import broken_currencies
from services.core.contracts.level_effects import idle_level_terms
from services.core.contracts.money_effects import idle_money_terms
from services.core.contracts.occurrence_check import broken_occurrences
from services.core.contracts.opening_check import broken_openings
from services.core.contracts.reading import Document, Refusal
from services.core.contracts.reweighting import broken_reweighting
from services.core.contracts.rounding_check import coarse_roundings
from services.core.contracts.shared_cap_check import unfit
from services.core.contracts.subject_bases import waiting_for_ever
from services.core.contracts.under_check import ContractUnderCheck
from services.core.contracts.wording import Finding
from services.core.contracts.worth_check import broken_worths


def check(
    document: Document, programme: Programme | None, others: Sequence[Agreement] = ()
) -> tuple[Refusal, ...]:
    """Everything wrong with an agreement beside its programme and the versions of itself.

    ``programme``: the version in force, or None where it is not known. ``others``: versions of the
    same agreement that are applied or stand in the same files. A programme has nothing to check.
    """
    agreement = document.noun
    if not isinstance(agreement, Agreement):
        return ()
    if programme is None or programme.programme != agreement.programme:
        reason = f"the programme {agreement.programme} is not known"
        remedy = "give its file as well, or apply it first"
        return (document.refusal(("programme",), reason, remedy),)
    found = findings(agreement, programme, others)
    refusals = (document.refusal(one.path, one.reason, one.remedy) for one in found)
    return tuple(sorted(refusals, key=lambda one: (one.line, one.column)))


def findings(
    agreement: Agreement, programme: Programme, others: Sequence[Agreement] = ()
) -> list[Finding]:
    """The same of an agreement that is in no file."""
    contract = ContractUnderCheck(agreement, programme)
    found = [one for look in _CHECKS for one in look(contract)]
    found += version_check.against_versions(agreement, others)
    found += broken_reweighting(agreement, others)
    found += broken_currencies(agreement)
    found += broken_openings(agreement)
    found += broken_calendars(agreement)
    found += unfit(agreement, programme)
    found += broken_worths(agreement, programme)
    found += broken_attributions(agreement, programme)
    found += coarse_roundings(agreement)
    found += idle_level_terms(agreement, programme)
    found += idle_money_terms(agreement, programme)
    found += waiting_for_ever(agreement)
    found += broken_occurrences(agreement, programme)
    return found


_CHECKS = (
    *name_check.CHECKS,
    *level_check.CHECKS,
    *price_check.CHECKS,
    *reach_check.CHECKS,
    *version_check.CHECKS,
    *word_check.CHECKS,
)
