"""What contracts beside other contracts come to is told in the words that were approved."""

from __future__ import annotations

import pytest

from tests.core.compared_told import PAGE, PAGES, page


@pytest.mark.parametrize("name", PAGE)
def test_what_is_compared_is_told_as_approved(name: str) -> None:
    assert page(name) == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.compared_told`, and read the difference"
    )
