"""The JSON Schema of contract files: current, and of one mind with the reading of files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from services.cli import templates
from services.cli.contract_schema import FILE, text
from services.core.contracts.reading import read_documents
from tests.core.told import HEAD, LEVEL

GOLDEN = sorted((Path(__file__).parents[1] / "core/golden/contracts").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(YAML(typ="safe").load(text()))


def as_editors_read(contract: str) -> list[Any]:
    """The documents of a YAML text as an editor's language server sees them."""
    return [_plain(one) for one in YAML(typ="safe").load_all(contract) if one is not None]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def faults(contract: str) -> list[str]:
    """What the schema has against a text."""
    return [
        f"{error.json_path}: {error.message}"[:300]
        for document in as_editors_read(contract)
        for error in VALIDATOR.iter_errors(document)
    ]


def test_the_published_schema_is_what_the_code_says() -> None:
    remedy = "run python -m services.cli.contract_schema"
    assert FILE.read_text(encoding="utf-8") == text(), remedy


def test_the_schema_is_itself_one() -> None:
    jsonschema.Draft202012Validator.check_schema(YAML(typ="safe").load(text()))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_contract_of_the_worked_cases_fits(path: Path) -> None:
    contract = path.read_text(encoding="utf-8")
    _, refusals = read_documents(contract, path.name)
    assert bool(faults(contract)) <= bool(refusals), faults(contract)


@pytest.mark.parametrize("name", templates.names())
def test_a_template_fits(name: str) -> None:
    assert faults(templates.text(name)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 0"),
        ("currency: EUR", "currency: euro"),
        ("settled: month", "settled: weeks"),
        ("settled: month", "settled: month_from_one"),
        ("settled: month", "settles: month"),
        ("kind: every_miss", "kind: every_mis"),
        ("expected: {at_least: 99}", "expected: {at_least: 99, above: 99}"),
        ("expected: {at_least: 99}", "expected: {}"),
        ("percent: 10", "percents: 10"),
        ("judged: exact", "judged: exactly"),
        ("kind: agreement", "kind: agrement"),
        ("effective_from: 2025-01-01\n", ""),
    ],
)
def test_what_reading_refuses_for_its_shape_the_schema_refuses_too(old: str, new: str) -> None:
    good = HEAD + LEVEL
    assert faults(good) == []
    assert faults(good.replace(old, new))
    assert read_documents(good.replace(old, new), "contract.yaml")[1]
