"""The periods of an agreement that are settled so far, and what later ones ask of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import overload

from schemas.agreement import Agreement
from schemas.statement import LevelResult, LineKind, StatementLine
from services.core.exact.arithmetic import ZERO
from services.core.inputs.worksheet import Balance, Deferred


@dataclass(frozen=True, slots=True)
class SettledPeriod:
    """What later periods look back at. ``lines`` is None while the period cannot be settled.

    ``carried``: the credit that later invoices are to take, in main units.
    """

    period: str
    version: Agreement
    results: tuple[LevelResult, ...]
    lines: tuple[StatementLine, ...] | None
    balances: tuple[Balance, ...] = ()
    carried: Fraction = ZERO
    deferred: tuple[Deferred, ...] = ()

    def amount(self, kinds: frozenset[LineKind], levels: Sequence[str] = ()) -> int:
        """Minor units of the lines of some kinds, of some levels (none named: of all)."""
        return sum(
            line.minor_units
            for line in self.lines or ()
            if line.kind in kinds and (not levels or line.level in levels)
        )

    def put_off(self, periods: Collection[str], levels: Sequence[str] = ()) -> Fraction:
        """Credits of some periods that are not payable yet, in main units, as `amount`."""
        return sum(
            (
                one.amount
                for one in self.deferred
                if one.period in periods and (not levels or one.level in levels)
            ),
            ZERO,
        )


class SettlementHistory(Sequence[SettledPeriod]):
    """The periods settled so far, oldest first, and by what later ones ask for.

    Each period is added once, when all that looks back from it is done.
    """

    def __init__(self) -> None:
        self._in_order: list[SettledPeriod] = []
        self._places: dict[str, int] = {}
        self._results: dict[tuple[str, str | None], list[LevelResult]] = {}

    def add(self, settled: SettledPeriod) -> None:
        """Remember one more period."""
        self._places[settled.period] = len(self._in_order)
        self._in_order.append(settled)
        for result in settled.results:
            self._results.setdefault((result.level, result.subject), []).append(result)

    def of(self, period: str) -> SettledPeriod | None:
        """The period of that label, if it is among them."""
        place = self._places.get(period)
        return None if place is None else self._in_order[place]

    def after(self, period: str) -> Iterator[SettledPeriod]:
        """Those after one of them, in order."""
        return (self._in_order[at] for at in range(self._places[period] + 1, len(self)))

    def results(self, level: str, subject: str | None) -> list[LevelResult]:
        """A level's results, the latest first."""
        return self._results.get((level, subject), [])[::-1]

    def __len__(self) -> int:
        return len(self._in_order)

    @overload
    def __getitem__(self, place: int) -> SettledPeriod: ...
    @overload
    def __getitem__(self, place: slice) -> list[SettledPeriod]: ...
    def __getitem__(self, place: int | slice) -> SettledPeriod | list[SettledPeriod]:
        return self._in_order[place]
