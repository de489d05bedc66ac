"""The periods of an agreement that are evaluated: each read, or read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from services.core.calendar.windows import overlaps
from services.core.inputs.history import NotRead
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


@dataclass(frozen=True, slots=True)
class ReadSince:
    """How far the evaluated periods of an agreement are read, where not all are.

    ``day``: from which on all are. ``first``: the first day of the first one. ``circumstances``:
    those of which all statements are read, besides what is stated of another time.
    """

    day: date
    first: date
    circumstances: frozenset[str] = frozenset()


class EvaluatedPeriods:
    """The inputs of each evaluated period, by its label, in order, as far as they are read."""

    def __init__(self, read: ReadSince | None = None) -> None:
        """``read``: None where all are. Whoever looks at what is not raises NotRead."""
        self._read = read
        self._inputs: dict[str, PeriodInputs | Callable[[], PeriodInputs]] = {}
        self._outlines: dict[str, EvaluationOutline] = {}

    def add(self, period: str, inputs: PeriodInputs) -> None:
        """One more period, whose evaluation is read."""
        self._inputs[period] = inputs

    def add_stored(
        self, period: str, outline: EvaluationOutline, read: Callable[[], PeriodInputs]
    ) -> None:
        """One more period, of which ``read`` gives charges and circumstances, not the figures."""
        self._inputs[period] = read
        self._outlines[period] = outline

    def __contains__(self, period: str) -> bool:
        found, read = period in self._inputs, self._read
        if not found and read is not None and read.first <= first_day(period) < read.day:
            raise NotRead
        return found

    def __getitem__(self, period: str) -> PeriodInputs:
        found = self._inputs[period]
        if not isinstance(found, PeriodInputs):
            found = self._inputs[period] = found()
        return found

    @property
    def first(self) -> date:
        """The first day of the first evaluated period."""
        return first_day(next(iter(self._inputs))) if self._read is None else self._read.first

    def all(self) -> list[PeriodInputs]:
        """The inputs of all evaluated periods."""
        if self._read is not None:
            raise NotRead
        return [self[period] for period in self._inputs]

    def with_more(self, also: Collection[str]) -> list[PeriodInputs]:
        """The inputs of those that may state something of another time, and of these periods."""
        wanted = {period for period in also if period in self}
        return [
            self[period]
            for period in self._inputs
            if period in wanted or period not in self._outlines or self._outlines[period].beyond
        ]

    def stating(self, circumstance: str) -> list[PeriodInputs]:
        """The inputs of the periods whose evaluation may state a circumstance of that name."""
        if self._read is not None and circumstance not in self._read.circumstances:
            raise NotRead(circumstance)
        return [
            self[period]
            for period in self._inputs
            if period not in self._outlines or circumstance in self._outlines[period].circumstances
        ]
