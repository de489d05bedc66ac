"""What ingest sets aside: the bytes as they came, with the reason."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from schemas.base import Noun, Text

QUARANTINED = "earnback.event.quarantined.v1"


class Quarantined(Noun):
    """Data of a record on the topic ``quarantine`` that ingest wrote.

    ``event_source`` and ``event_id`` as far as they could be read.
    """

    party: str = Field(description="Who sent it: by key, or by topic.")
    event_source: str | None
    event_id: str | None
    problem: dict[str, Any] = Field(description="The problem document (RFC 9457).")
    raw_base64: str = Field(description="The bytes as they came.")
    headers: dict[str, Text] = Field(default_factory=dict, description="Of the Kafka record.")
