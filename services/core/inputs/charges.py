"""Charges as the bases of percentages, in the agreement's currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

from schemas.absence import CountsAs
from schemas.agreement import Agreement, Base
from schemas.base import written
from schemas.conversion import AgreedRate, Conversion, RateOfDay, RateOfPeriod
from schemas.evaluation import ChargeFact, CircumstanceFact, EventRef
from schemas.money import MOST, exponent
from schemas.period import first_day, label_of, next_label, period_length
from schemas.period_cycle import length_text
from services.core.calendar.windows import covers
from services.core.events.stated_numbers import IN_USE
from services.core.exact.arithmetic import ZERO, money_text
from services.core.inputs.blockers import Blockers, InvalidDeclaration
from services.core.inputs.conversion import AppliedRate, Foreign, converted, days_looked_at
from services.core.inputs.evaluated import EvaluatedPeriods
from services.core.inputs.known import PeriodInputs
from services.core.inputs.spreading import SpreadCharge, SpreadRule, decimals_of, is_spread
from services.core.inputs.stated import (
    misstated_text,
    not_narrowed,
    of_window_itself,
    stated_day,
    stated_number,
)

_MOST_DECIMALS = 10**12


AT, NAMED, ALL = "at", "named", "all"
"""What was looked at: all of a period's time, all statements of a circumstance, or everything."""

LookedAt = tuple[str, str]
"""One of these, with the period or the name."""


