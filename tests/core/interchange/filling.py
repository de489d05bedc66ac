"""Filling in what an import leaves open, as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.core.contracts.check import check
from services.core.contracts.interchange.carried import (
    EITHER_ABOVE,
    EITHER_BELOW,
    NO_WORD,
    Imported,
    written_as_yaml,
)
from services.core.contracts.reading import read_documents

DATA = Path(__file__).parent / "data"
_WORDS = {EITHER_ABOVE: "at_least", EITHER_BELOW: "at_most", NO_WORD: "at_least"}


def sample(name: str) -> str:
    """A sample of another project."""
    return (DATA / name).read_text(encoding="utf-8")


def documents(imported: Imported) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The programme and the agreements as they were written."""
    programme, *agreements = YAML(typ="safe", pure=True).load_all(imported.text)
    return programme, agreements


def filled(imported: Imported, **measures: Any) -> tuple[Programme, tuple[Agreement, ...]]:
    """The contracts once everything is stated; nothing else may be wrong with them."""
    programme, agreements = documents(imported)
    programme = _programme(programme, measures)
    for agreement in agreements:
        _agreement(agreement, programme)
    found, refusals = read_documents(written_as_yaml([programme, *agreements]), "filled.yaml")
    assert not refusals, [one.text() for one in refusals]
    (noun,) = found.programmes
    wrong = [one.text() for document in found.documents for one in check(document, noun)]
    assert not wrong, wrong
    return noun, found.agreements


def _programme(said: dict[str, Any], measures: dict[str, Any]) -> dict[str, Any]:
    stated = {
        "programme": "p", "version": 1, "effective_from": "2020-01-01", "buyer": "buyer",
        "name": "P", "time_zone": "Etc/UTC", "restated_for_days": 90,
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": "vendor", "name": "V"}], **said,
    }  # fmt: skip
    names = [metric["metric"] for metric in stated["metrics"]]
    stated["sources"] = [{"source": "urn:probe", "reports_for": stated["buyer"], "metrics": names}]
    for metric in stated["metrics"]:
        name = metric["metric"].replace("-", "_")
        ratio = {"kind": "ratio", "nothing_to_count": "no_data"}
        metric |= {"unit": "percent", "measure": ratio, **metric,
                   **measures.get(name, {})}  # fmt: skip
        if metric["measure"]["kind"] == "ratio":
            metric["measure"] = ratio
    return stated


def _agreement(said: dict[str, Any], programme: dict[str, Any]) -> None:
    calendar = ("day", "month", "quarter", "half_year", "year")
    if said.get("settled") not in calendar:
        said["settled"] = "month"
    for name in ("effective_from", "effective_until"):
        if name in said:
            said[name] = f"{str(said[name])[:7]}-01"
    for name, value in {
        "agreement": "a", "version": 1, "programme": programme["programme"], "type": "service",
        "vendor": programme["vendors"][0]["vendor"], "name": "A", "currency": "EUR",
        "effective_from": "2025-01-01", "lateness_hours": 0,
        "conventions": {"money_rounding": "half_up", "rounded_at": "total"},
    }.items():  # fmt: skip
        said.setdefault(name, value)
    for level in said["levels"]:
        if level.get("measured", "day") not in calendar:
            level["measured"] = "day"
        for open_word, word in _WORDS.items():
            if open_word in level.get("expected", {}):
                level["expected"] = {word: level["expected"][open_word]}
        for name, value in {
            "judged": "exact", "no_data": "no_result", "defaults": {"kind": "every_miss"},
        }.items():  # fmt: skip
            level.setdefault(name, value)
