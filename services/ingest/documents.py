"""The documents that senders build against, made from the code.

    python -m services.ingest.documents [--check]

JSON Schemas of the events, the AsyncAPI document of all topics, and ingest's OpenAPI document.
With ``--check`` nothing is written; what is not current is named, and the exit code is 1.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.generate import ACCEPTED, asyncapi, data_schema, event_schema
from services.catalogue.audit import Author
from services.catalogue.cached import CatalogueCopy
from services.core.events.facts import Row
from services.ingest.admission import Admission
from services.ingest.agreed_log import AgreedLog
from services.ingest.api import VERSION, lifespan_of, make_ingest_api
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.party_rate import EventRate
from services.ingest.publisher import Publisher
from services.ingest.rejection_store import KeptRecords, RejectedRecord
from services.ingest.subject_quota import SubjectQuota
from services.ingest.topics import IngestTopics
from services.shell.settings import Settings

FOLDER = Path(__file__).parents[2] / "schemas"


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the HTTP API."""
    nowhere = Settings(service="ingest", kafka="kafka:9092", postgres="postgresql:///earnback")
    catalogue, publisher = (
        CatalogueCopy(),
        Publisher(nowhere.kafka, name="ingest", topic=IngestTopics().measurements),
    )
    return make_ingest_api(
        nowhere,
        lifespan=lifespan_of(),
        catalogue=catalogue,
        publisher=publisher,
        admission=Admission(
            catalogue,
            publisher,
            _nowhere,
            {},
            _nothing,
            AgreedLog(),
            SubjectQuota(0),
            _nobody,
            LazyLoops(),
        ),
        events=EventRate(0),
    ).openapi()


async def _nowhere(_: Sequence[RejectedRecord]) -> KeptRecords:
    """Keeps nothing: no request is ever made of this API."""
    return KeptRecords()


async def _nothing(_: Sequence[Row]) -> frozenset[bytes]:
    """Knows nothing, for the same reason."""
    return frozenset()


async def _nobody(_: Sequence[Row], __: Author) -> None:
    """Writes down nobody, for the same reason."""


def topics() -> dict[str, dict[str, Any]]:
    """The declared topics, by name."""
    declared = [tomllib.loads(path.read_text()) for path in (FOLDER / "topics").glob("*.toml")]
    return {topic["name"]: topic for topic in declared}


def documents() -> dict[str, str]:
    """Path below schemas/ to the text that belongs there."""
    found = {f"json/{kind}.schema.json": data_schema(kind) for kind in ACCEPTED}
    found["json/event.schema.json"] = event_schema()
    found["openapi/ingest.json"] = openapi()
    found["asyncapi.json"] = asyncapi(topics(), VERSION)
    return {
        path: json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for path, document in found.items()
    }


def stale() -> list[str]:
    """Paths below schemas/ whose text is not what the code says."""
    return [
        path
        for path, text in documents().items()
        if not (FOLDER / path).exists() or (FOLDER / path).read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write all of them, or only check."""
    if "--check" in sys.argv[1:]:
        found = stale()
        print("\n".join(f"schemas/{path} is not current" for path in found) or "all are current")
        sys.exit(bool(found))
    for path, text in documents().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
