"""The wording of every worked case: each step, figure, reason and right as it was approved."""

from __future__ import annotations

import pytest

from tests.core.golden.explained import PAGES, cases, page


@pytest.mark.parametrize("name", cases())
def test_a_case_is_explained_as_approved(name: str) -> None:
    assert page(name) == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.golden.explained`, and read the difference"
    )


def test_every_page_belongs_to_a_case() -> None:
    assert {path.stem for path in PAGES.glob("*.txt")} == set(cases())
