"""What past periods would have cost under another contract: asked of files, or of what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import period_length
from schemas.period_cycle import same_length
from schemas.programme import Programme
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.cli.client import Client, RequestRefused
from services.cli.files import ContractFiles, read_contracts, read_events
from services.cli.offline import catalogue_of, evaluated
from services.cli.offline_events import UncountedEvent
from services.cli.stack import Addresses
from services.cli.worked_out import CannotBeWorkedOut, worked_out
from services.core.adjusting.shared_caps import sharing
from services.core.calendar.windows import labels_between
from services.core.contracts.versions import version_for
from services.core.settling.member import History
from services.core.whatif.counted_otherwise import cannot_be_counted
from services.core.whatif.simulation import (
    Simulation,
    SimulationContext,
    as_if,
    simulate,
    to_count_anew,
)
from services.evaluator import recount
from services.shell.postgres import Connection, connected

Evaluations = Mapping[str, Sequence[PeriodEvaluation]]
"""By agreement."""


@dataclass(frozen=True, slots=True)
class Told:
    """The simulation; the metrics whose stored events were counted anew; events that do not count.

    ``set_aside``: of events given as files, those that the contracts as they might be do not take.
    ``not_closed``: periods asked about that were not evaluated yet, so they are left out.
    """

    simulation: Simulation
    counted_anew: tuple[str, ...] = ()
    set_aside: tuple[UncountedEvent, ...] = ()
    not_closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _SimulationRequest:
    """An agreement as it might be, the periods, and everything that is applied: as is, as if."""

    other: Agreement
    labels: tuple[str, ...]
    was: Catalogue
    would: Catalogue

    @property
    def names(self) -> list[str]:
        """The agreement, and those of its programme that share a cap with it, as is or as if."""
        programmes = [
            one for each in (self.was, self.would) for one in each.programmes[self.other.programme]
        ]
        own = {
            name: versions
            for name, versions in self.was.agreements.items()
            if versions[-1].programme == self.other.programme
        }
        return sorted({self.other.agreement, *sharing(programmes, own, self.other.agreement)})

    def periods(self, name: str) -> list[tuple[str, Agreement]]:
        """The periods asked about that an agreement settles, with its version in force."""
        versions = sorted(
            self.was.agreements[name], key=lambda one: (one.effective_from, one.version)
        )
        found = [(label, version_for(versions, label)) for label in self.labels]
        return [
            (label, one)
            for label, one in found
            if one is not None and same_length(one.settled, period_length(label))
        ]

    def around(self, catalogue: Catalogue, evaluations: Evaluations) -> SimulationContext:
        """What the agreement is settled in, by one of the two catalogues."""
        programmes = catalogue.programmes[self.other.programme]
        beside = {
            name: History(self.was.agreements[name], found)
            for name, found in evaluations.items()
            if name != self.other.agreement
        }
        unread = {
            name: self.was.agreements[name][-1].vendor
            for name in self.names
            if name not in evaluations
        }
        return SimulationContext(
            programmes[-1].buyer,
            programmes[-1].time_zone,
            programmes,
            beside,
            {**unread, **self.was.unread(self.other.programme)},
        )

    def answer(self, was: Evaluations, anew: Evaluations) -> Simulation:
        """Both sides settled."""
        name = self.other.agreement
        with worked_out(name):
            return simulate(
                self.was.agreements[name],
                self.other,
                was[name],
                self.around(self.was, was),
                instead=self.around(self.would, anew),
                counted_anew=anew[name],
            )


def simulate_files(
    contracts: Path, events: Sequence[Path], file: Path, against: str, now_us: int
) -> Told:
    """Count events from files under the contracts in force and under those as they might be."""
    found = read_contracts([contracts]).in_order()
    asked = _question(catalogue_of(found.programmes, found.agreements), file, against)
    given = list(read_events(events))
    labels = {name: [label for label, _ in asked.periods(name)] for name in asked.names}
    name = asked.other.agreement
    was, _ = evaluated(asked.was, given, now_us, labels, name)
    would, set_aside = evaluated(_numbered_anew(asked.would), given, now_us, labels, name)
    return Told(asked.answer(was, would), set_aside=set_aside)


def _numbered_anew(catalogue: Catalogue) -> Catalogue:
    return catalogue_of(catalogue.programme_versions, catalogue.agreement_versions)


async def simulate_running(where: Addresses, client: Client, file: Path, against: str) -> Told:
    """Take the evaluations of a running earnback; count anew, from its facts, what does not do.

    Nothing is stored. Raises ValueError where the stored facts cannot tell what a metric would be.
    """
    if not where.postgres:
        raise ValueError("set EARNBACK_POSTGRES: the contracts and events stored there are read")
    async with connected(where.postgres, name="earnback-simulate") as connection:
        asked = _question(await load(connection), file, against)
        was = {name: _closed(client, asked, name) for name in asked.names}
        not_closed = _not_closed(asked, was)
        anew: dict[str, list[PeriodEvaluation]] = {}
        metrics: set[str] = set()
        for name in asked.names:
            try:
                anew[name] = [
                    await _fit(connection, asked, name, one, metrics) for one in was[name]
                ]
            except CannotBeWorkedOut:
                if name == asked.other.agreement:
                    raise
    return Told(asked.answer(was, anew), tuple(sorted(metrics)), not_closed=not_closed)


def _question(was: Catalogue, file: Path, against: str) -> _SimulationRequest:
    """What a file asks for. ``against``: label, or first..last."""
    found = read_contracts([file], was.programme_versions).in_order()
    if len(found.agreements) != 1:
        raise ValueError(
            f"{file.name} holds {len(found.agreements)} agreements; give a file with one"
        )
    other = found.agreements[0]
    versions = was.agreements.get(other.agreement)
    if versions is None:
        raise ValueError(
            f"agreement {other.agreement} is not applied, so it has no past periods; correct the "
            "name"
        )
    first, _, last = against.partition("..")
    agreements = {**was.agreements, other.agreement: (as_if(other, versions),)}
    programmes = {**was.programmes, **_programme_as_if(was, found, other, file)}
    asked = _SimulationRequest(
        other,
        labels_between(first, last or first),
        was,
        replace(
            was,
            programmes=MappingProxyType(programmes),
            agreements=MappingProxyType(agreements),
        ),
    )
    if not asked.periods(other.agreement):
        raise ValueError(
            f"{against} holds no settlement period of agreement {other.agreement}, which is "
            f"settled by {other.settled} from {versions[0].effective_from}; name periods of it"
        )
    return asked


def _programme_as_if(
    was: Catalogue, found: ContractFiles, other: Agreement, file: Path
) -> dict[str, tuple[Programme, ...]]:
    """The file's version of the programme as if in force from the beginning; none: none is there.

    Raises ValueError where there are several.
    """
    own = [one for one in found.programmes if one.programme == other.programme]
    if len(own) > 1:
        raise ValueError(
            f"{file.name} holds {len(own)} versions of programme {other.programme}; give one"
        )
    begun = min(one.effective_from for one in was.programmes[other.programme])
    return {one.programme: (one.model_copy(update={"effective_from": begun}),) for one in own}


def _closed(client: Client, asked: _SimulationRequest, name: str) -> list[PeriodEvaluation]:
    """The latest evaluation of each of the periods that an agreement settles, as far as there."""
    found = []
    for label, _ in asked.periods(name):
        try:
            answer = client.get(f"/v1/agreements/{name}/evaluations/{label}")
        except RequestRefused as refused:
            if refused.status != 404:
                raise
        else:
            found.append(PeriodEvaluation.model_validate(answer["evaluation"]))
    return found


def _not_closed(asked: _SimulationRequest, was: Evaluations) -> tuple[str, ...]:
    """The agreement's periods that were not evaluated. Raises ValueError where none was."""
    name = asked.other.agreement
    closed = {one.period for one in was[name]}
    lacking = tuple(label for label, _ in asked.periods(name) if label not in closed)
    if not closed:
        raise ValueError(
            f"none of the periods of {name} asked about is closed yet ({', '.join(lacking)}); "
            "name closed ones, or close them first with: earnback close"
        )
    return lacking


async def _fit(
    connection: Connection,
    asked: _SimulationRequest,
    name: str,
    closed: PeriodEvaluation,
    metrics: set[str],
) -> PeriodEvaluation:
    """The evaluation itself where it does, else one counted from stored facts; notes of what."""
    was, would = asked.around(asked.was, {}), asked.around(asked.would, {})
    version = version_for(asked.would.agreements[name], closed.period)
    assert version is not None, "it is in force as long as the versions that are applied"
    found = to_count_anew(version, asked.was.agreements[name], closed, was, would)
    if not found:
        return closed
    unfit = cannot_be_counted(version, was.programmes, would.programmes, closed.period)
    if unfit:
        raise ValueError(
            f"{closed.period} cannot be counted anew from the stored events: {'; '.join(unfit)}; "
            "give the contracts in force and the events as files, with --contracts and --events"
        )
    metrics.update(found)
    subject = recount.target_of(asked.would, name, closed.period)
    snapshot = await recount.take(connection, subject)
    with worked_out(name):
        count = partial(recount.evaluation, subject, snapshot, closed.revision, "changed_agreement")
        made, _ = await recount.in_thread(subject, recount.MOST_FACTS, count)
    return made
