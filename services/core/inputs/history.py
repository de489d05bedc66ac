"""The periods of an agreement that are settled so far, and what later ones ask of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from typing import overload

from schemas.agreement import Agreement
from schemas.period import first_day
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


class NotRead(Exception):
    """An earlier period is looked back at whose stored state was not read; read it, then again."""


@dataclass(slots=True)
class _Entry:
    """An earlier period: as it was worked out, or from its stored state when it is asked for."""

    read: Callable[[], SettledPeriod]
    period: SettledPeriod | None = None
    by_series: dict[tuple[str, str | None], list[LevelResult]] | None = None

    def settled(self) -> SettledPeriod:
        if self.period is None:
            self.period = self.read()
        return self.period

    def results(self, series: tuple[str, str | None]) -> list[LevelResult]:
        """The results of a level and subject, in order."""
        if self.by_series is None:
            self.by_series = {}
            for result in self.settled().results:
                self.by_series.setdefault((result.level, result.subject), []).append(result)
        return self.by_series.get(series, [])


class SettlementHistory(Sequence[SettledPeriod]):
    """The periods settled so far, oldest first, and by what later ones ask for.

    Each period is added once, when all that looks back from it is done. A stored one is read when
    it is looked at, and not before.
    """

    def __init__(self) -> None:
        self._in_order: list[_Entry] = []
        self._places: dict[str, int] = {}

    def add(self, settled: SettledPeriod) -> None:
        """Remember one more period."""
        self._append(settled.period, _Entry(lambda: settled, settled))

    def add_stored(self, period: str, read: Callable[[], SettledPeriod]) -> None:
        """Remember one more period, which ``read`` gives. It may raise NotRead."""
        self._append(period, _Entry(read))

    def _append(self, period: str, entry: _Entry) -> None:
        self._places[period] = len(self._in_order)
        self._in_order.append(entry)

    @property
    def last_label(self) -> str | None:
        """The label of the last period; None where there is none."""
        return next(reversed(self._places), None)

    def of(self, period: str) -> SettledPeriod | None:
        """The period of that label, if it is among them."""
        place = self._places.get(period)
        return None if place is None else self._in_order[place].settled()

    def after(self, period: str) -> Iterator[SettledPeriod]:
        """Those after one of them, in order."""
        return (self[at] for at in range(self._places[period] + 1, len(self)))

    def results(self, level: str, subject: str | None) -> Iterator[LevelResult]:
        """A level's results, the latest first: as far back as somebody takes them."""
        for entry in reversed(self._in_order):
            yield from reversed(entry.results((level, subject)))

    def __len__(self) -> int:
        return len(self._in_order)

    @overload
    def __getitem__(self, place: int) -> SettledPeriod: ...
    @overload
    def __getitem__(self, place: slice) -> list[SettledPeriod]: ...
    def __getitem__(self, place: int | slice) -> SettledPeriod | list[SettledPeriod]:
        if isinstance(place, slice):
            return [entry.settled() for entry in self._in_order[place]]
        return self._in_order[place].settled()


def results_since(period: str, earlier: Iterable[LevelResult]) -> Iterator[LevelResult]:
    """Those of a level's results, the latest first, whose period begins with this one or later."""
    day = first_day(period)
    return takewhile(lambda one: first_day(one.period) >= day, earlier)


class EarlierResults(Iterable[LevelResult]):
    """The results of a level before one of its periods, the latest first, read as far as asked.

    ``own``: those of the same settlement period, in order.
    """

    def __init__(
        self,
        own: Sequence[LevelResult],
        history: SettlementHistory,
        series: tuple[str, str | None],
    ) -> None:
        self._own, self._history, self._series = own, history, series

    def __iter__(self) -> Iterator[LevelResult]:
        yield from reversed(self._own)
        yield from self._history.results(*self._series)
