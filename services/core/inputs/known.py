"""What the evaluations say, by name: figures, charges, rates and circumstances of the periods."""

from __future__ import annotations

from schemas.evaluation import (
    CircumstanceFact,
    MetricFigure,
    PeriodEvaluation,
)


class PeriodInputs:
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
