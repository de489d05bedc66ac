"""What the evaluations say, by name: figures, charges, rates and circumstances of the periods."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.evaluation import (
    CircumstanceFact,
    MetricFigure,
    PeriodEvaluation,
)
from schemas.period import first_day, label_of, next_label, period_length
from services.core.calendar.windows import covers, days_in, overlaps
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.stated import not_narrowed, of_window_itself, too_short_text
from services.core.visibility.references import References

MeasuredSeries = tuple[str, str | None]
"""A metric, and the subject that it was measured of; None: all together."""


class PeriodInputs:
    """One period's evaluation, looked up by name.

    ``period``: where the evaluation carries what is stated of another time, the period that is
    looked at; else its own. ``references``: what stands for what is another vendor's.
    """

    def __init__(
        self,
        evaluation: PeriodEvaluation,
        references: References,
        period: str | None = None,
        *,
        measured: frozenset[MeasuredSeries] | None = None,
    ) -> None:
        """``measured``: where the evaluation is without its figures, what they are of."""
        self.evaluation = evaluation
        self.references = references
        self._measured = measured
        period = period or evaluation.period
        self.charges = tuple(
            fact for fact in evaluation.charges if overlaps(period, fact.charge.period)
        )
        self._figures = {(one.metric, one.subject, one.period): one for one in evaluation.figures}
        self._circumstances: dict[str, tuple[CircumstanceFact, ...]] = {}
        for fact in evaluation.circumstances:
            if overlaps(period, fact.circumstance.period):
                name = fact.circumstance.circumstance
                self._circumstances[name] = (*self._circumstances.get(name, ()), fact)

    def figure(self, metric: str, subject: str | None, period: str) -> MetricFigure | None:
        """The metric's figure in that window, or None where the evaluation holds none.

        Raises InvalidDeclaration where figures are declared for longer or shorter periods instead.
        """
        found = self._figures.get((metric, subject, period))
        if found is not None and found.others:
            raise InvalidDeclaration(_declared_otherwise(found, self.references))
        return found

    @property
    def measured(self) -> frozenset[MeasuredSeries]:
        """What the evaluation has figures of."""
        if self._measured is None:
            self._measured = frozenset((name, subject) for name, subject, _ in self._figures)
        return self._measured

    def subjects(self, metric: str) -> tuple[str, ...]:
        """Every subject that the evaluation has a figure of this metric for, in order of name."""
        found = {
            subject for name, subject, _ in self._figures if name == metric and subject is not None
        }
        return tuple(sorted(found))

    def stated(self, name: str) -> tuple[CircumstanceFact, ...]:
        """All statements of a circumstance that touch the period, the latest last."""
        return self._circumstances.get(name, ())

    def holding(
        self, name: str, window: str, level: str | None = None, subject: str | None = None
    ) -> tuple[CircumstanceFact, ...]:
        """All that hold for all of the window, the level and the subject, the latest last."""
        return self._of_window(name, window, level, subject)[0]

    def statements(
        self, name: str, window: str, level: str | None = None, subject: str | None = None
    ) -> tuple[CircumstanceFact, ...]:
        """The same. Raises InvalidDeclaration as `circumstance`."""
        holding, shorter = self._of_window(name, window, level, subject)
        for part in shorter:
            if not any(self._decides(one, part, window) for one in holding):
                raise InvalidDeclaration(too_short_text(part, window))
        return holding

    def of_any(self, name: str, window: str) -> tuple[CircumstanceFact, ...]:
        """All that hold for all of the window, of whatever level and subject, the latest last.

        Raises InvalidDeclaration where one speaks of a part of the window only.
        """
        found = [fact for fact in self.stated(name) if overlaps(fact.circumstance.period, window)]
        for fact in found:
            if not covers(fact.circumstance.period, window):
                raise InvalidDeclaration(too_short_text(fact, window))
        return tuple(found)

    def circumstance(
        self, name: str, window: str, level: str | None = None, subject: str | None = None
    ) -> CircumstanceFact | None:
        """The statement that holds for all of the window, for the level and the subject.

        One that names no level or no subject speaks of all of them; one that names it exactly
        goes before one that does not, then the one of the shorter period, then the latest. Raises
        InvalidDeclaration where one speaks of a part of the window only, unless another decides:
        it is not less exact, and is of the window itself or later.
        """
        holding, shorter = self._of_window(name, window, level, subject)
        best = max(reversed(holding), key=precedence, default=None)
        for part in shorter:
            if best is None or not self._decides(best, part, window):
                raise InvalidDeclaration(too_short_text(part, window))
        return best

    def amount_stated(
        self, name: str, window: str, level: str | None = None, subject: str | None = None
    ) -> CircumstanceFact | None:
        """The same for what states an amount, which is of the period that it names and no other.

        Raises InvalidDeclaration also where it is stated for longer than the window.
        """
        return of_window_itself(self.circumstance(name, window, level, subject), window)

    def whole(self, name: str, window: str) -> CircumstanceFact | None:
        """The statement of a circumstance that is of the agreement as a whole.

        Raises InvalidDeclaration as `circumstance`, and where one names a level or a subject.
        """
        for fact in self.stated(name):
            if overlaps(fact.circumstance.period, window):
                not_narrowed(fact, "level", "subject")
        return self.circumstance(name, window)

    def whole_amount(self, name: str, window: str) -> CircumstanceFact | None:
        """The amount that a circumstance of the agreement as a whole states for the window.

        Raises InvalidDeclaration as `amount_stated` and `whole`.
        """
        return of_window_itself(self.whole(name, window), window)

    def _of_window(
        self, name: str, window: str, level: str | None, subject: str | None
    ) -> tuple[tuple[CircumstanceFact, ...], tuple[CircumstanceFact, ...]]:
        """What holds for all of the window, and what speaks of a part of it, in order."""
        holding: list[CircumstanceFact] = []
        shorter: list[CircumstanceFact] = []
        for fact in self.stated(name):
            said = fact.circumstance
            if said.level not in (None, level) or said.subject not in (None, subject):
                continue
            if covers(said.period, window):
                holding.append(fact)
            elif overlaps(said.period, window):
                shorter.append(fact)
        return tuple(holding), tuple(shorter)

    def _decides(self, fact: CircumstanceFact, part: CircumstanceFact, window: str) -> bool:
        """Whether a statement of all of the window goes before one of a part of it."""
        order = self.stated(fact.circumstance.circumstance)
        is_later = order.index(fact) > order.index(part)
        of_window = fact.circumstance.period == window
        return _exactness(fact) >= _exactness(part) and (of_window or is_later)


def _declared_otherwise(figure: MetricFigure, references: References) -> str:
    """The figures of another length, of which a few are named."""
    named = [f"{one.period} (event {references.event(one.event).id})" for one in figure.others[:3]]
    more = f" and {len(figure.others) - 3} more" if len(figure.others) > 3 else ""
    whose = f" of {figure.subject}" if figure.subject else ""
    return (
        f"figures of {figure.metric}{whose} are declared for {', '.join(named)}{more}, and none "
        f"for {figure.period}, for which it is asked; declare one for {figure.period}"
    )


def stated_beyond(known: Iterable[PeriodInputs], after_end: str | None) -> dict[str, PeriodInputs]:
    """What evaluations carry of periods that are not their own, by the label of such a period.

    A period is as long as the one that is evaluated; what is stated lies in it by its first day.
    ``after_end``: the period after the agreement's last one, of which the last one's evaluation
    also says what is stated of both.
    """
    found: dict[str, PeriodInputs] = {}
    for inputs in known:
        evaluation = inputs.evaluation
        labels = [fact.charge.period for fact in evaluation.charges]
        labels += [fact.circumstance.period for fact in evaluation.circumstances]
        length = period_length(evaluation.period)
        apart = (one for one in labels if not overlaps(evaluation.period, one))
        beyond = {label_of(first_day(label), length) for label in apart}
        if after_end is not None and next_label(evaluation.period) == after_end:
            beyond |= {after_end for label in labels if overlaps(after_end, label)}
        for label in beyond:
            bare = evaluation.model_copy(update={"figures": ()})
            found[label] = PeriodInputs(bare, inputs.references, label)
    return found


def _exactness(fact: CircumstanceFact) -> tuple[bool, bool]:
    return (fact.circumstance.level is not None, fact.circumstance.subject is not None)


def precedence(fact: CircumstanceFact) -> tuple[bool, bool, int]:
    """What goes first: what names a level, then a subject, then the shorter period."""
    return (*_exactness(fact), -days_in(fact.circumstance.period))


def says_yes(fact: CircumstanceFact | None) -> bool:
    """Whether a circumstance is stated and not denied (a value of 0, or ``holds: false``)."""
    if fact is None:
        return False
    holds = fact.circumstance.values.get("holds", True)
    return holds is not False and fact.circumstance.value != 0
