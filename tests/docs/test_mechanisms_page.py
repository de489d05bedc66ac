"""docs/terms/mechanisms.md: no mechanism is left out, and what it names as a test is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.core.golden.test_golden import CASES
from tests.docs.pages import page

CORE = Path(__file__).parents[1] / "core"
LINES = [line for line in page("terms/mechanisms.md").splitlines() if line.startswith("| ")]
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in LINES[1:]]
NUMBERS = [number for row in ROWS for number in re.findall(r"A-\d+[a-z]?", row[0])]
NAMED = sorted({name for row in ROWS for name in re.findall(r"\b[EG]\d\d[a-z]?\b", row[3])})
MODULES = sorted({name for row in ROWS for name in re.findall(r"`(test_\w+\.py)`", row[3])})


def test_every_number_has_its_row() -> None:
    wanted = [*range(1, 34), *range(40, 57)]
    assert sorted({int(re.findall(r"\d+", number)[0]) for number in NUMBERS}) == wanted
    letters = {"A-11b", "A-11c", "A-11d", "A-11e", "A-11f", "A-14b", "A-17b", "A-19b", "A-19c",
               "A-19d", "A-54b"}  # fmt: skip
    assert {number for number in NUMBERS if number[-1].isalpha()} == letters


def test_every_row_names_a_term_and_a_test() -> None:
    assert all(len(row) == 4 and row[1] and row[2] for row in ROWS)
    assert [row[0] for row in ROWS if row[3] == "–"] == ["A-19d"], "what is no rule"


@pytest.mark.parametrize("name", NAMED)
def test_a_worked_case_that_is_named_is_run(name: str) -> None:
    assert any(case.startswith(name) for case in CASES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_is_named_has_tests(name: str) -> None:
    (module,) = CORE.rglob(name)
    assert "\ndef test_" in module.read_text(encoding="utf-8")