class Charges:
    """Charges of all periods known, as the bases of percentages.

    ``known``: the periods that are evaluated. ``beyond``: what is stated of periods that are not
    the agreement's. ``looked_at``: what was asked for since somebody emptied it.
    """

    def __init__(
        self,
        known: EvaluatedPeriods,
        beyond: Mapping[str, PeriodInputs] = MappingProxyType({}),
    ) -> None:
        self.known = known
        self.looked_at: set[LookedAt] = set()
        self._beyond = beyond
        self._by_name: dict[str, list[CircumstanceFact]] = {}

    def base(
        self,
        version: Agreement,
        name: str,
        period: str,
        subject: str | None,
        blockers: Blockers,
        *,
        in_force: Agreement | None = None,
    ) -> Fraction:
        """A base in main units for a failing period, after proportion; zero while it is missing.

        What is missing is noted in ``missing``: nothing may be settled on that zero. ``in_force``:
        the version that ruled the failing period and so converts its charges, where ``version``,
        which looks back at it, is a later one.
        """
        base = _base_of(version, name)
        charged = self.charged_period(version, name, period)
        of_subject = subject if base.per_subject else None
        facts = self._standing(base, charged, of_subject)
        if not facts:
            if base.if_missing == "wait":
                whose = f" of {of_subject}" if of_subject else ""
                blockers.add(f"the charge '{name}'{whose} of {charged} is not known yet")
            return ZERO
        ruling = in_force or version
        longer = next((one for one in ruling.bases if one.base == name), base).longer_charge
        amounts = [self._amount(ruling, longer, charged, fact, blockers) for fact in facts]
        if None in amounts:
            return ZERO
        amount = sum(filter(None, amounts), ZERO)
        if amount < 0:
            raise InvalidDeclaration(_taken_too_much(amount, version.currency, facts[-1], charged))
        if base.part_of_period == "by_days_in_use":
            amount *= self._part_in_use(version, base, charged, of_subject, blockers)
        blockers.bases["/".join(filter(None, (name, of_subject, charged)))] = amount
        return amount

    def charged_period(self, version: Agreement, name: str, period: str) -> str:
        """The period whose charge is the base."""
        return next_label(period) if _base_of(version, name).of_period == "next" else period

    def _standing(self, base: Base, period: str, subject: str | None) -> tuple[ChargeFact, ...]:
        """The last charge and the last credit note of each part of the period and each subject."""
        known = self.stated_of(period)
        if known is None:
            return ()
        last: dict[tuple[str, str | None, bool | None], ChargeFact] = {
            (fact.charge.period, fact.charge.subject, fact.charge.credit_note): fact
            for fact in known.charges
            if fact.charge.base == base.base
            and (not base.per_subject or fact.charge.subject == subject)
        }
        return tuple(last.values())

    def _amount(
        self,
        version: Agreement,
        longer: Literal["refused"] | SpreadRule,
        period: str,
        fact: ChargeFact,
        blockers: Blockers,
    ) -> Fraction | None:
        """What a charge is for a settlement period: all of it, or its part where it is for longer.

        Raises InvalidDeclaration where it is for longer and may not be spread.
        """
        charge = fact.charge
        if covers(period, charge.period):
            return self._in_own_currency(version, _foreign(fact, period), blockers)
        if longer == "refused" or not is_spread(longer, charge.period, version.settled):
            others = "by_days or equal_parts" if longer == "refused" else "by_days"
            raise InvalidDeclaration(
                f"{_said(fact)} is for more than {period}, and the base '{charge.base}' does not "
                f"spread such charges; state it for each {length_text(version.settled)}, or "
                f"agree on longer_charge: {others}"
            )
        spread = SpreadCharge(longer, charge.period, period)
        value = self._part(version, spread, fact, blockers)
        if value is not None:
            whole = f"{money_text(charge.amount, charge.currency)} {charge.currency}"
            part = f"{money_text(value, version.currency)} {version.currency}"
            text = f"{_said(fact)}: {whole} {spread.said()}: {part} for {period}"
            blockers.spreads[_key(fact, period)] = text
        return value

    def _part(
        self, version: Agreement, spread: SpreadCharge, fact: ChargeFact, blockers: Blockers
    ) -> Fraction | None:
        """A period's part of a charge, in the version's currency.

        At a rate of the settlement period the part is converted, for it is of that period; at any
        other rate the charge is, once, so that the parts of what it comes to add up to it.
        """
        charge = fact.charge
        rule = next((one for one in version.conversions if one.currency == charge.currency), None)
        of_settlement = isinstance(rule, RateOfPeriod) or (
            isinstance(rule, RateOfDay) and rule.day != "invoice_date"
        )
        if of_settlement or charge.currency == version.currency:
            part = spread.part(charge.amount, exponent(charge.currency))
            foreign = _foreign(fact, spread.period)
            key, said = _key(fact, spread.period), f"the part for {spread.period} of {foreign.said}"
            foreign = replace(foreign, key=key, said=said, amount=part)
            return self._in_own_currency(version, foreign, blockers)
        first = next(label for label in spread.periods if self.stated_of(label) is not None)
        whole = self._in_own_currency(version, _foreign(fact, first), blockers)
        if whole is None:
            return None
        return spread.part(whole, decimals_of(whole, exponent(version.currency)))

    def _in_own_currency(
        self, version: Agreement, foreign: Foreign, blockers: Blockers
    ) -> Fraction | None:
        if foreign.currency == version.currency:
            return foreign.amount
        return self.converted(version, foreign, blockers)

    def converted(
        self, version: Agreement, foreign: Foreign, blockers: Blockers
    ) -> Fraction | None:
        """An amount in the version's currency; None, and noted, while its rate is not known.

        Raises InvalidDeclaration where no rule converts it or its rate is unreadable.
        """
        rules = version.conversions
        rule = next((one for one in rules if one.currency == foreign.currency), None)
        if rule is None:
            raise InvalidDeclaration(
                f"{foreign.said} is in {foreign.currency}, and version {version.version} of "
                f"{version.agreement} converts no {foreign.currency}; correct it, or state it in "
                f"{version.currency}"
            )
        rate = self._rate(version, rule, foreign, blockers)
        if rate is None:
            return None
        made = converted(version.currency, rules, rule, foreign, rate)
        if abs(made.value) * 10 ** exponent(version.currency) > MOST:
            raise InvalidDeclaration(
                f"{made.step.text}: too large to be counted; correct amount or rate"
            )
        blockers.conversions.append(made)
        return made.value

    def _rate(
        self, version: Agreement, rule: Conversion, foreign: Foreign, blockers: Blockers
    ) -> AppliedRate | None:
        if isinstance(rule, AgreedRate):
            return AppliedRate(rule.rate)
        if isinstance(rule, RateOfPeriod):
            return self._rate_of_period(rule, foreign.period, blockers)
        return self._rate_of_day(version, rule, foreign, blockers)

    def _rate_of_period(
        self, rule: RateOfPeriod, period: str, blockers: Blockers
    ) -> AppliedRate | None:
        known = self.stated_of(period)
        stated = () if known is None else known.stated(rule.circumstance)
        whole = [fact for fact in stated if fact.circumstance.period == period]
        if whole:
            return _rate_in(whole[-1], rule, period)
        blockers.add(
            f"the rate {rule.circumstance} of {period} is not known yet; state it as a "
            f"circumstance of {period}"
        )
        return None

    def _rate_of_day(
        self, version: Agreement, rule: RateOfDay, foreign: Foreign, blockers: Blockers
    ) -> AppliedRate | None:
        """The rate of the first day that has one; none while an earlier day may still have one."""
        days = days_looked_at(rule, foreign)
        if not days:
            raise InvalidDeclaration(
                f"{foreign.said} states no invoice date, by which {foreign.currency} is "
                "converted; correct it with a day as 'dated'"
            )
        labels = {foreign.period, *(label_of(day, version.settled) for day in days)}
        stated = self._by_day(rule.circumstance, sorted(labels, key=first_day))
        for day in days:
            if day in stated:
                return _rate_in(stated[day], rule, day.isoformat())
            label = label_of(day, version.settled)
            if self._is_awaited(version, label):
                blockers.add(
                    f"{label} is not evaluated yet and may bring the rate {rule.circumstance} of "
                    f"{day}; have it closed, or state that rate as a circumstance of "
                    f"{foreign.period}"
                )
                return None
        span = f"{days[-1]} to {days[0]}" if len(days) > 1 else f"{days[0]}"
        blockers.add(
            f"the rate {rule.circumstance} of {span} is not known yet; state it as a circumstance "
            f"of {foreign.period} with its day as 'on'"
        )
        return None

    def _by_day(self, name: str, periods: Sequence[str]) -> dict[date, CircumstanceFact]:
        """The last statement of each day's rate in these settlement periods."""
        inputs = filter(None, map(self.stated_of, periods))
        found = [fact for one in inputs for fact in one.stated(name)]
        found.sort(key=lambda fact: (fact.at, fact.event.source, fact.event.id))
        return {_day_of(fact): fact for fact in found}

    def _is_awaited(self, version: Agreement, period: str) -> bool:
        """Whether a period is still to be evaluated: none before the first, none after the end."""
        self.looked_at.add((AT, period))
        day, until = first_day(period), version.effective_until
        begun = self.known.first <= day
        return begun and (until is None or day < until) and period not in self.known

    def statements(self, name: str) -> Sequence[CircumstanceFact]:
        """All statements of a circumstance, each once: those of one time, the latest last."""
        self.looked_at.add((NAMED, name))
        if name not in self._by_name:
            every = {
                fact.event: fact
                for inputs in (*self._beyond.values(), *self.known.stating(name))
                for fact in inputs.evaluation.circumstances
                if fact.circumstance.circumstance == name
            }
            self._by_name[name] = list(every.values())
        return self._by_name[name]

    def stated_of(self, period: str) -> PeriodInputs | None:
        """What is stated of a period's time; None where nothing is and it is not evaluated."""
        self.looked_at.add((AT, period))
        return self.known[period] if period in self.known else self._beyond.get(period)

    def everything(self) -> list[PeriodInputs]:
        """The inputs of all evaluated periods."""
        self.looked_at.add((ALL, ""))
        return self.known.all()

    def _part_in_use(
        self, version: Agreement, base: Base, period: str, subject: str | None, blockers: Blockers
    ) -> Fraction:
        known = self.stated_of(period)
        assert known is not None, "a charge of it is stated"
        of_subjects = any(one.per_subject for one in version.bases)
        for each in known.stated(IN_USE):
            not_narrowed(each, *(("level",) if of_subjects else ("level", "subject")))
        stated = known.circumstance(IN_USE, period, subject=subject)
        if stated is not None and stated.circumstance.values.get("cancelled") is True:
            return ZERO
        fact = of_window_itself(stated, period)
        if fact is None and isinstance(base.if_absent, CountsAs):
            return base.if_absent.counts_as
        if fact is None:
            whose = f" of {subject}" if subject is not None else ""
            blockers.add(
                f"the circumstance {IN_USE}{whose} of {period} is not stated, which the base "
                f"{base.base} reads; state it with days_in_use and days_in_period, or state "
                "if_absent there"
            )
            return Fraction(1)
        days = stated_number(fact, "days_in_period")
        if days <= 0:
            raise InvalidDeclaration(
                f"{IN_USE} of {period} states {days} days_in_period; state its days"
            )
        return stated_number(fact, "days_in_use") / days

    def events(self, name: str, period: str) -> tuple[EventRef, ...]:
        """The events that state a base's charge of a period."""
        known = self.stated_of(period)
        charges = known.charges if known is not None else ()
        return tuple(fact.event for fact in charges if fact.charge.base == name)


