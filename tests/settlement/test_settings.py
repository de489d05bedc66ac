"""What the settlement process is told beside the common settings."""

from __future__ import annotations

import pytest

from services.settlement.__main__ import address
from services.shell.settings import BadSettings


def test_without_an_address_the_evaluator_is_not_asked() -> None:
    assert address({}, "EARNBACK_EVALUATOR") is None


def test_an_address_of_the_evaluator_is_taken_as_it_is() -> None:
    assert address({"EARNBACK_EVALUATOR": "http://evaluator:8081"}, "EARNBACK_EVALUATOR") == (
        "http://evaluator:8081"
    )


@pytest.mark.parametrize("text", ["evaluator:8081", "ftp://evaluator", "http://"])
def test_what_is_no_address_is_refused_with_the_form_it_must_have(text: str) -> None:
    with pytest.raises(BadSettings, match="give http://host:port"):
        address({"EARNBACK_EVALUATOR": text}, "EARNBACK_EVALUATOR")
