"""What a period comes to so far: lines, points, figures, rights and balances in the making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from schemas.evaluation import EventRef
from schemas.statement import LevelResult, LineKind, Step, TerminationRight
from services.core.exact.arithmetic import ZERO

OWED_BY_VENDOR: frozenset[LineKind] = frozenset({"service_credit", "penalty"})
"""The kinds of line that caps and small-amount rules speak of."""


@dataclass(frozen=True, slots=True)
class ReturnedCredit:
    """What a balance was when it was earned back: of which level's credit, when, minor units."""

    level: str | None
    period: str
    minor: int


@dataclass(frozen=True, slots=True)
class Balance:
    """Earned-back or banked money that can be set off against later credits, in minor units."""

    name: str
    for_period: str
    left: int
    usable_from: str
    last_period: str | None
    pays_for: tuple[str, ...] = ()
    given: ReturnedCredit | None = None
    """None: it is banked, or was brought along."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A credit that is not payable yet, in main units, exact."""

    name: str
    line: str
    level: str
    period: str
    amount: Fraction


@dataclass(frozen=True, slots=True)
class DraftLine:
    """A line in the making. ``value`` in main units, exact; positive: the vendor owes.

    ``measured``: the measurement period of its result; None where it is of the whole period.
    """

    line: str
    kind: LineKind
    level: str | None
    for_period: str
    value: Fraction
    steps: tuple[Step, ...]
    subject: str | None = None
    measured: str | None = None
    weight: Fraction | None = None
    events: tuple[EventRef, ...] = ()

    def becomes(self, value: Fraction, step: Step) -> DraftLine:
        """The same line with another value and the step that changed it."""
        return replace(self, value=value, steps=(*self.steps, step))


@dataclass(frozen=True, slots=True)
class PointsScored:
    """Service points of one level in one measurement period."""

    level: str
    subject: str | None
    period: str
    points: Fraction
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Worksheet:
    """What a period comes to so far. Every step of the order of operations gives a new one."""

    results: tuple[LevelResult, ...] = ()
    amounts: tuple[DraftLine, ...] = ()
    points: tuple[PointsScored, ...] = ()
    figures: Mapping[str, Fraction | str | bool | None] = field(default_factory=dict)
    rights: tuple[TerminationRight, ...] = ()
    balances: tuple[Balance, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    full: frozenset[str] = frozenset()
    """The caps of which the credits of the period leave nothing."""

    def owed(self, levels: Sequence[str] = ()) -> Fraction:
        """Credits and penalties so far, in main units, of some levels (none named: of all)."""
        return sum((amount.value for amount in self.amounts if counts(amount, levels)), ZERO)

    def with_figures(self, figures: Mapping[str, Fraction | str | bool | None]) -> Worksheet:
        """With further named figures."""
        return replace(self, figures={**self.figures, **figures})

    def adding(self, *amounts: DraftLine) -> Worksheet:
        """With further lines at the end."""
        return replace(self, amounts=(*self.amounts, *amounts))


def counts(amount: DraftLine, levels: Sequence[str] = ()) -> bool:
    """Whether a line is a credit or penalty of these levels (none named: of any)."""
    return amount.kind in OWED_BY_VENDOR and (not levels or amount.level in levels)


def step(rule: str, term: str, text: str, value: Fraction | None = None) -> Step:
    """One operation of the calculation as a person would write it down."""
    return Step(rule=rule, term=term, text=text[:2000], value=value)
