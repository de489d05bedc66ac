"""What is counted from facts is what was approved, down to the events that tell why."""

from __future__ import annotations

import pytest

from tests.core.counted_told import PAGE, PAGES, page


@pytest.mark.parametrize("name", PAGE)
def test_what_is_counted_is_as_approved(name: str) -> None:
    assert page(name) == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.counted_told`, and read the difference"
    )
