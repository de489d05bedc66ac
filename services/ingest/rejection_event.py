"""The record that says what ingest set aside, with the bytes as they came."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.quarantined import QUARANTINED
from services.ingest.rejection import EventRejection

SOURCE = "/earnback/ingest"
CONTENT_TYPE = "application/cloudevents+json"


def record(
    place: str,
    party: str,
    raw: bytes | None,
    refusal: EventRejection,
    now_us: int,
    headers: Mapping[str, str],
    *,
    size: int,
) -> bytes:
    """The value of a quarantine record.

    ``place`` says where the bytes came from and makes the id, so that a repeat has the same one.
    ``raw``: None where the bytes, ``size`` of them, are too many to be repeated. ``headers``: of
    the Kafka record.
    """
    data: dict[str, Any] = {
        "party": party,
        "event_source": refusal.source,
        "event_id": refusal.id,
        "problem": refusal.document(),
        "size": size,
        "raw_base64": None if raw is None else base64.b64encode(raw).decode(),
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
    return json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
