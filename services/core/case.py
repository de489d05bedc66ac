"""The desk on which one period is settled: what is known, what went before, what is being made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import overload

from schemas.agreement import Agreement
from schemas.base import written
from schemas.evaluation import EventRef
from schemas.money import exponent
from schemas.period import first_day, next_label
from schemas.statement import LevelResult, LineKind, StatementLine, Step, TerminationRight
from services.core.arithmetic import ZERO, money_text
from services.core.calendar_days import contract_year
from services.core.conversion import Converted, Foreign
from services.core.known import Charges, Known, Missing
from services.core.windows import labels_between

OWED_BY_VENDOR: frozenset[LineKind] = frozenset({"service_credit", "penalty"})
"""The kinds of line that caps and small-amount rules speak of."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Earned-back or banked money that can be set off against later credits, in minor units."""

    name: str
    for_period: str
    left: int
    usable_from: str
    last_period: str | None
    pays_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deferred:
    """A credit that is not payable yet, in main units, exact."""

    name: str
    line: str
    level: str
    period: str
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Settled:
    """What later periods look back at. ``lines`` is None while the period cannot be settled."""

    period: str
    version: Agreement
    results: tuple[LevelResult, ...]
    lines: tuple[StatementLine, ...] | None
    balances: tuple[Balance, ...] = ()
    carried: Fraction = ZERO
    deferred: tuple[Deferred, ...] = ()

    def total(self, currency: str) -> Fraction:
        """The period's total in main units."""
        minor = sum(line.minor_units for line in self.lines or ())
        return Fraction(minor, 10 ** exponent(currency))

    def amount(self, kinds: frozenset[LineKind], levels: Sequence[str] = ()) -> int:
        """Minor units of the lines of some kinds, of some levels (none named: of all)."""
        return sum(
            line.minor_units
            for line in self.lines or ()
            if line.kind in kinds and (not levels or line.level in levels)
        )


class Past(Sequence[Settled]):
    """The periods settled so far, oldest first, and by what later ones ask for.

    Each period is added once, when all that looks back from it is done.
    """

    def __init__(self) -> None:
        self._in_order: list[Settled] = []
        self._places: dict[str, int] = {}
        self._results: dict[tuple[str, str | None], list[LevelResult]] = {}

    def add(self, settled: Settled) -> None:
        """Remember one more period."""
        self._places[settled.period] = len(self._in_order)
        self._in_order.append(settled)
        for result in settled.results:
            self._results.setdefault((result.level, result.subject), []).append(result)

    def of(self, period: str) -> Settled | None:
        """The period of that label, if it is among them."""
        place = self._places.get(period)
        return None if place is None else self._in_order[place]

    def after(self, period: str) -> Iterator[Settled]:
        """Those after one of them, in order."""
        return (self._in_order[at] for at in range(self._places[period] + 1, len(self)))

    def results(self, level: str, subject: str | None) -> list[LevelResult]:
        """A level's results, the latest first."""
        return self._results.get((level, subject), [])[::-1]

    def __len__(self) -> int:
        return len(self._in_order)

    @overload
    def __getitem__(self, place: int) -> Settled: ...
    @overload
    def __getitem__(self, place: slice) -> list[Settled]: ...
    def __getitem__(self, place: int | slice) -> Settled | list[Settled]:
        return self._in_order[place]


