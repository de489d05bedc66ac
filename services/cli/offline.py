"""Settling files: the same core as the services, without broker and database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from types import MappingProxyType
from typing import TypeVar

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.cli.asked_periods import AskedPeriods, asked_periods, end_us, ends_none
from services.cli.early_facts import early_facts
from services.cli.files import ContractFiles
from services.cli.offline_events import UncountedEvent, accepted_events, corrections_refused
from services.cli.open_proposals import SettledGroup, open_proposals
from services.cli.worked_out import CannotBeWorkedOut, worked_out
from services.core.adjusting.shared_caps import sharing
from services.core.counting.evaluation import ProgrammeFacts, evaluate, ready
from services.core.events.horizon import Horizon, horizons_of
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import (
    settle_each,
)
from services.core.visibility.parties import parties_of

_Versioned = TypeVar("_Versioned", Programme, Agreement)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A period that cannot be settled yet, and what it waits for."""

    agreement: str
    period: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """What the files come to. ``duplicates``: events sent again, counted once.

    ``failed``: a sentence for each agreement that cannot be settled. ``notes``: what a
    person should know and what changes nothing.
    """

    statements: tuple[SettlementStatement, ...]
    waiting: tuple[Waiting, ...]
    set_aside: tuple[UncountedEvent, ...]
    counted: int
    duplicates: int
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def settle_files(
    contracts: ContractFiles,
    events: Iterable[tuple[str, bytes]],
    through: date,
    now_us: int,
    as_of: date | None = None,
) -> OfflineResult:
    """Settle every period of every agreement that ends on or before a day and is over.

    ``events``: place and bytes of each, in the order in which they came. ``now_us``: the moment
    by which periods are over, and ahead of which no event may lie. ``as_of``: a day at whose end
    it is taken to be now instead. Agreements that cannot be settled leave the others settled.
    Raises ValueError where the day asks for no period at all.
    """
    catalogue = catalogue_of(contracts.programmes, contracts.agreements)
    nothing = ends_none(list(catalogue.agreements.values()), through)
    if nothing:
        raise ValueError(nothing)
    accepted = accepted_events(catalogue, events, now_us, as_of)
    found = _Settled()
    for programmes in catalogue.programmes.values():
        own = {
            name: versions
            for name, versions in catalogue.agreements.items()
            if versions[-1].programme == programmes[-1].programme
        }
        zone = programmes[-1].time_zone
        now = now_us if as_of is None else end_us(as_of, zone)
        asked = {name: asked_periods(one, through, now, zone) for name, one in own.items()}
        found.still_open(asked)
        with found.or_failed(own):
            horizon = _horizon(catalogue, programmes[-1].programme)
            stock = ready(
                programmes,
                accepted.facts,
                catalogue.numbers,
                horizon,
                [version for versions in own.values() for version in versions],
            )
            accepted.set_aside.extend(corrections_refused(stock.every))
            for group in _groups(programmes, own):
                with found.or_failed(group):
                    _settle(found, catalogue, programmes, stock, group, asked)
    return OfflineResult(
        found.statements(),
        found.waiting(),
        tuple(accepted.set_aside),
        counted=len(accepted.facts),
        duplicates=accepted.duplicates,
        failed=tuple(found.failed),
        notes=(*early_facts(catalogue, accepted.facts), *found.proposed),
    )


def _horizon(catalogue: Catalogue, programme: str) -> Horizon:
    """How long the programme's periods can be settled again."""
    return horizons_of(catalogue.programmes, catalogue.agreement_versions)[programme]


@dataclass(slots=True)
class _Settled:
    """What the agreements come to so far."""

    outcomes: dict[str, tuple[PeriodOutcome, ...]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    open: list[Waiting] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)

    def still_open(self, asked: Mapping[str, AskedPeriods]) -> None:
        """Note the periods that are asked for and not over."""
        self.open += [
            Waiting(name, one.still_open[0], (one.why_open(),))
            for name, one in asked.items()
            if one.still_open
        ]

    @contextmanager
    def or_failed(self, agreements: Iterable[str]) -> Iterator[None]:
        """Note what the core cannot work out, and go on."""
        names = " and ".join(sorted(agreements))
        try:
            with worked_out(names):
                yield
        except CannotBeWorkedOut as reason:
            self.failed.append(str(reason))

    def statements(self) -> tuple[SettlementStatement, ...]:
        """All statements, by agreement and period."""
        return tuple(one for _, one in self._outcomes() if not isinstance(one, Unsettled))

    def waiting(self) -> tuple[Waiting, ...]:
        """All periods that wait, and those that are not over."""
        waits = [
            Waiting(name, one.period, one.reasons)
            for name, one in self._outcomes()
            if isinstance(one, Unsettled)
        ]
        return (*waits, *self.open)

    def _outcomes(self) -> Iterator[tuple[str, PeriodOutcome]]:
        for name in sorted(self.outcomes):
            for one in self.outcomes[name]:
                yield name, one


