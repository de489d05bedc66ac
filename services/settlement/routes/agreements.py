"""Agreements: what is in force, and applying a version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Query, Request
from fastapi.responses import Response

from schemas.agreement import Agreement
from schemas.base import Text
from schemas.statement import canonical
from services.catalogue.audit import Author
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import NotApplicable, apply
from services.core.contracts.check import findings
from services.core.contracts.language import LANGUAGE, language_of
from services.settlement import queries
from services.settlement.access import Buyer, Principal, ReaderPrincipal, not_found
from services.settlement.effective_versions import rules_from
from services.settlement.four_eyes import ASKED_FOR, or_asked_for
from services.settlement.responses import (
    AgreementApplied,
    AgreementSummary,
    Page,
    VersionSummary,
)
from services.settlement.routes.common import (
    Cursor,
    IdempotencyKey,
    IfNoneMatch,
    PageSize,
    done,
    parts_of,
    router,
    shown,
)
from services.shell.http.idempotency import Answer, once
from services.shell.http.problems import Fault, Problem
from services.shell.http.tags import tagged
from services.shell.postgres import Connection

routes = router("agreements")

AppliedBecause = Annotated[Text | None, Query(description="Why; for the audit.")]


@routes.get("/agreements", response_model=Page[AgreementSummary])
async def list_agreements(
    request: Request, asker: ReaderPrincipal, cursor: Cursor = None, limit: PageSize = 100
) -> Response:
    """List agreements by name, each with its versions."""
    (after,) = parts_of(request).seal.keys("agreements", cursor, [str]) if cursor else ("",)
    names = [name for name in asker.agreements() if name > after]
    async with parts_of(request).reading(asker) as connection:
        ruling = await _ruling(connection, names[:limit])
    items = [
        summary(asker, asker.catalogue.agreements[name], ruling).model_dump(mode="json")
        for name in names[:limit]
    ]
    following = (
        parts_of(request).seal.cursor("agreements", names[limit - 1])
        if len(names) > limit
        else None
    )
    return tagged(request, msgspec.json.encode({"items": items, "next": following}))


@routes.get("/agreements/{agreement}", response_model=AgreementSummary)
async def get_agreement(
    request: Request, asker: ReaderPrincipal, agreement: str, if_none_match: IfNoneMatch = None
) -> Response:
    """Show an agreement with its versions."""
    versions = asker.agreement(agreement)
    async with parts_of(request).reading(asker) as connection:
        ruling = await _ruling(connection, [agreement])
    return shown(request, summary(asker, versions, ruling))


@routes.get("/agreements/{agreement}/versions/{version}", response_model=Agreement)
async def get_version(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str,
    version: int,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show one version as applied, in its canonical bytes."""
    for found in asker.agreement(agreement):
        if found.version == version:
            return tagged(request, canonical(found))
    raise not_found(f"version {version} of agreement {agreement}")


