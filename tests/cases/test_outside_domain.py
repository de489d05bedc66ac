"""A value outside a table's domain is waited for; the agreement beside it is settled."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle

FOLDER = "outside-domain"


def test_the_value_is_named_and_the_other_agreement_settled(tmp_path: Path) -> None:
    found = settle(FOLDER, "2025-12-31", tmp_path)
    assert "Traceback" not in found.err
    assert "cv-61 2025 waits: 110001410.4 is outside the domain from 0 to 1000000" in found.err
    assert found.totals("cv-61") == {}
    assert found.totals("v13")["2025-01"] == 0
