"""Each rule at its corners, in amounts and in words, as approved."""

from __future__ import annotations

import pytest

from tests.core.rules_told import PAGES, STORIES, page


@pytest.mark.parametrize("name", STORIES)
def test_a_rule_is_told_as_approved(name: str) -> None:
    assert page(name) == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.rules_told`, and read the difference"
    )


def test_every_page_belongs_to_a_rule() -> None:
    assert {path.stem for path in PAGES.glob("*.txt")} == set(STORIES)
