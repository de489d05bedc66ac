"""A decision that another has to agree to: refused for now, with what is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from services.catalogue.four_eyes import RequestedAct
from services.core.calendar.windows import instant
from services.core.events.facts import TYPE_OF_KIND, Row
from services.core.events.two_for_decisions import DecidedByEvent
from services.ingest.rejection import FOUR_EYES, EventRejection


def asked_for(row: Row, decided: DecidedByEvent) -> EventRejection:
    """The refusal of a decision that nobody else has agreed to yet; it is kept as a request."""
    act = RequestedAct(
        kind="decision",
        party=decided.party,
        days=decided.rule.expires_after_days,
        about=f"{decided.name}: event {row.id} of {row.source}",
        content=json.dumps(event_of(row)),
        digest=row.identity + row.payload,
        programme=decided.programme,
        agreement=decided.agreement,
        period=decided.period,
    )
    return EventRejection(
        FOUR_EYES,
        "/data",
        f"programme {decided.programme} asks for two over decisions ({decided.name}), and nobody "
        f"else of {decided.party} has agreed to this one; it is asked for",
        f"have it agreed to with another key of {decided.party} (GET /v1/requests of the "
        "settlement API, or `earnback request list` and `agree`); it is taken then",
        source=row.source,
        id=row.id,
        for_review=True,
        row=row,
        asks=act,
    )


def event_of(row: Row) -> dict[str, object]:
    """The event that a row was made of, without what does not count."""
    at: datetime = instant(row.at_us).astimezone(UTC)
    return {
        "specversion": "1.0",
        "id": row.id,
        "source": row.source,
        "type": TYPE_OF_KIND[row.kind],
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": json.loads(row.data),
    }
