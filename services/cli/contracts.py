"""What the command does with contract files beside checking and applying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.cli.client import Client
from services.cli.files import Contracts, read_contracts
from services.cli.stack import Addresses
from services.core.contract_diff import contract_diff
from services.core.inheritance import whence
from services.core.settlement import History
from services.core.shared_caps import sharing
from services.core.simulation import Simulation, simulate
from services.core.versions import version_for
from services.core.windows import labels_between
from services.shell.postgres import connect


def terms_and_origins(paths: Sequence[Path]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each agreement's name, and its terms with where each came from."""
    for agreement in in_order(read_contracts(paths)).agreements:
        rows = [
            (one.term, f"{one.agreement} version {one.version}" if one.inherited else "itself")
            for one in whence(agreement)
        ]
        yield f"{agreement.agreement} version {agreement.version}", rows


def changes(old: Path, new: Path) -> list[str]:
    """Every change between the documents of two files, by name; a sentence where there is none."""
    before = {_name(noun): noun for noun in _nouns(old)}
    told = []
    for noun in _nouns(new):
        name = " ".join(_name(noun))
        earlier = before.pop(_name(noun), None)
        if earlier is None:
            told.append(f"{name}: only in {new.name}")
            continue
        found = contract_diff(earlier, noun)
        told += [f"{name}: {change.text()}" for change in found] or [f"{name}: no change"]
    return told + [f"{' '.join(name)}: only in {old.name}" for name in before]


async def simulated(where: Addresses, client: Client, file: Path, against: str) -> Simulation:
    """Settle settled periods under the agreement of a file. ``against``: label, or first..last."""
    connection = await connect(where.postgres, name="earnback-simulate")
    try:
        catalogue = await load(connection)
    finally:
        await connection.close()
    known = [version for versions in catalogue.programmes.values() for version in versions]
    agreements = in_order(read_contracts([file], known)).agreements
    if len(agreements) != 1:
        raise ValueError(f"{file.name} holds {len(agreements)} agreements; give a file with one")
    other = agreements[0]
    versions = catalogue.agreements.get(other.agreement)
    if versions is None:
        raise ValueError(f"agreement {other.agreement} is not applied, so it has no past periods")
    programme = catalogue.programme(other.programme)
    assert programme is not None, "an applied agreement has a programme"
    first, _, last = against.partition("..")
    labels = labels_between(first, last or first)
    beside = {
        name: History(found, _evaluated(client, found, labels))
        for name, found in _sharing(catalogue, other)
    }
    return simulate(
        versions,
        other,
        _evaluated(client, versions, labels),
        buyer=programme.buyer,
        time_zone=programme.time_zone,
        beside=beside,
        programmes=catalogue.programmes[other.programme],
    )


def _sharing(
    catalogue: Catalogue, agreement: Agreement
) -> Iterator[tuple[str, tuple[Agreement, ...]]]:
    """The other agreements of the programme that share a cap with one, with their versions."""
    own = {
        name: versions
        for name, versions in catalogue.agreements.items()
        if versions[-1].programme == agreement.programme
    }
    programmes = catalogue.programmes[agreement.programme]
    for name in sharing(programmes, own, agreement.agreement):
        if name != agreement.agreement:
            yield name, own[name]


def _evaluated(
    client: Client, versions: Sequence[Agreement], labels: Sequence[str]
) -> list[PeriodEvaluation]:
    """The latest evaluation of each of the periods in which an agreement is in force."""
    ordered = sorted(versions, key=lambda one: (one.effective_from, one.version))
    return [
        PeriodEvaluation.model_validate(
            client.get(f"/v1/agreements/{ordered[0].agreement}/evaluations/{label}")["evaluation"]
        )
        for label in labels
        if version_for(ordered, label) is not None
    ]


def in_order(found: Contracts) -> Contracts:
    """The same, or ValueError with everything that is refused."""
    if found.refusals:
        raise ValueError("\n".join(refusal.text() for refusal in found.refusals))
    return found


def _nouns(path: Path) -> list[Programme | Agreement]:
    """The documents as far as they can be read: a version may be compared before it is complete."""
    found = read_contracts([path])
    return [*found.programmes, *found.agreements]


def _name(noun: Programme | Agreement) -> tuple[str, str]:
    return noun.kind, noun.programme if isinstance(noun, Programme) else noun.agreement
