"""The catalogue in Postgres: applying a version, and reading everything back.

One change at a time: whoever applies something locks the revision's row first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from schemas.agreement import Agreement
from schemas.audit import AuditAction
from schemas.programme import Programme
from schemas.statement import canonical
from services.catalogue.audit import INSTALLATION, AuditedChange, Author, record
from services.catalogue.four_eyes import (
    RequestedAct,
    days_for,
    digest_of,
    let_through,
)
from services.catalogue.keys import load_keys
from services.catalogue.reading import read_stored
from services.catalogue.revision import move, revision
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.catalogue.stored import agreement_of, programme_of
from services.core.contracts.shared_cap_check import unfit
from services.core.counting.version_start import MidPeriodStart, mid_period_starts
from services.shell.logs import log
from services.shell.postgres import Connection

VersionedDocument = TypeVar("VersionedDocument", Programme, Agreement)


class NotApplicable(ValueError):
    """What was to be applied contradicts what is. The text says what, why and what to do."""


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an application came to. ``already``: the same version was there, byte for byte."""

    name: str
    version: int
    already: bool
    revision: int


async def apply(
    connection: Connection,
    document: Programme | Agreement,
    *,
    by: Author = INSTALLATION,
    reason: str | None = None,
) -> ApplyResult:
    """Apply one version of a programme or an agreement, in its own or the caller's transaction.

    Applying the same version again is no change. ``reason``: why, for the audit.

    Raises NotApplicable where the version is there with another text, is older than what is
    applied, or contradicts it, and AgreementNeeded where the programme asks for two.
    """
    if isinstance(document, Programme):
        return await _apply_programme(connection, document, by, reason)
    return await _apply_agreement(connection, document, by, reason)


async def _apply_programme(
    connection: Connection, new: Programme, by: Author, reason: str | None
) -> ApplyResult:
    body = canonical(new)
    async with connection.transaction():
        locked = await _lock(connection)
        versions = await connection.fetch(
            "select version, sha256, body from programme_version where programme = $1"
            " order by version",
            new.programme,
        )
        if _already(f"programme {new.programme}", new, body, versions, programme_of):
            return ApplyResult(new.programme, new.version, already=True, revision=locked)
        if versions:
            _follows(new, programme_of(versions[-1]["body"]))
        await _caps_fit(connection, new)
        known = [programme_of(row["body"]) for row in versions]
        await _starts_with_periods(connection, new, [*known, new], ())
        await _own_sources(connection, new)
        await _number_metrics(connection, new)
        ruling = known[-1] if known else None
        await _agreed_to(connection, new, ruling, body)
        await connection.execute(
            "insert into programme_version (programme, version, effective_from, body, sha256)"
            " values ($1, $2, $3, $4, $5)",
            new.programme,
            new.version,
            new.effective_from,
            body.decode(),
            hashlib.sha256(body).digest(),
        )
        moved = await move(connection)
        action = AuditAction.PROGRAMME_APPLIED
        change = AuditedChange(
            action, str(new.version), programme=new.programme, buyer=new.buyer, reason=reason
        )
        await record(connection, by, change)
        return ApplyResult(new.programme, new.version, already=False, revision=moved)


async def _apply_agreement(
    connection: Connection, new: Agreement, by: Author, reason: str | None
) -> ApplyResult:
    body = canonical(new)
    async with connection.transaction():
        locked = await _lock(connection)
        versions = await connection.fetch(
            "select version, sha256, body, programme, vendor from agreement_version"
            " where agreement = $1 order by version",
            new.agreement,
        )
        if _already(f"agreement {new.agreement}", new, body, versions, agreement_of):
            return ApplyResult(new.agreement, new.version, already=True, revision=locked)
        for field in ("programme", "vendor"):
            if versions and versions[-1][field] != getattr(new, field):
                raise NotApplicable(
                    f"agreement {new.agreement} version {new.version}: {field} is "
                    f"{getattr(new, field)}, but earlier versions say {versions[-1][field]}; an "
                    "agreement keeps both for life, so give the new one another id"
                )
        await _fits(connection, new)
        known = [agreement_of(row["body"]) for row in versions]
        programmes = await _programmes(connection, new)
        await _starts_with_periods(connection, new, programmes, known)
        await _agreed_to(connection, new, programmes[-1], body)
        await connection.execute(
            "insert into agreement_version (agreement, version, programme, vendor, effective_from,"
            " effective_until, body, sha256) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            new.agreement,
            new.version,
            new.programme,
            new.vendor,
            new.effective_from,
            new.effective_until,
            body.decode(),
            hashlib.sha256(body).digest(),
        )
        moved = await move(connection)
        change = AuditedChange(
            AuditAction.AGREEMENT_APPLIED,
            str(new.version),
            programme=new.programme,
            agreement=new.agreement,
            vendor=new.vendor,
            buyer=programmes[-1].buyer,
            reason=reason,
        )
        await record(connection, by, change)
        return ApplyResult(new.agreement, new.version, already=False, revision=moved)


