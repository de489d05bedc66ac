"""What a circumstance says: numbers and days, or a clear word that it does not say them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from schemas.evaluation import CircumstanceFact
from services.core.inputs.blockers import InvalidDeclaration


def stated_number(fact: CircumstanceFact, name: str) -> Fraction:
    """A number among what a circumstance states. Raises InvalidDeclaration where there is none."""
    stated = fact.circumstance.values.get(name)
    if isinstance(stated, bool) or not isinstance(stated, (Fraction, int)):
        raise InvalidDeclaration(misstated_text(fact, name, stated, "a number such as 12.50"))
    return Fraction(stated)


def stated_day(fact: CircumstanceFact, name: str) -> date:
    """A day among what a circumstance states. Raises InvalidDeclaration where there is none."""
    stated = fact.circumstance.values.get(name)
    try:
        return date.fromisoformat(str(stated))
    except ValueError:
        raise InvalidDeclaration(
            misstated_text(fact, name, stated, "a day such as 2025-03-10")
        ) from None


def misstated_text(fact: CircumstanceFact, name: str, stated: object, wanted: str) -> str:
    said = "nothing" if stated is None else repr(stated)
    return (
        f"the circumstance {fact.circumstance.circumstance} of {fact.circumstance.period} (event "
        f"{fact.event.id}) states {said} as '{name}'; correct it with {wanted}"
    )
