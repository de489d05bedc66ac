"""docs/security.md: each test that it names is there."""

from __future__ import annotations

from re import MULTILINE, findall

import pytest

from tests.docs.pages import ROOT, names, page

ROWS = [line.strip("| ").split(" | ") for line in page("security.md").splitlines() if "::" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_holds_it_is_tried_by_a_test_that_is_there(row: list[str]) -> None:
    for name in names(row[-1]):
        module, _, test = name.partition("::")
        text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
        assert test in findall(r"^(?:async )?def (test_\w+)", text, MULTILINE)


def test_every_row_names_a_test() -> None:
    lines = [line for line in page("security.md").splitlines() if line.startswith("| ")]
    headings = [line for line in lines if line.startswith(("| tried", "| on this", "| ["))]
    assert len(lines) - len(headings) == len(ROWS)
    assert all(names(row[-1]) for row in ROWS)
