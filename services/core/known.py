"""What the evaluations say, by name: figures, charges and circumstances of settlement periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from schemas.agreement import Agreement, Base
from schemas.evaluation import ChargeFact, CircumstanceFact, MetricFigure, PeriodEvaluation
from schemas.period import next_label
from services.core.arithmetic import ZERO

IN_USE = "service_in_use"


@dataclass(frozen=True, slots=True)
class Known:
    """One period's evaluation, looked up by name."""

    evaluation: PeriodEvaluation

    def figure(self, metric: str, subject: str | None, period: str) -> MetricFigure | None:
        """The metric's figure in that window, or None where the evaluation holds none."""
        return next(
            (
                figure
                for figure in self.evaluation.figures
                if (figure.metric, figure.subject, figure.period) == (metric, subject, period)
            ),
            None,
        )

    def subjects(self, metric: str) -> tuple[str, ...]:
        """Every subject that the evaluation has a figure of this metric for, in order of name."""
        return tuple(
            sorted(
                {
                    figure.subject
                    for figure in self.evaluation.figures
                    if figure.metric == metric and figure.subject is not None
                }
            )
        )

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
        values = fact.circumstance.values
        if values.get("cancelled") is True:
            return ZERO
        return value_of(values.get("days_in_use")) / value_of(values.get("days_in_period"))


def value_of(stated: object) -> Fraction:
    """A number among a circumstance's values, exact."""
    if isinstance(stated, bool) or not isinstance(stated, (Fraction, int, str)):
        raise ValueError(f"{stated!r} is not a number")
    return Fraction(stated)


def day_of(stated: object) -> date:
    """A day among a circumstance's values, as ``2025-03-10``."""
    return date.fromisoformat(str(stated))
