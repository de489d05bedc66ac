"""Contracts from and to the formats of others: read, written, and what is lost said."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.cli.applied import applied
from services.cli.files import read_contracts, text_of
from services.cli.made import Made, lost_in
from services.cli.worked_out import reason_of
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
    found = READS[form](text_of(path))
    told = [f"lost: {loss.text()}" for loss in found.lost]
    return found.text, told + [f"must be stated: {one.text()}" for one in found.must_be_stated]


def export_contract(form: str, paths: list[Path]) -> Made:
    """All agreements of some files in another format, and what it has no place for.

    Refused: documents that are not in order, and agreements that cannot be written so. Raises
    ValueError for a format that is not known.
    """
    if form not in WRITES:
        raise ValueError(f"format '{form}' cannot be exported; choose one of {', '.join(WRITES)}")
    beside = applied()
    found = read_contracts(paths, beside.programmes, beside.agreements)
    sound, refused = found.without_faulty(), found.faults()
    programmes = [*beside.programmes, *sound.programmes]
    exported: list[Exported] = []
    for agreement in sound.agreements:
        try:
            exported += _written(form, agreement, programmes)
        except Exception as error:
            refused.append(f"{agreement.agreement}: {reason_of(error)}")
    documents: list[Any] = [each.document for each in exported]
    return Made(json.dumps(documents, indent=2) + "\n", lost_in(exported), refused)


def _written(
    form: str, agreement: Agreement, programmes: Sequence[Programme]
) -> Sequence[Exported]:
    programme = next(one for one in reversed(programmes) if one.programme == agreement.programme)
    if form == "openslo":
        return to_openslo(agreement, programme)
    return [to_sla(agreement, programme)]
