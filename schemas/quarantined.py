"""What is set aside: by ingest the bytes received, by the evaluator the fact; with the reason."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schemas.base import Noun, Text

QUARANTINED = "earnback.event.quarantined.v1"
FACT_QUARANTINED = "earnback.fact.quarantined.v1"


class Quarantined(Noun):
    """Data of a record on the topic ``refused``, where ingest sets aside.

    ``event_source`` and ``event_id`` as far as they could be read.
    """

    party: str = Field(description="Who sent it: by key, or by topic.")
    event_source: str | None
    event_id: str | None
    problem: dict[str, Any] = Field(description="The problem document (RFC 9457).")
    size: int = Field(ge=0, description="How many bytes came.")
    raw_base64: str | None = Field(
        description="The bytes as they came. Null where they are long: the settlement API has them."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Of the Kafka record.")


class FactQuarantined(Noun):
    """Data of a record on the topic ``quarantine``: a fact that was not counted, told once.

    ``told``: what came. ``held``: in a conflict, what was accepted under its identity and stands.
    """

    reason: Literal[
        "conflict", "beyond_horizon", "unreadable", "refused_correction", "too_many_subjects"
    ]
    problem: Text
    event_source: str
    event_id: str
    told: dict[str, Any] | None
    held: dict[str, Any] | None
