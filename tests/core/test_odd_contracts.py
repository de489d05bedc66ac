"""Whatever stands in a contract, it is taken or refused with a reason in the words of contracts."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from services.core.contracts.interchange.carried import read_as_text
from services.core.contracts.reading import read_documents
from tests.core.altered import variants

CONTRACTS = Path(__file__).parent / "golden/contracts"
ODD: tuple[Any, ...] = (None, True, -1, "", "odd", [], ["x"], {}, {"x": "y"}, {"kind": "x"})
EVERY = 89
"""Every so many changes, another one in each file: all kinds of place are met in a few seconds."""


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_odd_contract_is_taken_or_refused_with_a_reason(path: Path) -> None:
    refused = 0
    for document in read_as_text(path.read_text()):
        for variant in islice(variants(document, ODD), len(path.stem) % EVERY, None, EVERY):
            text = json.dumps(variant)
            documents, refusals = read_documents(text, "c.yaml")
            assert bool(documents.documents) != bool(refusals), text
            refused += bool(refusals)
            for refusal in refusals:
                assert (refusal.line, bool(refusal.remedy)) == (1, True)
                for word in ("None", "True", "Tuple", "Input", "dictionary", "instance"):
                    assert word not in refusal.reason, (refusal.text(), text)
    assert refused
