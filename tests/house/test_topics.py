"""Every declared topic is complete: its noun is there, and its examples are what it says."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from infra.topics import declared
from schemas.frame import Facts
from schemas.generate import MESSAGES
from services.cli.prepare import RELAYED
from services.shell.frames import decode

SCHEMAS = Path(__file__).parents[2] / "schemas"
TOPICS = declared()
VERSIONS = [
    pytest.param(name, version, id=f"{name}-{number}")
    for name, topic in TOPICS.items()
    for number, version in topic.versions.items()
]


def examples(version: dict[str, str]) -> list[Path]:
    return sorted((SCHEMAS / "examples" / version["examples"]).glob("*"))


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_a_topic_names_a_noun_that_exists_and_examples_that_are_there(
    name: str, version: dict[str, str]
) -> None:
    module, _, noun = version["schema"].partition(":")
    assert (getattr(import_module(module), noun).__doc__ or "").strip()
    assert examples(version), f"schemas/examples/{version['examples']} holds nothing"


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_an_example_is_a_message_of_its_topic(name: str, version: dict[str, str]) -> None:
    for path in examples(version):
        if name == "measurements":
            assert isinstance(decode(path.read_bytes()), Facts)
            continue
        event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert event["specversion"] == "1.0"
        model = MESSAGES[name][event["type"]]
        noun = model.model_validate_json(json.dumps(event["data"]))
        assert model.model_validate_json(noun.model_dump_json()) == noun


@pytest.mark.parametrize("name", sorted(set(MESSAGES)))
def test_every_type_of_a_topic_has_an_example_that_fits_the_published_document(name: str) -> None:
    shown = [
        json.loads(path.read_text(encoding="utf-8"))
        for version in TOPICS[name].versions.values()
        for path in examples(dict(version))
    ]
    assert {event["type"] for event in shown} == set(MESSAGES[name])
    document = json.loads((SCHEMAS / "asyncapi.json").read_text(encoding="utf-8"))
    for event in shown:
        payload = document["components"]["messages"][event["type"]]["payload"]
        assert set(payload["required"]) <= event.keys()
        data = payload["properties"]["data"]
        jsonschema.Draft202012Validator(data).validate(event["data"])
        assert payload["properties"]["type"] == {"const": event["type"]}


def test_what_is_relayed_is_declared_and_what_is_written_directly_is_not_relayed() -> None:
    assert set(RELAYED) == set(TOPICS) - {"measurements", "intake.{vendor}"}
