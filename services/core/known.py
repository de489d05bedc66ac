"""What the evaluations say, by name: figures, charges and circumstances of settlement periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from schemas.agreement import Agreement, Base
from schemas.evaluation import (
    ChargeFact,
    CircumstanceFact,
    EventRef,
    MetricFigure,
    PeriodEvaluation,
)
from schemas.period import next_label
from services.core.arithmetic import ZERO

IN_USE = "service_in_use"


class Misstated(Exception):
    """A circumstance does not state what a term looks for; somebody must correct it."""


class Known:
    """One period's evaluation, looked up by name."""

    def __init__(self, evaluation: PeriodEvaluation) -> None:
        self.evaluation = evaluation
        self._figures = {(one.metric, one.subject, one.period): one for one in evaluation.figures}

    def figure(self, metric: str, subject: str | None, period: str) -> MetricFigure | None:
        """The metric's figure in that window, or None where the evaluation holds none."""
        return self._figures.get((metric, subject, period))

    def subjects(self, metric: str) -> tuple[str, ...]:
        """Every subject that the evaluation has a figure of this metric for, in order of name."""
        found = {
            subject for name, subject, _ in self._figures if name == metric and subject is not None
        }
        return tuple(sorted(found))

    def circumstances(self, name: str) -> tuple[CircumstanceFact, ...]:
        """All statements of a circumstance, the latest last."""
        return tuple(
            fact for fact in self.evaluation.circumstances if fact.circumstance.circumstance == name
        )

    def circumstance(
        self, name: str, level: str | None = None, subject: str | None = None
    ) -> CircumstanceFact | None:
        """The last statement of a circumstance that speaks of the level and the subject.

        One that names no level or no subject speaks of all of them; one that names it exactly
        goes before one that does not.
        """
        fitting = [
            fact
            for fact in self.circumstances(name)
            if fact.circumstance.level in (None, level)
            and fact.circumstance.subject in (None, subject)
        ]
        if not fitting:
            return None
        best = max(map(_exactness, fitting))
        return [fact for fact in fitting if _exactness(fact) == best][-1]


def _exactness(fact: CircumstanceFact) -> tuple[bool, bool]:
    return (fact.circumstance.level is not None, fact.circumstance.subject is not None)


def says_yes(fact: CircumstanceFact | None) -> bool:
    """Whether a circumstance is stated and not denied (a value of 0, or ``holds: false``)."""
    if fact is None:
        return False
    holds = fact.circumstance.values.get("holds", True)
    return holds is not False and fact.circumstance.value != 0


@dataclass(frozen=True, slots=True)
class Missing:
    """What a period's settlement still waits for, and the bases it stood on.

    Filled while the period is worked out, and only then.
    """

    reasons: list[str] = field(default_factory=list)
    bases: dict[str, Fraction] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        """Note a reason once."""
        if reason not in self.reasons:
            self.reasons.append(reason)


class Charges:
    """Charges of all periods known, as the bases of percentages."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known

    def base(
        self, version: Agreement, name: str, period: str, subject: str | None, missing: Missing
    ) -> Fraction:
        """A base in main units for a failing period, after proportion; zero while it is missing.

        What is missing is noted in ``missing``: nothing may be settled on that zero.
        """
        base = next(base for base in version.bases if base.base == name)
        charged = next_label(period) if base.of_period == "next" else period
        of_subject = subject if base.per_subject else None
        amount = self._charge(base, charged, of_subject)
        if amount is None:
            if base.if_missing == "wait":
                whose = f" of {of_subject}" if of_subject else ""
                missing.add(f"the charge '{name}'{whose} of {charged} is not known yet")
            return ZERO
        if base.part_of_period == "by_days_in_use":
            amount *= self._part_in_use(charged, of_subject)
        missing.bases["/".join(filter(None, (name, of_subject, charged)))] = amount
        return amount

    def charged_period(self, version: Agreement, name: str, period: str) -> str:
        """The period whose charge is the base."""
        base = next(base for base in version.bases if base.base == name)
        return next_label(period) if base.of_period == "next" else period

    def _charge(self, base: Base, period: str, subject: str | None) -> Fraction | None:
        known = self._known.get(period)
        if known is None:
            return None
        last: dict[tuple[str, str | None], ChargeFact] = {
            (fact.charge.period, fact.charge.subject): fact
            for fact in known.evaluation.charges
            if fact.charge.base == base.base
            and (not base.per_subject or fact.charge.subject == subject)
        }
        if not last:
            return None
        return sum((fact.charge.amount for fact in last.values()), ZERO)

    def _part_in_use(self, period: str, subject: str | None) -> Fraction:
        fact = self._known[period].circumstance(IN_USE, subject=subject)
        if fact is None:
            return Fraction(1)
        if fact.circumstance.values.get("cancelled") is True:
            return ZERO
        days = stated_number(fact, "days_in_period")
        if days <= 0:
            raise Misstated(f"{IN_USE} of {period} states {days} days_in_period; state its days")
        return stated_number(fact, "days_in_use") / days

    def events(self, name: str, period: str) -> tuple[EventRef, ...]:
        """The events that state a base's charge of a period."""
        known = self._known.get(period)
        charges = known.evaluation.charges if known is not None else ()
        return tuple(fact.event for fact in charges if fact.charge.base == name)


def stated_number(fact: CircumstanceFact, name: str) -> Fraction:
    """A number among what a circumstance states. Raises Misstated where there is none."""
    stated = fact.circumstance.values.get(name)
    if isinstance(stated, bool) or not isinstance(stated, (Fraction, int)):
        raise Misstated(_misstated(fact, name, stated, "a number such as 12.50"))
    return Fraction(stated)


def stated_day(fact: CircumstanceFact, name: str) -> date:
    """A day among what a circumstance states. Raises Misstated where there is none."""
    stated = fact.circumstance.values.get(name)
    try:
        return date.fromisoformat(str(stated))
    except ValueError:
        raise Misstated(_misstated(fact, name, stated, "a day such as 2025-03-10")) from None


def _misstated(fact: CircumstanceFact, name: str, stated: object, wanted: str) -> str:
    said = "nothing" if stated is None else repr(stated)
    return (
        f"the circumstance {fact.circumstance.circumstance} of {fact.circumstance.period} (event "
        f"{fact.event.id}) states {said} as '{name}'; correct it with {wanted}"
    )
