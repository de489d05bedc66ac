"""TMF623 violations: from the statements of a settlement, and as events that declare a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.cli.files import Contracts, read_contracts, read_events
from services.core.evaluation import programme_at
from services.core.interchange.carried import Exported, mapping, read_as_text
from services.core.interchange.tmf623 import from_violation, to_violations
from services.core.versions import version_for


def export_violations(contracts: Path, statements: list[Path]) -> tuple[str, list[str]]:
    """The violations of some statements as JSON, and what is lost on the way.

    ``statements``: files as `settle --json` and `statements --json` write them. Raises ValueError
    naming the place of one that is no statement, or whose agreement the contracts do not hold.
    """
    known = read_contracts([contracts]).in_order()
    made: list[Exported] = []
    for place, raw in read_events(statements):
        statement = _statement(place, raw)
        of = _versions(known, statement.agreement, f"{place}: agreement: ")
        agreement = next((one for one in of if one.version == statement.version), None)
        if agreement is None:
            raise ValueError(
                f"{place}: {statement.agreement} version {statement.version} is in no contract "
                "file; add the file that it was settled by"
            )
        made += to_violations(statement, agreement, _programme(known, agreement, statement.period))
    return json.dumps([one.document for one in made], indent=2) + "\n", _lost(made)


def import_violations(
    contracts: Path, files: list[Path], source: str, period: str | None
) -> tuple[str, list[str]]:
    """The violations of some files as events (NDJSON) that declare a figure, and what is lost.

    Each is read by the agreement version in force in the period that it is about. Raises
    ValueError naming the place of one that fits no agreement.
    """
    try:
        if period is not None:
            first_day(period)
    except ValueError as error:
        raise ValueError(f"--period: {error}") from None
    known = read_contracts([contracts]).in_order()
    made = [_event(known, place, raw, source, period) for place, raw in read_events(files)]
    return "".join(json.dumps(one.document) + "\n" for one in made), _lost(made)


def _event(known: Contracts, place: str, raw: bytes, source: str, period: str | None) -> Exported:
    try:
        body = _body(raw)
        versions = _versions(known, str(body["sla"]["id"]), "sla.id: ")
        event = _by(known, versions[-1], body, source, period)
        about = period or str(event.document["data"]["period"])
        ruling = version_for(versions, about)
        if ruling is None:
            raise ValueError(
                f"{versions[-1].agreement} does not cover {about}; "
                "name another period with --period"
            )
        return event if ruling is versions[-1] else _by(known, ruling, body, source, about)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


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
    known: Contracts,
    agreement: Agreement,
    violation: Mapping[str, Any],
    source: str,
    period: str | None,
) -> Exported:
    programme = _programme(known, agreement, period)
    return from_violation(violation, agreement, programme, source=source, period=period)


def _statement(place: str, raw: bytes) -> SettlementStatement:
    try:
        return SettlementStatement.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(
            f"{place}: {where}: {first['msg']}; give statements as `earnback settle --json` "
            "writes them"
        ) from None


def _versions(known: Contracts, named: str, where: str) -> Sequence[Agreement]:
    found = [one for one in known.agreements if one.agreement == named]
    if not found:
        there = ", ".join(sorted({one.agreement for one in known.agreements}))
        raise ValueError(f"{where}no agreement '{named}' in the contract files; they hold {there}")
    return sorted(found, key=lambda one: (one.effective_from, one.version))


def _programme(known: Contracts, agreement: Agreement, period: str | None) -> Programme:
    versions = [one for one in known.programmes if one.programme == agreement.programme]
    if period is None:
        return max(versions, key=lambda one: one.version)
    return programme_at(versions, period)


def _lost(made: Sequence[Exported]) -> list[str]:
    return list(dict.fromkeys(f"lost: {one.text()}" for each in made for one in each.lost))
