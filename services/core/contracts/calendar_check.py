"""Periods over the end of a year or a month: the contract says to which they belong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from schemas.agreement import Agreement
from schemas.ceiling import HALF_OF_EACH, belongs_nowhere
from schemas.condition import Condition
from schemas.credit import DayOf, DaysLimit
from schemas.earn_back import EarnBackByYear
from schemas.nested import nouns_in
from schemas.period_cycle import cycle_of, length_text, month_unclear, year_unclear
from services.core.contracts.conditions import Unfit, reads_calendar
from services.core.contracts.wording import Finding

_PATH = ("conventions", "period_belongs_to")


def broken_calendars(agreement: Agreement) -> Iterator[Finding]:
    """What is not said of periods over the end of a year or month, or said for nothing."""
    stated = agreement.conventions.period_belongs_to
    what = next(_looks_at(agreement), None)
    if what is not None and stated is None:
        reason, _, remedy = belongs_nowhere(agreement.settled, what).partition("; ")
        yield Finding(_PATH, reason, remedy)
    elif what is None and stated is not None and not agreement.framework:
        reason = "no term asks to which year or month a period belongs"
        yield Finding(_PATH, reason, "leave it out")
    elif stated == "most_days" and cycle_of(agreement.settled).days != 7:
        reason, _, remedy = HALF_OF_EACH.partition("; ")
        yield Finding(_PATH, reason, remedy)
    yield from _idle_days(agreement)


def _idle_days(agreement: Agreement) -> Iterator[Finding]:
    """A length of months where no day's share of a month's charge is taken."""
    if agreement.conventions.days_of_month is None or agreement.framework:
        return
    path = ("conventions", "days_of_month")
    if not cycle_of(agreement.settled).months:
        reason = f"charges are of a {length_text(agreement.settled)} and not of months"
        yield Finding(path, reason, "leave it out")
    elif not any(isinstance(term, DayOf | DaysLimit) for term in nouns_in(agreement)):
        yield Finding(path, "no term takes a day's share of a charge", "leave it out")


def _looks_at(agreement: Agreement) -> Iterator[str]:
    """The years and months that terms look at and a period can lie over the end of."""
    if year_unclear(agreement.settled):
        for cap in agreement.caps:
            if cap.window == "contract_year":
                yield f"a contract year, by which cap {cap.cap} looks back"
        for term in agreement.earn_backs:
            if isinstance(term, EarnBackByYear):
                yield f"a contract year, by which earn-back {term.earn_back} looks back"
    if month_unclear(agreement.settled):
        for condition in nouns_in(agreement):
            if not isinstance(condition, Condition):
                continue
            with suppress(Unfit):  # its own refusal says so
                for name in reads_calendar(condition):
                    yield f'a {name}, at which the condition "{condition.holds}" looks'
