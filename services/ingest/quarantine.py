"""The record that says what was set aside at the door, with the bytes as they came."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.quarantined import QUARANTINED
from services.ingest.refusal import Refusal

TOPIC = "refused"
"""The doors' own: on topics of the outbox only its relay may write, or no relay can go on."""
SOURCE = "/earnback/ingest"
HEADERS = [("content-type", b"application/cloudevents+json")]


def record(
    place: str,
    party: str,
    raw: bytes,
    refusal: Refusal,
    now_us: int,
    headers: Mapping[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """Key and value of a quarantine record.

    ``place`` says where the bytes came from and makes the id, so that a repeat has the same one:
    topic, partition and offset, or an identity and payload. ``headers``: of a Kafka record.
    """
    data: dict[str, Any] = {
        "party": party,
        "event_source": refusal.source,
        "event_id": refusal.id,
        "problem": refusal.document(),
        "raw_base64": base64.b64encode(raw).decode(),
    }
    if headers:
        data["headers"] = dict(headers)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us)
    event = {
        "specversion": "1.0",
        "id": place,
        "source": SOURCE,
        "type": QUARANTINED,
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return (refusal.source or party).encode(), msgspec.json.encode(event, order="sorted")
