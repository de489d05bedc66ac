"""Charges and circumstances held against the agreement that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from schemas.agreement import Agreement
from schemas.base import written
from schemas.conversion import RateOfDay
from schemas.event import Charge, Circumstance
from schemas.money import exponent
from schemas.period import first_day, label_of, period_length
from schemas.period_cycle import cycle_of, length_text
from schemas.programme import Programme, Source
from services.core.calendar.windows import covers
from services.core.events.facts import LARGEST
from services.core.events.rejections import Rejection, RejectionCode, too_large
from services.core.events.rules import Rules
from services.core.events.stated_ranges import impossible_statement


def of_agreement(
    rules: Rules, programme: Programme, source: Source, noun: Charge | Circumstance
) -> Rejection | None:
    """Whether the agreement exists, is the source's business, and knows the base and currency."""
    if rules.agreements is None:
        return None
    versions = rules.agreements.get(noun.agreement, ())
    if not is_party(programme, versions, source.reports_for):
        return no_agreement(programme, noun.agreement, source.reports_for)
    version = covering(versions, first_day(noun.period))
    if isinstance(noun, Circumstance):
        stated = rules.stated[version.agreement, version.version]
        return _level(versions, noun) or impossible_statement(stated, noun)
    return _charge(version, noun) or _longer(version, noun)


def is_party(programme: Programme, versions: Sequence[Agreement], party: str) -> bool:
    """Whether an agreement is one of the programme, and its vendor, the buyer or a third party
    asks. ``versions``: none where there is no such agreement."""
    if not versions or versions[0].programme != programme.programme:
        return False
    third = {one.party for one in programme.third_parties}
    return party in (programme.buyer, versions[0].vendor, *third)


def no_agreement(programme: Programme, agreement: str, party: str) -> Rejection:
    """Of an agreement that there is not and of another vendor's, in the same words."""
    return Rejection(
        RejectionCode.UNKNOWN_AGREEMENT,
        "/data/agreement",
        f"the programme {programme.programme} has no agreement {agreement} of which {party} may "
        "speak",
        "correct the name, or apply the agreement first; its vendor, the buyer and third parties "
        "speak of it",
    )


def _level(versions: Sequence[Agreement], noun: Circumstance) -> Rejection | None:
    """A circumstance of a level that no version of the agreement has."""
    levels = sorted({level.level for version in versions for level in version.levels})
    if noun.level is None or noun.level in levels:
        return None
    return Rejection(
        RejectionCode.UNKNOWN_LEVEL,
        "/data/level",
        f"the agreement {noun.agreement} has no level {noun.level}",
        f"use {', '.join(levels)}, or leave it out where all are meant"
        if levels
        else "leave it out: the agreement has no levels",
    )


def covering(versions: Sequence[Agreement], day: date) -> Agreement:
    """The version of an agreement that covers a day; before the first, the first. Newest first."""
    return next((each for each in versions if each.effective_from <= day), versions[-1])


def _longer(agreement: Agreement, noun: Charge) -> Rejection | None:
    """A charge for more than a settlement period, of a base that does not spread it."""
    base = next(base for base in agreement.bases if base.base == noun.base)
    settled = label_of(first_day(noun.period), agreement.settled)
    if covers(settled, noun.period):
        return None
    by = length_text(agreement.settled)
    if base.longer_charge == "by_days":
        return None
    if base.longer_charge == "equal_parts":
        return _not_in_equal_parts(agreement, noun, settled)
    return Rejection(
        RejectionCode.WRONG_PERIOD,
        "/data/period",
        f"{noun.period} is more than a {by}, by which {agreement.agreement} is settled, and the "
        f"base {noun.base} does not spread such charges (longer_charge: refused)",
        f"state a charge for each {by}, such as {settled}, or agree on longer_charge: by_days"
        f"{' or equal_parts' if _in_whole_periods(agreement, noun) else ''}",
    )


def _not_in_equal_parts(agreement: Agreement, noun: Charge, settled: str) -> Rejection | None:
    """A charge in equal parts for a time that is not made of whole settlement periods."""
    if _in_whole_periods(agreement, noun):
        return None
    by = length_text(agreement.settled)
    return Rejection(
        RejectionCode.WRONG_PERIOD,
        "/data/period",
        f"{noun.period} is not made of whole periods of a {by}, by which {agreement.agreement} is "
        f"settled, and the base {noun.base} spreads charges in equal parts",
        f"state a charge for each {by}, such as {settled}, or agree on longer_charge: by_days",
    )


def _in_whole_periods(agreement: Agreement, noun: Charge) -> bool:
    """Whether a charge's time is made of whole settlement periods."""
    return cycle_of(period_length(noun.period)).made_of(cycle_of(agreement.settled))


def _charge(agreement: Agreement, noun: Charge) -> Rejection | None:
    rules = {rule.currency: rule for rule in agreement.conversions}
    rule = rules.get(noun.currency)
    if noun.currency != agreement.currency and rule is None:
        also = f" and converts {', '.join(rules)}" if rules else ""
        return Rejection(
            RejectionCode.WRONG_CURRENCY,
            "/data/currency",
            f"the agreement is in {agreement.currency}{also}, the charge in {noun.currency}",
            f"state the charge in {' or '.join((agreement.currency, *rules))}",
        )
    if isinstance(rule, RateOfDay) and rule.day == "invoice_date" and noun.dated is None:
        return Rejection(
            RejectionCode.BAD_DATA,
            "/data/dated",
            f"{noun.currency} is converted by the invoice's date, which is not stated",
            "add dated, the day of the invoice such as 2025-01-31",
        )
    bases = [base.base for base in agreement.bases]
    if noun.base not in bases:
        return Rejection(
            RejectionCode.UNKNOWN_BASE,
            "/data/base",
            f"the agreement {agreement.agreement} has no base {noun.base}",
            f"use {', '.join(bases)}" if bases else "the agreement takes no charges",
        )
    places = exponent(noun.currency)
    if (noun.amount * 10**places).denominator != 1:
        return Rejection(
            RejectionCode.TOO_MANY_DECIMALS,
            "/data/amount",
            f"{noun.currency} has {places} decimals, the amount has more",
            "state the amount in whole minor units",
        )
    if abs(noun.amount * 10**places) >= LARGEST:
        return too_large("/data/amount")
    return _signed(noun)


def _signed(noun: Charge) -> Rejection | None:
    """A charge is nothing or more, and only what says that it is a credit note is less."""
    if (noun.amount < 0) == (noun.credit_note is True):
        return None
    if noun.credit_note is None:
        reason = f"a charge is {written(noun.amount)}, which is below zero"
        remedy = "state what is charged; for a credit note add credit_note: true"
    else:
        reason = f"a credit note states {written(noun.amount)}, which takes nothing off"
        remedy = "write its amount below zero, or leave credit_note out of a charge"
    return Rejection(RejectionCode.OUT_OF_RANGE, "/data/amount", reason, remedy)
