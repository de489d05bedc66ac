"""docs/glossary.md: every name in the column of code is one in the code."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.docs.pages import names, page

LINES = [line for line in page("glossary.md").splitlines() if line.startswith("| ")]
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in LINES]
TERMS = [row for row in ROWS if row[0] != "word" and len(row) >= 3]
NAMES = [name for row in TERMS for name in names(row[2])]


def found(name: str) -> Any:
    """What a dotted name leads to: a module, or something in it; a field of a model too."""
    parts = name.split(".") if name.startswith("services.") else ["schemas", *name.split(".")]
    for length in range(len(parts), 0, -1):
        try:
            here: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            here = getattr(here, "model_fields", {}).get(part) or getattr(here, part)
        return here
    raise AssertionError(f"{name} is in no module")


@pytest.mark.parametrize("name", NAMES)
def test_a_code_name_of_the_glossary_exists(name: str) -> None:
    assert found(name) is not None


def test_every_word_has_a_code_name_and_stands_once() -> None:
    assert len(TERMS) == len(LINES) - 6  # a heading a table
    assert not [row[0] for row in TERMS if not names(row[2])]
    words = [word for row in TERMS for word in row[0].split(", ")]
    assert len(set(words)) == len(words)