async def _agreed_to(
    connection: Connection, new: Programme | Agreement, ruling: Programme | None, body: bytes
) -> None:
    """Where the programme that rules asks for two, take up the agreement of the second.

    ``ruling``: None for the first version of a programme. Raises AgreementNeeded.
    """
    days = days_for(ruling, "contracts")
    if days is None or ruling is None:
        return
    agreement = new.agreement if isinstance(new, Agreement) else None
    content = body.decode()
    act = RequestedAct(
        kind=new.kind,
        party=ruling.buyer,
        days=days,
        about=str(new.version),
        content=content,
        digest=digest_of(new.kind, ruling.buyer, content),
        programme=new.programme,
        agreement=agreement,
    )
    where = f"/v1/agreements/{agreement}/versions/{new.version}" if agreement else new.programme
    await let_through(connection, act, where)


async def _lock(connection: Connection) -> int:
    return int(
        await connection.fetchval("select revision from catalogue_revision for no key update")
    )


def _already(
    what: str,
    new: VersionedDocument,
    body: bytes,
    versions: Iterable[dict[str, Any]],
    read: Callable[[str], VersionedDocument],
) -> bool:
    """Whether this very version is applied. Raises NotApplicable for another text or a gap back.

    ``read``: of a stored body. One of an earlier language has other bytes and may say the same.
    """
    newest, version = 0, new.version
    for row in versions:
        newest = max(newest, row["version"])
        if row["version"] == version:
            if row["sha256"] == hashlib.sha256(body).digest() or read(row["body"]) == new:
                return True
            raise NotApplicable(
                f"{what} version {version} is applied with another text; an applied version never "
                f"changes, so give the changed text the version {version + 1}"
            )
    if version < newest:
        raise NotApplicable(
            f"{what}: version {version} is older than version {newest}, which is applied; give it "
            f"the version {newest + 1}"
        )
    return False


def _follows(new: Programme, newest: Programme) -> None:
    """Check what no version of a programme may change."""
    what = f"programme {new.programme} version {new.version}"
    if new.effective_from < newest.effective_from:
        raise NotApplicable(
            f"{what}: effective_from {new.effective_from} lies before that of version "
            f"{newest.version} ({newest.effective_from}); choose that day or a later one"
        )
    for field in ("buyer", "time_zone"):
        if getattr(new, field) != getattr(newest, field):
            raise NotApplicable(
                f"{what}: {field} is {getattr(new, field)}, but version {newest.version} says "
                f"{getattr(newest, field)}; periods were cut by it, so start another programme"
            )
    for metric in new.metrics:
        before = newest.metric(metric.metric)
        if before is not None and before.unit != metric.unit:
            raise NotApplicable(
                f"{what}: metric {metric.metric} has the unit {metric.unit}, but facts were "
                f"reported in {before.unit}; define a new metric"
            )


async def _own_sources(connection: Connection, new: Programme) -> None:
    for declared in new.sources:
        await connection.execute(
            "insert into source_owner (source, programme, party) values ($1, $2, $3)"
            " on conflict (source) do nothing",
            declared.source,
            new.programme,
            declared.reports_for,
        )
        owner = await connection.fetchrow(
            "select programme, party from source_owner where source = $1", declared.source
        )
        if (owner["programme"], owner["party"]) != (new.programme, declared.reports_for):
            raise NotApplicable(
                f"programme {new.programme} version {new.version}: source {declared.source} "
                f"already reports for {owner['party']} in programme {owner['programme']}; "
                "a source never moves, so give the system another source"
            )


async def _number_metrics(connection: Connection, new: Programme) -> None:
    known = {
        row["metric"]
        for row in await connection.fetch(
            "select metric from metric_number where programme = $1", new.programme
        )
    }
    first = int(await connection.fetchval("select coalesce(max(number) + 1, 0) from metric_number"))
    fresh = [metric.metric for metric in new.metrics if metric.metric not in known]
    await connection.executemany(
        "insert into metric_number (number, programme, metric) values ($1, $2, $3)",
        [(first + place, new.programme, metric) for place, metric in enumerate(fresh)],
    )


