"""The periods of an agreement that are settled so far, and what later ones ask of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from schemas.agreement import Agreement
from schemas.period import first_day, next_label
from schemas.statement import LevelResult, LineKind, StatementLine
from services.core.exact.arithmetic import ZERO
from services.core.inputs.worksheet import Balance, Deferred

LineSums = tuple[tuple[LineKind, str | None, int], ...]
"""Minor units by kind and level, in their order; what comes to nothing is left out."""


def added_up(sums: LineSums, lines: Iterable[StatementLine]) -> LineSums:
    """Sums with the lines of one more period."""
    found = {(kind, level): minor for kind, level, minor in sums}
    for line in lines:
        of = (line.kind, line.level)
        found[of] = found.get(of, 0) + line.minor_units
    in_order = sorted(found.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    return tuple((kind, level, minor) for (kind, level), minor in in_order if minor)


@dataclass(frozen=True, slots=True)
class SettledPeriod:
    """What later periods look back at. ``lines`` is None while the period cannot be settled.

    ``carried``: the credit that later invoices are to take, in main units. ``sums``: of the lines
    of all periods up to this one, so that nobody reads them for that.
    """

    period: str
    version: Agreement
    results: tuple[LevelResult, ...]
    lines: tuple[StatementLine, ...] | None
    balances: tuple[Balance, ...] = ()
    carried: Fraction = ZERO
    deferred: tuple[Deferred, ...] = ()
    sums: LineSums = ()

    def amount(self, kinds: frozenset[LineKind], levels: Sequence[str] = ()) -> int:
        """Minor units of the lines of some kinds, of some levels (none named: of all)."""
        return sum(
            line.minor_units
            for line in self.lines or ()
            if line.kind in kinds and (not levels or line.level in levels)
        )

    def amount_so_far(self, kinds: frozenset[LineKind], levels: Sequence[str] = ()) -> int:
        """As `amount`, of all periods up to this one."""
        return sum(
            minor
            for kind, level, minor in self.sums
            if kind in kinds and (not levels or level in levels)
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
    """Something earlier is looked at that was not read; read it, then again.

    ``circumstance``: all statements of it are asked for. None: earlier periods are.
    """

    def __init__(self, circumstance: str | None = None) -> None:
        super().__init__(circumstance or "an earlier period")
        self.circumstance = circumstance


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


class SettlementHistory:
    """The periods settled so far, oldest first, and by what later ones ask for.

    Each period is added once, when all that looks back from it is done. A stored one is read when
    it is looked at, and not before.
    """

    def __init__(self, since: date | None = None) -> None:
        """``since``: the day from which on the periods are here, where there may be earlier ones.

        Whoever looks further back raises NotRead.
        """
        self._since = since
        self._in_order: list[_Entry] = []
        self._places: dict[str, int] = {}
        self.furthest = 0
        """So many periods back somebody looked, since somebody set it to zero."""

    def add(self, settled: SettledPeriod) -> None:
        """Remember one more period."""
        self._append(settled.period, _Entry(lambda: settled, settled))

    def add_stored(self, period: str, read: Callable[[], SettledPeriod]) -> None:
        """Remember one more period, which ``read`` gives."""
        self._append(period, _Entry(read))

    def _append(self, period: str, entry: _Entry) -> None:
        self._places[period] = len(self._in_order)
        self._in_order.append(entry)

    def _entry(self, place: int) -> _Entry:
        self.furthest = max(self.furthest, len(self._in_order) - place)
        return self._in_order[place]

    def _whole(self) -> None:
        if self._since is not None:
            raise NotRead

    @property
    def last_label(self) -> str | None:
        """The label of the last period; None where there is none."""
        if not self._places:
            self._whole()
        return next(reversed(self._places), None)

    @property
    def last(self) -> SettledPeriod | None:
        """The last period; None where there is none."""
        return self.back(1)

    def back(self, periods: int) -> SettledPeriod | None:
        """The last but so many, 1 for the last; None where there are fewer."""
        place = len(self._in_order) - periods
        if place < 0:
            self._whole()
            return None
        return self._entry(place).settled()

    def of(self, period: str) -> SettledPeriod | None:
        """The period of that label, if it is among them."""
        place = self._places.get(period)
        if place is None and self._since is not None and first_day(period) < self._since:
            raise NotRead
        return None if place is None else self._entry(place).settled()

    def after(self, period: str) -> Iterator[SettledPeriod]:
        """Those after one of them, in order."""
        if period not in self._places:
            self._whole()
        first = self._places[period] + 1
        return (self._entry(at).settled() for at in range(first, len(self._in_order)))

    def since(self, period: str) -> Iterator[SettledPeriod]:
        """Those that begin with a period or later, in order."""
        day = first_day(period)
        if self._since is not None and day < self._since:
            raise NotRead
        return (
            self._entry(place).settled()
            for label, place in self._places.items()
            if first_day(label) >= day
        )

    def latest_first(self) -> Iterator[SettledPeriod]:
        """All of them, the latest first: as far back as somebody takes them."""
        for place in reversed(range(len(self._in_order))):
            yield self._entry(place).settled()
        self._whole()

    def __iter__(self) -> Iterator[SettledPeriod]:
        """All of them, in order."""
        self._whole()
        return (self._entry(place).settled() for place in range(len(self._in_order)))

    def results(
        self, level: str, subject: str | None, since: date | None = None
    ) -> Iterator[LevelResult]:
        """A level's results, the latest first: as far back as somebody takes them.

        ``since``: those of periods that end before this day are not looked at.
        """
        for label, place in reversed(self._places.items()):
            if since is not None and first_day(next_label(label)) <= since:
                return
            yield from reversed(self._entry(place).results((level, subject)))
        if since is None or self._since is None or self._since > since:
            self._whole()


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

    def since(self, period: str) -> Iterator[LevelResult]:
        """Those whose period begins with this one or later."""
        day = first_day(period)
        yield from (one for one in reversed(self._own) if first_day(one.period) >= day)
        for one in self._history.results(*self._series, since=day):
            if first_day(one.period) < day:
                return
            yield one
