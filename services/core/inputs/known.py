"""What the evaluations say, by name: figures, charges, rates and circumstances of the periods."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.evaluation import (
    CircumstanceFact,
    MetricFigure,
    PeriodEvaluation,
)
from schemas.period import first_day, label_of, next_label, period_length


class PeriodInputs:
    """One period's evaluation, looked up by name.

    ``period``: where the evaluation carries what is stated of another time, the period that is
    looked at; else its own.
    """

    def __init__(self, evaluation: PeriodEvaluation, period: str | None = None) -> None:
        self.evaluation = evaluation
        period = period or evaluation.period
        self.charges = tuple(
            fact for fact in evaluation.charges if not _is_apart(period, fact.charge.period)
        )
        self._circumstances = tuple(
            fact
            for fact in evaluation.circumstances
            if not _is_apart(period, fact.circumstance.period)
        )
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
        return tuple(fact for fact in self._circumstances if fact.circumstance.circumstance == name)

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


def stated_beyond(evaluations: Iterable[PeriodEvaluation]) -> dict[str, PeriodInputs]:
    """What evaluations carry of periods that are not their own, by the label of such a period.

    A period is as long as the one that is evaluated; what is stated lies in it by its first day.
    """
    found: dict[str, PeriodInputs] = {}
    for evaluation in evaluations:
        labels = [fact.charge.period for fact in evaluation.charges]
        labels += [fact.circumstance.period for fact in evaluation.circumstances]
        for label in {one for one in labels if _is_apart(evaluation.period, one)}:
            beyond = label_of(first_day(label), period_length(evaluation.period))
            found[beyond] = PeriodInputs(evaluation.model_copy(update={"figures": ()}), beyond)
    return found


def _is_apart(period: str, other: str) -> bool:
    """Whether two periods have no day in common."""
    return first_day(next_label(other)) <= first_day(period) or first_day(
        next_label(period)
    ) <= first_day(other)


def _exactness(fact: CircumstanceFact) -> tuple[bool, bool]:
    return (fact.circumstance.level is not None, fact.circumstance.subject is not None)


def says_yes(fact: CircumstanceFact | None) -> bool:
    """Whether a circumstance is stated and not denied (a value of 0, or ``holds: false``)."""
    if fact is None:
        return False
    holds = fact.circumstance.values.get("holds", True)
    return holds is not False and fact.circumstance.value != 0
