"""Contracts from and to the formats of others: read, written, and what is lost said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.cli.applied import applied
from services.cli.files import read_contracts
from services.core.contracts.interchange.carried import Exported, Imported, read_as_text
from services.core.contracts.interchange.openslo import from_openslo, to_openslo
from services.core.contracts.interchange.sla4oai import from_sla4oai
from services.core.contracts.interchange.tmf623 import from_sla, to_sla

READS: dict[str, Callable[[str], Imported]] = {
    "openslo": from_openslo,
    "sla4oai": from_sla4oai,
    "tmf623": lambda text: from_sla(_one_document(text)),
}
WRITES = ("openslo", "tmf623")


def _one_document(text: str) -> Any:
    """The one JSON document of a text, its numbers as they are written."""
    found = read_as_text(text)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise ValueError("give one SLA, as a JSON object")
    return found[0]


def import_contract(form: str, path: Path) -> tuple[str, list[str]]:
    """The contract file's text, and everything that is lost or must still be stated."""
    if form not in READS:
        raise ValueError(f"format '{form}' cannot be imported; choose one of {', '.join(READS)}")
    found = READS[form](path.read_text(encoding="utf-8"))
    told = [f"lost: {loss.text()}" for loss in found.lost]
    return found.text, told + [f"must be stated: {one.text()}" for one in found.must_be_stated]


def export_contract(form: str, paths: list[Path]) -> tuple[str, list[str]]:
    """All agreements of some files in another format, and what it has no place for."""
    if form not in WRITES:
        raise ValueError(f"format '{form}' cannot be exported; choose one of {', '.join(WRITES)}")
    beside = applied()
    found = read_contracts(paths, beside.programmes, beside.agreements).in_order()
    programmes = [*beside.programmes, *found.programmes]
    exported: list[Exported] = []
    for agreement in found.agreements:
        programme = next(
            one for one in reversed(programmes) if one.programme == agreement.programme
        )
        one = (agreement, programme)
        exported += to_openslo(*one) if form == "openslo" else [to_sla(*one)]
    documents: list[Any] = [each.document for each in exported]
    losses = dict.fromkeys(f"lost: {loss.text()}" for each in exported for loss in each.lost)
    return json.dumps(documents, indent=2) + "\n", list(losses)