async def _fits(connection: Connection, new: Agreement) -> None:
    """Check an agreement against the newest version of its programme."""
    what = f"agreement {new.agreement} version {new.version}"
    body = await connection.fetchval(
        "select body from programme_version where programme = $1 order by version desc limit 1",
        new.programme,
    )
    if body is None:
        raise NotApplicable(
            f"{what}: programme {new.programme} is not applied; apply the programme first"
        )
    programme = programme_of(body)
    vendors = [vendor.vendor for vendor in programme.vendors]
    if new.vendor not in vendors:
        raise NotApplicable(
            f"{what}: vendor {new.vendor} takes no part in programme {new.programme}; its vendors "
            f"are {', '.join(vendors)}"
        )
    for found in unfit(new, programme):
        raise NotApplicable(f"{what}: {found.reason}; {found.remedy}")


async def _caps_fit(connection: Connection, new: Programme) -> None:
    """Check that the agreements that still run fit the shared caps of a new programme version."""
    if not new.shared_caps:
        return
    rows = await connection.fetch(
        "select distinct on (agreement) agreement, body from agreement_version where programme = $1"
        " and (effective_until is null or effective_until > $2)"
        " order by agreement, version desc",
        new.programme,
        new.effective_from,
    )
    for agreement in _readable(rows):
        for found in unfit(agreement, new):
            raise NotApplicable(
                f"programme {new.programme} version {new.version}: of agreement "
                f"{agreement.agreement}: {found.reason}; {found.remedy}"
            )


async def _programmes(connection: Connection, new: Agreement) -> list[Programme]:
    rows = await connection.fetch(
        "select body from programme_version where programme = $1 order by version", new.programme
    )
    return [programme_of(row["body"]) for row in rows]


async def _starts_with_periods(
    connection: Connection,
    new: Programme | Agreement,
    programmes: Sequence[Programme],
    versions: Sequence[Agreement],
) -> None:
    """Check that no programme version starts inside a period of an agreement, where one is new.

    ``versions``: the earlier ones of a new agreement version. What is applied already stays.
    """
    if isinstance(new, Agreement):
        agreements = [*versions, new]
        what = f"agreement {new.agreement} version {new.version}"
    else:
        what = f"programme {new.programme} version {new.version}"
        rows = await connection.fetch(
            "select agreement, body from agreement_version where programme = $1", new.programme
        )
        agreements = _readable(rows)
    met = [one for one in mid_period_starts(programmes, agreements) if new in _both(one)]
    if met:
        reasons = "; ".join(one.reason for one in met)
        longest = max(met, key=lambda one: one.days[1] - one.days[0])
        raise NotApplicable(f"{what}: {reasons}; {longest.remedy}")


def _both(start: MidPeriodStart) -> tuple[Programme, Agreement]:
    return start.programme, start.agreement


async def load(connection: Connection) -> Catalogue:
    """Read the whole catalogue at one revision; what cannot be read is left out and named."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        at = await revision(connection)
        programmes = await connection.fetch(
            "select programme as name, programme, version, body from programme_version"
            " order by programme, version"
        )
        agreements = await connection.fetch(
            "select agreement as name, programme, vendor, version, body from agreement_version"
            " order by agreement, version"
        )
        metrics = await connection.fetch("select number, programme, metric from metric_number")
        sources = await connection.fetch("select source, programme, party from source_owner")
        keys = await load_keys(connection)
    numbers = {(row["programme"], row["metric"]): row["number"] for row in metrics}
    found = read_stored(programmes, agreements, numbers)
    return Catalogue(
        revision=at,
        programmes=MappingProxyType(found.programmes),
        agreements=MappingProxyType(found.agreements),
        numbers=MappingProxyType(numbers),
        metrics=MappingProxyType({number: named for named, number in numbers.items()}),
        sources=MappingProxyType(
            {
                row["source"]: SourceOwner(row["programme"], row["party"])
                for row in sources
                if row["programme"] in found.programmes
            }
        ),
        keys=MappingProxyType(keys),
        unreadable=found.unreadable,
    )


def _readable(rows: Iterable[Any]) -> list[Agreement]:
    """The agreements among rows of ``body``; those that cannot be read are parked elsewhere."""
    found = []
    for row in rows:
        try:
            found.append(agreement_of(row["body"]))
        except Exception:
            log(__name__).warning("agreement_unreadable", agreement=row["agreement"])
    return found