def _taken_too_much(amount: Fraction, currency: str, last: ChargeFact, period: str) -> str:
    return (
        f"the credit notes of '{last.charge.base}' of {period} take "
        f"{money_text(-amount, currency)} {currency} more than is charged; correct {_said(last)}, "
        "or state what it is taken from"
    )


def _base_of(version: Agreement, name: str) -> Base:
    return next(base for base in version.bases if base.base == name)


def _foreign(fact: ChargeFact, period: str) -> Foreign:
    """A charge as an amount that belongs to a settlement period."""
    charge = fact.charge
    key = "/".join(filter(None, (charge.base, charge.subject, charge.period, _note(fact))))
    dated = None if charge.dated is None else first_day(charge.dated)
    return Foreign(key, _said(fact), charge.amount, charge.currency, period, dated)


def _said(fact: ChargeFact) -> str:
    what = "credit note" if fact.charge.credit_note else "charge"
    return f"the {what} '{fact.charge.base}' of {fact.charge.period} (event {fact.event.id})"


def _key(fact: ChargeFact, period: str) -> str:
    """The part of a charge by its name, its time and the settlement period."""
    charge = fact.charge
    parts = (charge.base, charge.subject, charge.period, period, _note(fact))
    return "/".join(filter(None, parts))


def _note(fact: ChargeFact) -> str | None:
    """What tells the key of a credit note from that of the charge beside it."""
    return "credit-note" if fact.charge.credit_note else None


def _day_of(fact: CircumstanceFact) -> date:
    """The day whose rate a circumstance states: its period where that is a day, else ``on``."""
    said = fact.circumstance
    if "on" not in said.values and period_length(said.period) == "day":
        return first_day(said.period)
    return stated_day(fact, "on")


def _rate_in(fact: CircumstanceFact, rule: RateOfDay | RateOfPeriod, of: str) -> AppliedRate:
    """The rate that a circumstance states.

    Raises InvalidDeclaration where it states none of that source.
    """
    not_narrowed(fact, "level", "subject")
    said = fact.circumstance
    if said.value is None or said.value <= 0 or _MOST_DECIMALS % said.value.denominator:
        value = None if said.value is None else written(said.value)
        wanted = "a rate above zero of at most 12 decimals"
        raise InvalidDeclaration(misstated_text(fact, "value", value, wanted))
    source = said.values.get("source", rule.source)
    if source != rule.source:
        raise InvalidDeclaration(
            misstated_text(fact, "source", source, f"the rate of {rule.source}")
        )
    return AppliedRate(said.value, of, fact.event)
