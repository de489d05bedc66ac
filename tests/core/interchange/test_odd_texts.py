"""Whatever stands in a document of another format, an import answers or refuses with a reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest

from services.core.contracts.interchange.carried import Imported, read_as_text, written_as_yaml
from services.core.contracts.interchange.openslo import from_openslo
from services.core.contracts.interchange.sla4oai import from_sla4oai
from services.core.contracts.interchange.tmf623 import from_sla
from tests.core.altered import variants
from tests.core.interchange.filling import sample
from tests.core.interchange.test_sla4oai import IAGREE
from tests.core.interchange.test_tmf623 import SLA

ODD: tuple[Any, ...] = ("odd", ["x"], {"x": "y"})


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (from_openslo, sample("openslo-occurrences.yaml")),
        (from_openslo, sample("openslo-timeslices.yaml")),
        (from_sla4oai, sample("sla4oai-reasoner.yml")),
        (from_sla4oai, IAGREE),
    ],
)
def test_an_odd_text_is_answered_or_refused(read: Callable[[str], Imported], text: str) -> None:
    (document,) = read_as_text(text)
    answered = 0
    # Every fourth, so that all kinds of place are met in a few seconds.
    for variant in islice(variants(document, ODD), 0, None, 4):
        with suppress(ValueError):
            assert read(written_as_yaml([variant])).must_be_stated
            answered += 1
    assert answered > 20


def test_an_odd_sla_is_answered_or_refused() -> None:
    answered = 0
    for variant in variants(SLA, ODD):
        with suppress(ValueError):
            assert from_sla(variant).must_be_stated
            answered += 1
    assert answered > 20