def _groups(
    programmes: Sequence[Programme], agreements: Mapping[str, Sequence[Agreement]]
) -> list[tuple[str, ...]]:
    """The agreements of a programme: those that share caps together, each other one alone."""
    groups = {sharing(programmes, agreements, name) or (name,) for name in agreements}
    return sorted(groups)


def evaluated(
    catalogue: Catalogue,
    events: Iterable[tuple[str, bytes]],
    now_us: int,
    periods: Mapping[str, Sequence[str]],
    asked: str,
) -> tuple[dict[str, list[PeriodEvaluation]], tuple[UncountedEvent, ...]]:
    """Evaluate periods of some agreements of one programme, by name; what does not count beside.

    ``events`` and ``now_us`` as in `settle_files`. An agreement that cannot be evaluated is left
    out, but for ``asked``: raises CannotBeWorkedOut.
    """
    accepted = accepted_events(catalogue, events, now_us)
    (name,) = {catalogue.agreements[one][-1].programme for one in periods}
    programmes = catalogue.programmes[name]
    stock = ready(
        programmes,
        accepted.facts,
        catalogue.numbers,
        _horizon(catalogue, name),
        [version for version in catalogue.agreement_versions if version.programme == name],
    )
    accepted.set_aside.extend(corrections_refused(stock.every))
    found = {}
    for one, labels in periods.items():
        try:
            with worked_out(one):
                found[one] = _evaluations(catalogue, catalogue.agreements[one], labels, stock)
        except CannotBeWorkedOut:
            if one == asked:
                raise
    return found, tuple(accepted.set_aside)


def _evaluations(
    catalogue: Catalogue,
    versions: Sequence[Agreement],
    labels: Iterable[str],
    stock: ProgrammeFacts,
) -> list[PeriodEvaluation]:
    programmes = catalogue.programmes[versions[-1].programme]
    own = stock.of(versions)
    return [
        evaluate(programmes, versions, label, own, catalogue.numbers, 1, "closed")
        for label in labels
    ]


def _settle(
    found: _Settled,
    catalogue: Catalogue,
    programmes: Sequence[Programme],
    stock: ProgrammeFacts,
    group: Sequence[str],
    asked: Mapping[str, AskedPeriods],
) -> None:
    """Settle agreements together, as they may share caps; what fails of one is its own."""
    histories: dict[str, History] = {}
    for name in group:
        versions = catalogue.agreements[name]
        with found.or_failed([name]):
            made = _evaluations(catalogue, versions, asked[name].over, stock)
            histories[name] = History(versions, made)
    unread = {
        name: catalogue.agreements[name][-1].vendor for name in group if name not in histories
    }
    together = settle_each(
        histories,
        programmes,
        parties=parties_of(programmes),
        time_zone=programmes[-1].time_zone,
        unread=unread,
    )
    found.outcomes |= together.outcomes
    with found.or_failed(histories):
        settled = SettledGroup(programmes, stock, histories, together.outcomes, unread)
        found.proposed += open_proposals(settled)
    for name in together.failed:
        with found.or_failed([name]):
            together.of(name)


def catalogue_of(programmes: Sequence[Programme], agreements: Sequence[Agreement]) -> Catalogue:
    """Documents as the services would see them once applied."""
    numbers = {
        (programme.programme, metric.metric): 0
        for programme in programmes
        for metric in programme.metrics
    }
    numbers = {name: number for number, name in enumerate(sorted(numbers))}
    return Catalogue(
        revision=0,
        programmes=MappingProxyType(_versions(programmes, lambda one: one.programme)),
        agreements=MappingProxyType(_versions(agreements, lambda one: one.agreement)),
        numbers=MappingProxyType(numbers),
        metrics=MappingProxyType({number: name for name, number in numbers.items()}),
        sources=MappingProxyType(
            {
                source.source: SourceOwner(programme.programme, source.reports_for)
                for programme in programmes
                for source in programme.sources
            }
        ),
    )


def _versions(
    nouns: Sequence[_Versioned], name: Callable[[_Versioned], str]
) -> dict[str, tuple[_Versioned, ...]]:
    ordered = sorted(nouns, key=lambda one: (name(one), one.version))
    return {key: tuple(group) for key, group in groupby(ordered, key=name)}