@dataclass(frozen=True, slots=True)
class Case:
    """One period of one agreement, with its past."""

    version: Agreement
    period: str
    known: Known
    charges: Charges
    past: Past
    begins: str
    ends_with: str | None
    time_zone: str
    missing: Missing

    def base(self, name: str, subject: str | None = None, period: str | None = None) -> Fraction:
        """A base in main units; zero, and noted as missing, while its charge is not known."""
        failing = period or self.period
        settled = self.past.of(failing)
        in_force = settled.version if settled else self.version
        return self.charges.base(
            self.version, name, failing, subject, self.missing, in_force=in_force
        )

    def own(self, amount: Fraction, currency: str | None) -> Fraction:
        """An amount that the agreement states, in its own currency.

        Zero, and noted as missing, while its rate is not known.
        """
        if currency is None or currency == self.version.currency:
            return amount
        key = f"{written(amount)}-{currency}/{self.period}"
        foreign = Foreign(key, "the agreement's amount", amount, currency, self.period)
        value = self.charges.converted(self.version, foreign, self.missing)
        return ZERO if value is None else value

    def conversions_since(self, seen: int) -> tuple[Converted, ...]:
        """The conversions that were looked at after so many, each once."""
        return tuple({one.key: one for one in self.missing.conversions[seen:]}.values())

    def steps_since(self, seen: int) -> tuple[Step, ...]:
        """The steps of these conversions."""
        return tuple(one.step for one in self.conversions_since(seen))

    @property
    def seen(self) -> int:
        """How many conversions were looked at so far."""
        return len(self.missing.conversions)

    def if_known(self, amount: Callable[[Case], Fraction]) -> Fraction | None:
        """An amount where all that it stands on is known. Nothing waits for it."""
        aside = replace(self, missing=Missing())
        value = amount(aside)
        return None if aside.missing.reasons else value

    def at_risk(self, name: str, subject: str | None = None, period: str | None = None) -> Fraction:
        """An amount at risk in main units."""
        term = next(term for term in self.version.at_risk if term.at_risk == name)
        return term.percent * self.base(term.base, subject, period) / 100

    def bases_used(self) -> dict[str, Fraction | str]:
        """The bases that were looked at so far, by name and period, in main units.

        And in words, how each amount of another currency was converted.
        """
        converted = {f"converted/{one.key}": one.step.text for one in self.missing.conversions}
        return {f"base/{name}": value for name, value in self.missing.bases.items()} | converted

    def earlier_results(self, level: str, subject: str | None) -> list[LevelResult]:
        """The level's results before this settlement period, the latest first."""
        return self.past.results(level, subject)

    def window(self, periods: int) -> list[str]:
        """The settlement periods, this one last, that a window of that many holds."""
        first = next_label(self.period, 1 - periods)
        return [label for label in labels_between(first, self.period) if self._has_begun(label)]

    def contract_year(self) -> list[str]:
        """The settlement periods of the contract year so far, this one last."""
        return list(contract_year(first_day(self.begins), self.period))

    def term(self) -> list[str]:
        """All settlement periods so far, this one last."""
        return list(labels_between(self.begins, self.period))

    def _has_begun(self, label: str) -> bool:
        return first_day(label) >= first_day(self.begins)

    def money(self, value: Fraction) -> str:
        """An amount for people, in the agreement's currency."""
        return money_text(value, self.version.currency)


@dataclass(frozen=True, slots=True)
class Amount:
    """A line in the making. ``value`` in main units, exact; positive: the vendor owes."""

    line: str
    kind: LineKind
    level: str | None
    for_period: str
    value: Fraction
    steps: tuple[Step, ...]
    subject: str | None = None
    weight: Fraction | None = None
    events: tuple[EventRef, ...] = ()

    def becomes(self, value: Fraction, step: Step) -> Amount:
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
class Sheet:
    """What a period comes to so far. Every step of the order of operations gives a new one."""

    results: tuple[LevelResult, ...] = ()
    amounts: tuple[Amount, ...] = ()
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

    def with_figures(self, figures: Mapping[str, Fraction | str | bool | None]) -> Sheet:
        """With further named figures."""
        return replace(self, figures={**self.figures, **figures})

    def adding(self, *amounts: Amount) -> Sheet:
        """With further lines at the end."""
        return replace(self, amounts=(*self.amounts, *amounts))


def counts(amount: Amount, levels: Sequence[str] = ()) -> bool:
    """Whether a line is a credit or penalty of these levels (none named: of any)."""
    return amount.kind in OWED_BY_VENDOR and (not levels or amount.level in levels)


def step(rule: str, term: str, text: str, value: Fraction | None = None) -> Step:
    """One operation of the calculation as a person would write it down."""
    return Step(rule=rule, term=term, text=text[:2000], value=value)
