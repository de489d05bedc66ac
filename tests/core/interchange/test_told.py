"""What is read from other formats and written in them is what was approved, to the letter."""

from __future__ import annotations

import pytest

from tests.core.interchange import read_told, written_told
from tests.core.interchange.read_told import PAGES


@pytest.mark.parametrize("name", read_told.PAGE)
def test_a_document_of_another_format_is_read_as_approved(name: str) -> None:
    assert read_told.page(name) == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.interchange.read_told`, and read the difference"
    )


@pytest.mark.parametrize("name", written_told.PAGE)
def test_a_contract_is_written_in_another_format_as_approved(name: str) -> None:
    page = written_told.PAGE[name]()
    assert page == (PAGES / f"{name}.txt").read_text(encoding="utf-8"), (
        "meant? then `python -m tests.core.interchange.written_told`, and read the difference"
    )
