"""What a circumstance says: numbers and days, or a clear word that it does not say them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from schemas.base import YEARS, day_of
from schemas.evaluation import CircumstanceFact
from schemas.period import period_length
from schemas.period_cycle import length_text
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
        found = day_of(stated) if isinstance(stated, str) else None
        if found is None:
            raise ValueError("a number is no day, however it reads")
        if not YEARS[0] <= found.year <= YEARS[1]:
            raise ValueError("terms count on from it, and no statement reaches there")
        return found
    except ValueError:
        raise InvalidDeclaration(
            misstated_text(
                fact, name, stated, f"a day from {YEARS[0]} to {YEARS[1]} such as 2025-03-10"
            )
        ) from None


def misstated_text(fact: CircumstanceFact, name: str, stated: object, wanted: str) -> str:
    said = "nothing" if stated is None else repr(stated)
    return f"{named(fact)} states {said} as '{name}'; correct it with {wanted}"


def too_short_text(fact: CircumstanceFact, window: str) -> str:
    """Why a statement of a part of a window says nothing of all of it."""
    length = period_length(fact.circumstance.period)
    return (
        f"{named(fact)} speaks of a part of {window} only, and it is asked for all of {window}; "
        f"state it for {window}, or measure by {length_text(length)} what reads it"
    )


def of_window_itself(fact: CircumstanceFact | None, window: str) -> CircumstanceFact | None:
    """A statement of exactly the window. Raises InvalidDeclaration for one of a longer period."""
    if fact is None or fact.circumstance.period == window:
        return fact
    raise InvalidDeclaration(
        f"{named(fact)} states an amount of more than {window}, for which it is asked, and such "
        f"amounts are not split; state it for {window}"
    )


def not_narrowed(fact: CircumstanceFact, *fields: str) -> None:
    """Raises InvalidDeclaration where a statement names one of these: its term knows none."""
    for field in fields:
        value = getattr(fact.circumstance, field)
        if value is not None:
            raise InvalidDeclaration(
                f"{named(fact)} names the {field} {value}, and the term that reads it is not of "
                f"one {field}; correct it without '{field}'"
            )


def named(fact: CircumstanceFact) -> str:
    """A statement by its circumstance, period and event, for messages."""
    said = fact.circumstance
    return f"the circumstance {said.circumstance} of {said.period} (event {fact.event.id})"
