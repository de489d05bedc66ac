"""Events and a door in memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from schemas.programme import Programme
from schemas.role import Role
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest.event_validator import EventValidator
from services.ingest.rejection import EventRejection
from services.shell.clock import microseconds
from tests.catalogue.builders import PROBE, a_programme, an_agreement

NOW = datetime(2025, 6, 1, tzinfo=UTC)
NOW_US = microseconds(NOW)
TIME = "2025-01-31T12:00:00Z"


def an_event(kind: str = "sample", data: dict[str, Any] | None = None, **attributes: Any) -> Any:
    """A CloudEvent as a dict: a good sample of the network probe, with changes."""
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": PROBE,
        "type": f"earnback.{kind}.v1",
        "time": TIME,
        "data": {"metric": "net.availability", "up": True} if data is None else data,
        **attributes,
    }


def text(event: Any) -> bytes:
    """The event as JSON."""
    return json.dumps(event).encode()


def a_catalogue(programme: Programme | None = None) -> Catalogue:
    """The catalogue with the programme of the builders and its agreement."""
    programme = programme or a_programme()
    numbers = {
        (programme.programme, metric.metric): number
        for number, metric in enumerate(programme.metrics)
    }
    return Catalogue(
        revision=1,
        programmes=MappingProxyType({programme.programme: (programme,)}),
        agreements=MappingProxyType({"campus-network": (an_agreement(),)}),
        numbers=MappingProxyType(numbers),
        metrics=MappingProxyType({number: name for name, number in numbers.items()}),
        sources=MappingProxyType(
            {
                each.source: SourceOwner(programme.programme, each.reports_for)
                for each in programme.sources
            }
        ),
    )


def a_door() -> EventValidator:
    """A door under that catalogue; every source has come as far as NOW."""
    return EventValidator(a_catalogue(), lambda _: NOW_US)


def admitted(event: Any, party: str | None = None, role: Role = "vendor") -> Row | EventRejection:
    """What the door says to an event, given as a dict or as bytes."""
    raw = event if isinstance(event, bytes) else text(event)
    sender = None if party is None else Sender(party, role)
    return a_door().admit(raw, sender, NOW_US)


def at(**before_now: float) -> str:
    """A time so long before NOW."""
    return (NOW - timedelta(**before_now)).isoformat().replace("+00:00", "Z")
