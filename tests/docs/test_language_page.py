"""The page of the language's versions names every field that an upgrade writes, and no other."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from services.core.contracts.language import additions
from tests.docs.pages import ROOT, names, page, rows, section

WORKED = ROOT / "tests/core/language1/contracts"


def test_the_page_names_every_field_that_is_made_explicit() -> None:
    told = rows(section(page("language.md"), "## Made explicit"))
    written = {key for file in sorted(WORKED.glob("*.yaml")) for key in _added(file)}
    assert {names(row[0])[0] for row in told} == written - {"language"}


def _added(file: Path) -> set[str]:
    """The fields that the upgrade adds to the documents of a file."""
    documents = YAML(typ="safe").load_all(file.read_text(encoding="utf-8"))
    return {one.key for document in documents if document for one in additions(document)}
