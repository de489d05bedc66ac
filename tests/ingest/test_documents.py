"""What senders build against: schemas, examples, the documents; all of it current."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from schemas.event import EVENT_TYPES
from schemas.generate import ACCEPTED, MESSAGES, data_schema, event_schema
from services.core.events.facts import Row, columns
from services.ingest.documents import FOLDER, documents, topics
from services.shell.frames import decode
from tests.ingest.builders import NOW_US, a_door
from tests.ingest.test_event_validator import GOOD
from tests.ingest.test_frames import rows_of

INTAKE = sorted((FOLDER / "examples/intake/v1").glob("*.json"))


def _validator() -> Any:
    resources = [Resource.from_contents(data_schema(kind)) for kind in ACCEPTED]
    registry = Registry().with_resources([(each.id() or "", each) for each in resources])
    return jsonschema.Draft202012Validator(event_schema(), registry=registry)


def test_every_published_document_is_what_the_code_says() -> None:
    said = documents()
    differing = [path for path in said if (FOLDER / path).read_text(encoding="utf-8") != said[path]]
    assert differing == [], "run python -m services.ingest.documents"


@pytest.mark.parametrize("path", INTAKE, ids=lambda path: path.stem)
def test_an_example_fits_its_schema_and_is_let_in(path: Path) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))
    _validator().validate(event)
    assert isinstance(a_door().admit(path.read_bytes(), None, NOW_US), Row)


def test_every_type_of_event_has_an_example() -> None:
    shown = {json.loads(path.read_text(encoding="utf-8"))["type"] for path in INTAKE}
    assert shown == set(EVENT_TYPES)


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_an_example_read_by_its_model_and_written_back_is_the_same_fact(kind: str) -> None:
    for path in INTAKE:
        event = json.loads(path.read_text(encoding="utf-8"))
        if event["type"] == kind:
            model = EVENT_TYPES[kind]
            noun = model.model_validate(event["data"])
            assert model.model_validate_json(noun.model_dump_json()) == noun


def test_the_schema_refuses_what_is_no_event() -> None:
    good = json.loads(INTAKE[0].read_text(encoding="utf-8"))
    for change in ({"data": {}}, {"type": "x"}, {"specversion": "0.3"}, {"id": "a b"}):
        with pytest.raises(jsonschema.ValidationError):
            _validator().validate({**good, **change})


def test_the_good_events_of_the_door_fit_the_schema_too() -> None:
    for kind, data, source in GOOD:
        _validator().validate(
            {"specversion": "1.0", "id": "e", "source": source, "type": f"earnback.{kind}.v1",
             "time": "2025-01-31T12:00:00Z", "data": data}
        )  # fmt: skip


def test_the_example_frame_holds_the_example_events() -> None:
    facts = decode((FOLDER / "examples/measurements/v2/facts.arrow").read_bytes())
    rows = {row.id: row for row in rows_of(facts)}
    for path in INTAKE:
        row = a_door().admit(path.read_bytes(), None, NOW_US)
        assert isinstance(row, Row)
        assert rows.pop(row.id) == row
    assert not rows
    assert rows_of(columns(rows_of(facts))) == rows_of(facts)


def test_the_example_frame_of_version_1_is_still_read() -> None:
    newer, older = (
        decode((FOLDER / f"examples/measurements/{version}/facts.arrow").read_bytes())
        for version in ("v2", "v1")
    )
    assert list(older.ids) == list(newer.ids)
    assert list(older.sources) == list(newer.sources)
    assert older.id_low.tolist() == newer.id_low.tolist()
    assert not older.payload_low.any()
    assert newer.payload_low.all()


def test_the_example_of_what_was_refused_fits_its_schema() -> None:
    path = FOLDER / "examples/refused/v1/malformed.json"
    event = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(event["data"], data_schema(event["type"]))


def test_the_asyncapi_document_has_every_topic_and_its_references_lead_somewhere() -> None:
    document = json.loads((FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == set(topics()) == {*MESSAGES, "measurements"}
    for reference in _references(document):
        if reference.startswith("#/") and not reference.startswith("#/$defs"):
            found: Any = document
            for part in reference[2:].split("/"):
                found = found[part]
            assert found
    used = {op["channel"]["$ref"].rpartition("/")[2] for op in document["operations"].values()}
    assert used == set(document["channels"])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_the_openapi_document_describes_the_door() -> None:
    document = json.loads((FOLDER / "openapi/ingest.json").read_text(encoding="utf-8"))
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/v1/events"]["post"]
    assert {"202", "207", "401", "409", "413", "415", "422", "503"} <= set(operation["responses"])
    assert operation["security"] == [{"apiKey": []}]
    assert "apiKey" in document["components"]["securitySchemes"]
    assert "Idempotency-Key" in operation["description"]
