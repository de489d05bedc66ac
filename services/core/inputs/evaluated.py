"""The periods of an agreement that are evaluated: each read, or read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from schemas.evaluation import PeriodEvaluation
from services.core.calendar.windows import overlaps
from services.core.inputs.known import PeriodInputs


@dataclass(frozen=True, slots=True)
class EvaluationOutline:
    """What is known of a period's evaluation without reading it.

    ``digest``: of all that it says. ``beyond``: whether it states something of another time than
    its period's. ``circumstances``: the names of those that it states.
    """

    digest: bytes
    beyond: bool
    circumstances: frozenset[str]

    @classmethod
    def of(cls, evaluation: PeriodEvaluation, digest: bytes) -> EvaluationOutline:
        """The outline of an evaluation that is read."""
        said = [fact.circumstance for fact in evaluation.circumstances]
        periods = [one.period for one in said]
        periods += [fact.charge.period for fact in evaluation.charges]
        beyond = any(not overlaps(evaluation.period, period) for period in periods)
        return cls(digest, beyond, frozenset(one.circumstance for one in said))


class EvaluatedPeriods(Mapping[str, PeriodInputs]):
    """The inputs of each evaluated period, by its label, in order."""

    def __init__(self) -> None:
        self._inputs: dict[str, PeriodInputs | Callable[[], PeriodInputs]] = {}
        self._outlines: dict[str, EvaluationOutline] = {}

    def add(self, period: str, inputs: PeriodInputs) -> None:
        """One more period, whose evaluation is read."""
        self._inputs[period] = inputs

    def add_stored(
        self, period: str, outline: EvaluationOutline, read: Callable[[], PeriodInputs]
    ) -> None:
        """One more period, of which ``read`` gives charges and circumstances, not the figures.

        It may raise NotRead.
        """
        self._inputs[period] = read
        self._outlines[period] = outline

    def __getitem__(self, period: str) -> PeriodInputs:
        found = self._inputs[period]
        if not isinstance(found, PeriodInputs):
            found = self._inputs[period] = found()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def with_more(self, also: Collection[str]) -> list[PeriodInputs]:
        """The inputs of those that may state something of another time, and of these periods."""
        return [
            self[period]
            for period in self
            if period in also or period not in self._outlines or self._outlines[period].beyond
        ]

    def may_state(self, period: str, circumstance: str) -> bool:
        """Whether the evaluation of a period may state a circumstance of that name."""
        outline = self._outlines.get(period)
        return outline is None or circumstance in outline.circumstances
