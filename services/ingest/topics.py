"""The topics that ingest reads and writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestTopics:
    """Names as declared in `schemas/topics`; `services.shell.prefix.under` adds a prefix."""

    measurements: str = "measurements"
    refused: str = "refused"
    """Written through the outbox alone: a topic of its own, so that its records are of one kind."""
    intake: str = "intake."
    """What the name of each vendor's own topic begins with; the vendor's name follows."""
