"""Which versions rule by now, for those who only look: nothing is activated by looking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.versions import first_open_day, prospective, prospective_programmes
from services.settlement import queries
from services.settlement.store import SettlementTerms
from services.shell.postgres import Connection


@dataclass(frozen=True, slots=True)
class EffectiveVersions:
    """An agreement, all that share a cap with it, and their programme, as settlement would let
    their versions rule if it ran now."""

    agreements: Mapping[str, tuple[Agreement, ...]]
    programmes: tuple[Programme, ...]
    all_activated: bool
    """Whether settlement has met all of them."""


async def read_effective_versions(
    connection: Connection, contract: SettlementTerms
) -> EffectiveVersions:
    """Read from when each version rules; one that is not activated yet rules from the open day."""
    names = list(contract.agreements)
    activated: dict[str, dict[int, date | None]] = {name: {} for name in names}
    for row in await queries.rules_from(connection, names):
        activated[row["agreement"]][row["version"]] = row["applies_from"]
    programmes = contract.programmes
    met: dict[int, date | None] = {}
    if programmes:
        rows = await queries.programme_rules_from(connection, programmes[0].programme)
        met = {row["version"]: row["applies_from"] for row in rows}
    all_activated = all(one.version in met for one in programmes) and all(
        one.version in activated[name] for name in names for one in contract.agreements[name]
    )
    settled: dict[str, list[str]] = {name: [] for name in names}
    if not all_activated:  # else nobody asks for the open day
        settled = {name: await queries.settled_periods(connection, name) for name in names}
    agreements = {}
    for name, versions in contract.agreements.items():
        open_day = first_open_day(settled[name])
        ruling = {one.version: activated[name].get(one.version, open_day) for one in versions}
        agreements[name] = prospective(versions, ruling)
    open_day = first_open_day(period for each in settled.values() for period in each)
    ruling = {one.version: met.get(one.version, open_day) for one in programmes}
    return EffectiveVersions(agreements, prospective_programmes(programmes, ruling), all_activated)


async def rules_from(connection: Connection, agreement: Agreement) -> date:
    """Since when an applied version rules; of one that settlement has not met, since when it would
    if it were met now. Later than ``effective_from`` where periods are settled already."""
    for row in await queries.rules_from(connection, [agreement.agreement]):
        if row["version"] == agreement.version:
            return max(agreement.effective_from, row["applies_from"] or date.min)
    settled = await queries.settled_periods(connection, agreement.agreement)
    return max(agreement.effective_from, first_open_day(settled) or date.min)
