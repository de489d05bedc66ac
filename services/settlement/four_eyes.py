"""Acts of the API that two have to want: what is asked for, and how it is carried out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel

from schemas.four_eyes import FourEyesRequest, RequestActor, RequestKind
from services.catalogue import four_eyes
from services.catalogue.audit import Author
from services.catalogue.four_eyes import (
    AgreementNeeded,
    RequestedAct,
    TooManyRequests,
    days_for,
    digest_of,
)
from services.settlement.access import Principal
from services.settlement.routes.common import done
from services.shell.http.idempotency import Answer
from services.shell.http.problems import Problem
from services.shell.postgres import Connection

ASKED_FOR: dict[int | str, dict[str, Any]] = {
    202: {"model": FourEyesRequest, "description": "It is asked for: another has to agree."}
}
"""For the document: what else is answered to an act that may need two."""


def noun_of(row: Any) -> FourEyesRequest:
    """A request as it is shown to its own party."""
    answered = row["answered_at"] is not None
    return FourEyesRequest(
        request_id=row["request_id"],
        kind=row["kind"],
        state=row["state"],
        party=row["party"],
        programme=row["programme"],
        agreement=row["agreement"],
        period=row["period"],
        about=row["about"],
        content=msgspec.json.decode(row["content"]),
        asked=RequestActor(
            key=row["key_prefix"],
            party=row["key_party"],
            role=row["role"],
            person=row["person"],
            at=row["asked_at"],
        ),
        expires_at=row["expires_at"],
        answered=RequestActor(
            key=row["by_key"],
            party=row["by_party"],
            role=row["by_role"],
            person=row["by_person"],
            at=row["answered_at"],
        )
        if answered
        else None,
        reason=row["reason"],
        outcome=row["outcome"],
    )


def check_one_is_enough(
    asker: Principal, kind: RequestKind, order: BaseModel, *, agreement: str, period: str | None
) -> None:
    """Raise AgreementNeeded for an order about an agreement whose programme asks for two."""
    programme = asker.catalogue.programme(asker.agreement(agreement)[-1].programme)
    days = days_for(programme, "closes")
    if programme is None or days is None:
        return
    said = order.model_dump(mode="json", exclude_none=True)
    content = msgspec.json.encode(said, order="sorted").decode()
    act = RequestedAct(
        kind=kind,
        party=programme.buyer,
        days=days,
        about=f"{agreement} {period}" if period is not None else agreement,
        content=content,
        digest=digest_of(kind, programme.buyer, content),
        programme=programme.programme,
        agreement=agreement,
        period=period,
    )
    raise AgreementNeeded(act)


def author_of(row: Any) -> Author:
    """Who asked, as the audit writes it down."""
    return Author(row["key_prefix"], row["key_party"], row["role"], row["person"])


Effect = Callable[[Connection], Awaitable[Answer]]


def or_asked_for(effect: Effect, asker: Principal) -> Effect:
    """An effect that becomes a request, answered 202, where another has to agree first."""

    async def wrapped(connection: Connection) -> Answer:
        try:
            async with connection.transaction():  # what it began is rolled back
                return await effect(connection)
        except AgreementNeeded as needed:
            return await _asked(connection, needed.act, asker)

    return wrapped


async def _asked(connection: Connection, act: RequestedAct, asker: Principal) -> Answer:
    try:
        request_id: UUID = await four_eyes.ask(connection, act, asker.author)
    except TooManyRequests as many:
        raise Problem(
            409, "too-many-requests", "There are too many open requests.", str(many)
        ) from many
    made = noun_of(await four_eyes.request(connection, request_id))
    return done(made, status=202, location=f"/v1/requests/{request_id}")
