"""The documents that others build against, made from the code: OpenAPI and JSON Schemas.

    python -m services.settlement.documents

A test fails where a file is not what this would write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schemas.base import Noun
from schemas.finance import (
    AMOUNT_RELEASED,
    AMOUNT_WITHHELD,
    ENTRY_BOOKED,
    STATEMENT_ADJUSTED,
    STATEMENT_POSTED,
    EntryBooked,
    StatementPosted,
    WithholdingChanged,
)
from services.settlement.api import settlement_api
from services.settlement.finance_events import SCHEMA_ROOT
from services.shell.settings import Settings

FOLDER = Path(__file__).parents[2] / "schemas"
DATA: dict[str, type[Noun]] = {
    STATEMENT_POSTED: StatementPosted,
    STATEMENT_ADJUSTED: StatementPosted,
    ENTRY_BOOKED: EntryBooked,
    AMOUNT_WITHHELD: WithholdingChanged,
    AMOUNT_RELEASED: WithholdingChanged,
}
"""Event type to the model of its data."""


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the settlement API."""
    nowhere = Settings(service="settlement", kafka="kafka:9092", postgres="postgresql:///earnback")
    return settlement_api(nowhere, evaluator=None).openapi()


def data_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of an event's data, under the name that its ``dataschema`` says."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ROOT + kind,
        **DATA[kind].model_json_schema(mode="serialization"),
    }


def documents() -> dict[str, str]:
    """Path below schemas/ to the text that belongs there."""
    found = {f"json/{kind}.schema.json": data_schema(kind) for kind in DATA}
    found["openapi/settlement.json"] = openapi()
    return {
        path: json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for path, document in found.items()
    }


def main() -> None:
    """Write all of them."""
    for path, text in documents().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
