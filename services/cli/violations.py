"""TMF623 violations: from the statements of a settlement, and as events that declare a figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.cli.files import (
    EVENTS,
    ContractFiles,
    Unreadable,
    files_of,
    read_contracts,
    read_events,
)
from services.cli.made import Made, lost_in
from services.cli.worked_out import reason_of
from services.core.contracts.interchange.carried import Exported, mapping, read_as_text
from services.core.contracts.interchange.tmf623 import from_violation, to_violations
from services.core.contracts.versions import version_for
from services.core.counting.evaluation import programme_at


def export_violations(contracts: Path, statements: list[Path]) -> Made:
    """The violations of some statements, as a JSON array.

    ``statements``: files as `settle --json` and `statements --json` write them. Refused: contracts
    that are not in order, what is no statement, or of an agreement version that is not there.
    """
    found = read_contracts([contracts])
    known = found.without_faulty()
    made, refused = _each(statements, lambda raw: _of_statement(known, raw))
    text = json.dumps([one.document for one in made], indent=2) + "\n"
    return Made(text, lost_in(made), [*found.faults(), *refused])


def import_violations(contracts: Path, files: list[Path], source: str, period: str | None) -> Made:
    """The violations of some files as events (NDJSON) that declare a figure.

    Each is read by the agreement version in force in the period that it is about. Refused:
    contracts that are not in order, and what fits no agreement. Raises ValueError where ``period``
    is none.
    """
    try:
        if period is not None:
            first_day(period)
    except ValueError as error:
        raise ValueError(f"--period: {error}") from None
    found = read_contracts([contracts])
    known = found.without_faulty()
    made, refused = _each(files, lambda raw: (_event(known, raw, source, period),))
    text = "".join(json.dumps(one.document) + "\n" for one in made)
    return Made(text, lost_in(made), [*found.faults(), *refused])


def _each(
    files: list[Path], make: Callable[[bytes], Sequence[Exported]]
) -> tuple[list[Exported], list[str]]:
    """What is made of each document, and a line with its place for each that is refused, and for
    each file that is not readable."""
    made: list[Exported] = []
    refused: list[str] = []
    for file in files_of(files, EVENTS):
        try:
            for place, raw in read_events([file]):
                try:
                    made += make(raw)
                except Exception as error:
                    refused.append(f"{place}: {reason_of(error)}")
        except Unreadable as error:
            refused.append(str(error))
    return made, refused


def _of_statement(known: ContractFiles, raw: bytes) -> Sequence[Exported]:
    statement = _statement(raw)
    of = _versions(known, statement.agreement, "agreement")
    agreement = next((one for one in of if one.version == statement.version), None)
    if agreement is None:
        raise ValueError(
            f"{statement.agreement} version {statement.version} is in no contract file; "
            "add the file that it was settled by"
        )
    return to_violations(statement, agreement, _programme(known, agreement, statement.period))


def _event(known: ContractFiles, raw: bytes, source: str, period: str | None) -> Exported:
    body = _body(raw)
    versions = _versions(known, str(body["sla"]["id"]), "sla.id")
    event = _by(known, versions[-1], body, source, period)
    about = period or str(event.document["data"]["period"])
    ruling = version_for(versions, about)
    if ruling is None:
        raise ValueError(
            f"{versions[-1].agreement} does not cover {about}; name another period with --period"
        )
    return event if ruling is versions[-1] else _by(known, ruling, body, source, about)


def _body(raw: bytes) -> Mapping[str, Any]:
    """The violation of a document, every number as it is written."""
    found = read_as_text(raw.decode("utf-8", "replace"))
    if len(found) != 1 or not isinstance(found[0], dict):
        raise ValueError("no violation; give a JSON object")
    body = mapping(found[0], "slaViolation") or found[0]
    if not mapping(body, "sla").get("id"):
        raise ValueError("sla.id is missing; name the agreement")
    return body


def _by(
    known: ContractFiles,
    agreement: Agreement,
    violation: Mapping[str, Any],
    source: str,
    period: str | None,
) -> Exported:
    programme = _programme(known, agreement, period)
    return from_violation(violation, agreement, programme, source=source, period=period)


def _statement(raw: bytes) -> SettlementStatement:
    try:
        return SettlementStatement.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(
            f"{where}: {first['msg']}; give statements as `earnback settle --json` writes them"
        ) from None


def _versions(known: ContractFiles, named: str, where: str) -> Sequence[Agreement]:
    found = [one for one in known.agreements if one.agreement == named]
    if not found:
        there = ", ".join(sorted({one.agreement for one in known.agreements})) or "none in order"
        raise ValueError(
            f"{where}: no agreement '{named}' in the contract files; they hold {there}"
        )
    return sorted(found, key=lambda one: (one.effective_from, one.version))


def _programme(known: ContractFiles, agreement: Agreement, period: str | None) -> Programme:
    versions = [one for one in known.programmes if one.programme == agreement.programme]
    if period is None:
        return max(versions, key=lambda one: one.version)
    return programme_at(versions, period)