async def in_todays_language(request: Request, asker: Buyer) -> None:
    """Refuse a body of an earlier contract language by that, before all that it lacks is listed.

    ``asker``: who may not apply anything is refused before.
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):  # no JSON that can be read: refused by the model
        return
    if not isinstance(body, dict) or language_of(body) == LANGUAGE:
        return
    stated = "language" in body
    reason = (
        f"{json.dumps(body['language'])} is no language of contracts that this release reads"
        if stated and body["language"] != 1
        else f"the body is in language 1 of contracts; this release reads {LANGUAGE}"
    )
    raise Problem(
        422,
        "invalid-request",
        "The request does not fit its schema.",
        faults=[
            Fault(
                "/language",
                reason,
                "save the body as a file, run earnback contract upgrade FILE, and send that",
            )
        ],
    )


@routes.post(
    "/agreements",
    response_model=AgreementApplied,
    status_code=201,
    responses=ASKED_FOR,
    dependencies=[Depends(in_todays_language)],
)
async def apply_agreement(
    request: Request,
    asker: Buyer,
    agreement: Agreement,
    reason: AppliedBecause = None,
    key: IdempotencyKey = None,
) -> Response:
    """Apply a version. It never reaches back into periods that are settled.

    Where the programme's `four_eyes` names contracts: ask for it.
    """
    programme = asker.catalogue.programme(agreement.programme)
    if programme is None or asker.buyer not in (None, programme.buyer):
        raise not_found(f"programme {agreement.programme}")
    known = asker.catalogue.agreements.get(agreement.agreement)
    if known is not None and not asker.sees(known[-1]):  # nothing is said of what it is
        raise Problem(
            409,
            "version-not-applicable",
            "This version cannot be applied.",
            f"the name {agreement.agreement} is not to be had; give the agreement another one",
        )

    async def effect(connection: Connection) -> Answer:
        _check(asker.catalogue, agreement)
        applied = await carry_out(connection, agreement, asker.author, reason)
        return done(
            applied,
            status=200 if applied.already else 201,
            location=f"/v1/agreements/{applied.agreement}/versions/{applied.version}",
        )

    wrapped = or_asked_for(effect, asker)
    return await once(parts_of(request).pool, request, asker.name, wrapped)


async def carry_out(
    connection: Connection, agreement: Agreement, by: Author, reason: str | None
) -> AgreementApplied:
    """Apply a version. Raises Problem 409 where it contradicts what is applied."""
    try:
        applied = await apply(connection, agreement, by=by, reason=reason)
    except NotApplicable as reason:
        raise Problem(
            409, "version-not-applicable", "This version cannot be applied.", str(reason)
        ) from reason
    return AgreementApplied(
        agreement=applied.name,
        version=applied.version,
        already=applied.already,
        rules_from=await rules_from(connection, agreement),
    )


def _check(catalogue: Catalogue, agreement: Agreement) -> None:
    """Raise a 422 with all that `contract check` finds; what is applied already is not looked at.

    What other versions of it stand against is told when it is applied.
    """
    applied = catalogue.agreements.get(agreement.agreement, ())
    if agreement in applied:
        return
    versions = catalogue.programmes[agreement.programme]
    begun = [one for one in versions if one.effective_from <= agreement.effective_from]
    found = findings(agreement, (begun or versions)[-1], applied)
    faults = [
        Fault("/" + "/".join(map(str, one.path)), one.reason, one.remedy)
        for one in found
        if one.path not in _TOLD_BY_APPLY
    ]
    if faults:
        raise Problem(
            422,
            "contract-not-in-order",
            "The agreement is not in order; nothing is stored.",
            "earnback contract check FILE finds the same, with line and column.",
            faults=faults,
        )


_TOLD_BY_APPLY = (("version",), ("programme",), ("vendor",))

Ruling = dict[tuple[str, int], date | None]


async def _ruling(connection: Connection, names: Sequence[str]) -> Ruling:
    rows: Sequence[Any] = await queries.rules_from(connection, names)
    return {(row["agreement"], row["version"]): row["applies_from"] for row in rows}


def summary(asker: Principal, versions: Sequence[Agreement], ruling: Ruling) -> AgreementSummary:
    """An agreement with its versions, and since when each rules."""
    newest = versions[-1]
    return AgreementSummary(
        agreement=newest.agreement,
        programme=newest.programme,
        vendor=newest.vendor,
        buyer=asker.buyer_of(newest.programme),
        name=newest.name,
        currency=newest.currency,
        versions=tuple(
            VersionSummary(
                version=version.version,
                effective_from=version.effective_from,
                effective_until=version.effective_until,
                rules_from=_rules_from(version, ruling),
            )
            for version in versions
        ),
    )


def _rules_from(version: Agreement, ruling: Ruling) -> date | None:
    key = (version.agreement, version.version)
    if key not in ruling:
        return None
    return max(version.effective_from, ruling[key] or date.min)
