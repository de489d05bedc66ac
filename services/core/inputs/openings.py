"""What was charged, credited or banked before an agreement was settled here.

An opening is stated in one sum, for a period that is settled here, or month by month, for periods
before the agreement's first one. It counts for as long as what looks back reaches that time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from schemas.agreement import Agreement
from schemas.ceiling import CapWindow
from schemas.evaluation import CircumstanceFact
from schemas.period import first_day, label_of, next_label, period_length
from services.core.calendar.windows import holds
from services.core.exact.arithmetic import ZERO
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.charges import Charges
from services.core.inputs.conversion import Foreign
from services.core.inputs.stated import misstated_text, not_narrowed, stated_day, stated_number

_DAYS = ("dated", "date")
"""What states the day of an amount, where its rate goes by that."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """From where a window of a cap looks back at openings.

    ``begins``: the agreement's first period. ``first_year``: the first day of the first contract
    year. ``since``: the window's first day.
    """

    window: CapWindow
    period: str
    begins: str
    first_year: date
    since: date


def openings_in(charges: Charges, name: str, look: LookBack) -> tuple[CircumstanceFact, ...]:
    """The statements of an opening that lie in a window; together they are what it brings along.

    In one sum: the last one stated, for the whole term, or the contract year it is stated in.
    Months that move out of a trailing window must be told apart, so there a sum is of the window of
    the period that it is stated for. ``charges``: knows all that is stated of the agreement.
    Raises InvalidDeclaration where it cannot be told which part lies in the window.
    """
    begins = first_day(look.begins)
    found = _statements(charges, name)
    sums = [one for one in found if begins <= _first_day(one) <= first_day(look.period)]
    months = [one for one in found if _first_day(one) < begins]
    if look.window == "contract_year":
        sums = [one for one in sums if _first_day(one) >= look.since]
    if look.window == "trailing":
        sums = _of_this_window(look, sums, months)
    if not sums:
        return tuple(one for one in months if _reaches(look, one))
    if months:
        raise InvalidDeclaration(
            f"the circumstance {name} states the time before {look.begins} both month by month and "
            f"in one sum (event {sums[-1].event.id}); take one of them back"
        )
    return (sums[-1],)


def is_stated(charges: Charges, name: str, period: str) -> bool:
    """Whether anything is stated of an opening for a period or for an earlier time.

    One statement answers for all of the time before: what it leaves out was nothing.
    """
    return any(_first_day(one) <= first_day(period) for one in charges.statements(name))


def looks_before(look: LookBack) -> bool:
    """Whether a window holds a time before the first period that is settled here."""
    in_first_year = look.window == "contract_year" and look.since == look.first_year
    return look.window == "term" or in_first_year or look.since < first_day(look.begins)


def unstated(name: str, reader: str, values: str, look: LookBack) -> str:
    """Why a period waits for an opening that nobody states, and what to state for which period."""
    state = f"state its {values} of the time before {look.begins} for {look.begins}"
    if look.window == "trailing":  # a sum could not be taken apart for the next window
        first, last = label_of(look.since, period_length(look.period)), next_label(look.begins, -1)
        state = f"state its {values} for {first}"
        if first != last:
            state = f"state its {values} for each of the periods {first} to {last}"
    return (
        f"the circumstance {name} is not stated, which {reader} reads; {state}, 0 where nothing "
        "was given before, or state if_absent there"
    )


def _of_this_window(
    look: LookBack, sums: list[CircumstanceFact], months: list[CircumstanceFact]
) -> list[CircumstanceFact]:
    """The sum that speaks of a trailing window; it cannot be taken apart for a later one."""
    own = [one for one in sums if holds(look.period, one.circumstance.period)]
    if own or months or not sums or look.since >= first_day(look.begins):
        return own
    said = sums[-1].circumstance
    raise InvalidDeclaration(
        f"the circumstance {said.circumstance} of {said.period} (event {sums[-1].event.id}) states "
        f"several months in one sum, and not all of them lie in the months up to {look.period}; "
        f"take it back and state each month before {look.begins} by itself"
    )


def _reaches(look: LookBack, month: CircumstanceFact) -> bool:
    """Whether a window reaches a month before the agreement's first period."""
    if look.window == "term":
        return True
    if look.window == "contract_year" and look.since == look.first_year:
        return True  # what was before the first contract year belongs to none but that
    ends = first_day(next_label(month.circumstance.period))
    if _first_day(month) < look.since < ends:
        said = month.circumstance
        raise InvalidDeclaration(
            f"the circumstance {said.circumstance} of {said.period} (event {month.event.id}) "
            f"states a time of which only a part lies in the window from {look.since}; state it "
            "month by month"
        )
    return _first_day(month) >= look.since


def bank_openings(
    charges: Charges, name: str, period: str, begins: str
) -> tuple[CircumstanceFact, ...]:
    """What is stated of a bank for a period; the first one has what was stated of the time before.

    Of several statements for one time the last one stands. Raises InvalidDeclaration as
    `openings_in`.
    """
    return tuple(
        one
        for one in _statements(charges, name)
        if holds(period, one.circumstance.period)
        or (period == begins and _first_day(one) < first_day(begins))
    )


def _statements(charges: Charges, name: str) -> list[CircumstanceFact]:
    """The last statement of each time, in the order of these times."""
    last = {fact.circumstance.period: fact for fact in charges.statements(name)}
    for fact in last.values():
        not_narrowed(fact, "level", "subject")
    return sorted(last.values(), key=lambda one: (_first_day(one), one.circumstance.period))


def _first_day(fact: CircumstanceFact) -> date:
    return first_day(fact.circumstance.period)


def stated_money(
    charges: Charges, version: Agreement, blockers: Blockers, fact: CircumstanceFact, name: str
) -> Fraction:
    """An amount that a circumstance states as ``name``, in main units of the version's currency.

    Converted by the version's rules where ``values.currency`` names another one; zero, and noted,
    while its rate is not known. Raises InvalidDeclaration where no amount is stated or no rule
    converts it.
    """
    said = fact.circumstance
    if name != "value":
        amount = stated_number(fact, name)
    elif said.value is None:
        raise InvalidDeclaration(misstated_text(fact, name, None, "a number such as 12.50"))
    else:
        amount = said.value
    currency = said.values.get("currency", version.currency)
    if currency == version.currency:
        return amount
    if not isinstance(currency, str):
        raise InvalidDeclaration(misstated_text(fact, "currency", currency, "a code such as EUR"))
    what = f"the {name} of the circumstance {said.circumstance} of {said.period}"
    foreign = Foreign(
        key=f"{said.circumstance}-{name}/{said.period}",
        said=f"{what} (event {fact.event.id})",
        amount=amount,
        currency=currency,
        period=label_of(first_day(said.period), version.settled),
        dated=next(
            (stated_day(fact, day) for day in ("dated", "date") if day in said.values), None
        ),
    )
    value = charges.converted(version, foreign, blockers)
    return ZERO if value is None else value


def money_of(
    charges: Charges,
    version: Agreement,
    blockers: Blockers,
    facts: Iterable[CircumstanceFact],
    name: str,
) -> Fraction:
    """What several circumstances state together, as `stated_money`."""
    return sum((stated_money(charges, version, blockers, one, name) for one in facts), ZERO)
