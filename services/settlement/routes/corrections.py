"""Corrections of events that count for a period: both parties are told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from schemas.agreement import Agreement
from services.core.contracts.versions import version_for
from services.settlement.access import Principal, ReaderPrincipal
from services.settlement.disputed import is_of
from services.settlement.not_found import check_period
from services.settlement.proposal_store import states_of
from services.settlement.responses import CorrectionsPage, ShownCorrection
from services.settlement.routes.common import (
    Cursor,
    PageSize,
    Period,
    listed,
    parts_of,
    router,
    shown,
)

routes = router("operations")


@routes.get("/corrections/{agreement}/{period}", response_model=CorrectionsPage)
async def list_corrections(
    request: Request,
    asker: ReaderPrincipal,
    agreement: str,
    period: Period,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List the corrections of events that count for a period, in the order in which they came in.

    Before the close a correction works at once; after it one in its sender's own interest is a
    proposal: `proposed` says how it stands, `/v1/proposals` shows it.
    """
    versions = asker.agreement(agreement)
    check_period(versions, period)
    version = version_for(versions, period)
    assert version is not None, "the period was checked"
    parts = parts_of(request)
    scope = listed("corrections", agreement, period)
    query = {"agreement": agreement, "period": period, "limit": str(limit)}
    if cursor:
        (query["cursor"],) = parts.seal.keys(scope, cursor, [str])
    found = await parts.evaluator.corrections(query)
    counts = [one for one in found["items"] if _counts(asker, version, one)]
    seen = [one for one in counts if _may_read(asker, one)]
    told = asker.view(version).of_others != "nothing"
    following = found["next"]
    async with parts.reading(asker) as connection:
        names = [(one["source"], one["id"]) for one in seen]
        states = await states_of(connection, agreement, names)
    return shown(
        request,
        CorrectionsPage(
            agreement=agreement,
            period=period,
            items=tuple(_item(asker, one, states) for one in seen),
            withheld=len(counts) - len(seen) if told else 0,
            next=parts.seal.cursor(scope, following) if following else None,
        ),
    )


def _said(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the event says as it was sent, and as the correction puts it: also where that corrects
    another correction, which says something of the event in turn."""
    yield item["event"]["data"]
    data = item["data"]
    while data is not None and "corrects" in data:
        data = data.get("data")
    if data is not None:
        yield data


def _counts(asker: Principal, version: Agreement, item: Mapping[str, Any]) -> bool:
    """Whether the event counts for the agreement, as it was or as it became."""
    return any(is_of(asker, version, item["source"], said) for said in _said(item))


def _may_read(asker: Principal, item: Mapping[str, Any]) -> bool:
    return all(asker.may_read(item["source"], said) for said in _said(item))


def _item(
    asker: Principal, item: Mapping[str, Any], states: Mapping[tuple[str, str], str]
) -> ShownCorrection:
    party = asker.catalogue.sources[item["source"]].party
    proposed = states.get((item["source"], item["id"]))
    return ShownCorrection.model_validate({**item, "party": party, "proposed": proposed})
