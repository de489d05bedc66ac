"""Settling files: the same core as the services, without broker and database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from types import MappingProxyType
from typing import TypeVar

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.frame import Facts
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.cli.files import ContractFiles
from services.core.contracts.versions import version_for
from services.core.counting.evaluation import Ready, evaluate, ready
from services.core.events.facts import Row, columns
from services.core.events.horizon import Latest
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import History, settle_together
from services.ingest.event_validator import ANY_PARTY, EventValidator
from services.ingest.rejection import EventRejection
from services.shell.http.problems import Fault

_Versioned = TypeVar("_Versioned", Programme, Agreement)


@dataclass(frozen=True, slots=True)
class UncountedEvent:
    """An event that does not count, where it stood, and why; ``also``: what else is wrong."""

    place: str
    what: str
    source: str | None
    id: str | None
    reason: str
    remedy: str
    also: tuple[Fault, ...] = ()

    def lines(self) -> list[str]:
        """A line for each thing that is wrong with it."""
        who = " ".join(part for part in (self.what, self.source, self.id) if part)
        place = f"{self.place}: {who}" if self.place else who
        first = f"{place}: {self.reason}; {self.remedy}"
        return [first, *(f"{place}: {_told(fault)}" for fault in self.also)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A period that cannot be settled yet, and what it waits for."""

    agreement: str
    period: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """What the files come to. ``duplicates``: events sent again, counted once."""

    statements: tuple[SettlementStatement, ...]
    waiting: tuple[Waiting, ...]
    set_aside: tuple[UncountedEvent, ...]
    counted: int
    duplicates: int


def settle_files(
    contracts: ContractFiles, events: Iterable[tuple[str, bytes]], through: date, now_us: int
) -> OfflineResult:
    """Settle every period of every agreement that ends on or before a day.

    ``events``: place and bytes of each, in the order in which they came. ``now_us``: bounds how far
    ahead an event's time may lie, and nothing else.
    """
    catalogue = catalogue_of(contracts.programmes, contracts.agreements)
    accepted = _accepted(catalogue, events, now_us)
    settled: dict[str, tuple[PeriodOutcome, ...]] = {}
    for programmes in catalogue.programmes.values():
        stock = ready(programmes, accepted.facts, catalogue.numbers)
        accepted.set_aside.extend(_corrections_refused(stock))
        settled |= _settled(catalogue, programmes, stock, through)
    outcomes = [(name, one) for name in sorted(settled) for one in settled[name]]
    return OfflineResult(
        tuple(one for _, one in outcomes if not isinstance(one, Unsettled)),
        tuple(
            Waiting(name, one.period, one.reasons)
            for name, one in outcomes
            if isinstance(one, Unsettled)
        ),
        tuple(accepted.set_aside),
        counted=len(accepted.facts),
        duplicates=accepted.duplicates,
    )


def evaluated(
    catalogue: Catalogue,
    events: Iterable[tuple[str, bytes]],
    now_us: int,
    periods: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[PeriodEvaluation]], tuple[UncountedEvent, ...]]:
    """Evaluate periods of some agreements of one programme, by name; what does not count beside.

    ``events`` and ``now_us`` as in `settle_files`.
    """
    accepted = _accepted(catalogue, events, now_us)
    (name,) = {catalogue.agreements[one][-1].programme for one in periods}
    programmes = catalogue.programmes[name]
    stock = ready(programmes, accepted.facts, catalogue.numbers)
    accepted.set_aside.extend(_corrections_refused(stock))
    found = {
        one: _evaluations(catalogue, catalogue.agreements[one], labels, stock)
        for one, labels in periods.items()
    }
    return found, tuple(accepted.set_aside)


def _evaluations(
    catalogue: Catalogue, versions: Sequence[Agreement], labels: Iterable[str], stock: Ready
) -> list[PeriodEvaluation]:
    programmes = catalogue.programmes[versions[-1].programme]
    return [
        evaluate(programmes, versions, label, stock, catalogue.numbers, 1, "closed")
        for label in labels
    ]


def _settled(
    catalogue: Catalogue, programmes: Sequence[Programme], stock: Ready, through: date
) -> dict[str, tuple[PeriodOutcome, ...]]:
    """What the agreements of one programme come to, all together, as they may share caps."""
    newest = programmes[-1]
    histories = {
        name: History(
            versions, _evaluations(catalogue, versions, _periods(versions, through), stock)
        )
        for name, versions in catalogue.agreements.items()
        if versions[-1].programme == newest.programme
    }
    return settle_together(histories, programmes, buyer=newest.buyer, time_zone=newest.time_zone)


def _periods(versions: Sequence[Agreement], through: date) -> Iterator[str]:
    """The settlement periods that an agreement covers and that end by the day."""
    ordered = sorted(versions, key=lambda version: (version.effective_from, version.version))
    day = ordered[0].effective_from
    while True:
        begun = [version for version in ordered if version.effective_from <= day]
        label = label_of(day, begun[-1].settled)
        after = first_day(next_label(label))
        if after > through and (after - through).days > 1:
            return
        if version_for(ordered, label) is not None:
            yield label
        day = after


@dataclass(slots=True)
class _AcceptedEvents:
    facts: Facts
    duplicates: int
    set_aside: list[UncountedEvent]


def _accepted(
    catalogue: Catalogue, events: Iterable[tuple[str, bytes]], now_us: int
) -> _AcceptedEvents:
    latest = Latest()
    validator = EventValidator(catalogue, latest.of)
    rows: list[Row] = []
    held: dict[bytes, bytes] = {}
    set_aside: list[UncountedEvent] = []
    duplicates = 0
    for place, raw in events:
        verdict = validator.admit(raw, ANY_PARTY, now_us)
        if isinstance(verdict, EventRejection):
            set_aside.append(_refused(place, verdict))
        elif verdict.identity not in held:
            held[verdict.identity] = verdict.payload
            rows.append(verdict)
            latest.accepted(verdict.source, verdict.at_us)
        elif held[verdict.identity] == verdict.payload:
            duplicates += 1
        else:
            set_aside.append(_conflict(place, verdict))
    return _AcceptedEvents(columns(rows), duplicates, set_aside)


def _told(fault: Fault) -> str:
    field = f"{fault.pointer}: " if fault.pointer else ""
    return f"{field}{fault.reason}; {fault.remedy}"


def _refused(place: str, refusal: EventRejection) -> UncountedEvent:
    field = f"{refusal.pointer}: " if refusal.pointer else ""
    reason = f"{field}{refusal.detail}"
    return UncountedEvent(
        place, "refused", refusal.source, refusal.id, reason, refusal.remedy, refusal.also
    )


def _conflict(place: str, row: Row) -> UncountedEvent:
    return UncountedEvent(
        place,
        "conflict",
        row.source,
        row.id,
        "the same event came before with another content, which stands",
        "send a correction of it, or give the new event an id of its own",
    )


def _corrections_refused(stock: Ready) -> Iterator[UncountedEvent]:
    for each in stock.refused:
        yield UncountedEvent(
            "",
            "refused correction",
            each.correction.source,
            each.correction.id,
            f"{each.problem.field}: {each.problem.reason}",
            each.problem.remedy,
        )


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
