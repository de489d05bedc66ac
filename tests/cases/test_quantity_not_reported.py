"""A quantity waits where its metric has no figure, or its circumstance states no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.settling import decided, settle, upgraded

CASES = {
    "quantity-not-reported": "the metric missed has no figure of 2026-01",
    "circumstance-without-value": "the circumstance missed of 2026-01 states no value (event e2)",
}
"""Each case, and what its period waits for."""
THROUGH = "2026-01-31"
IF_ABSENT = ", if_absent: {counts_as: 0}"


@pytest.mark.parametrize("case", CASES)
def test_it_waits_where_the_term_does_not_say_what_absence_means(case: str, tmp_path: Path) -> None:
    done = settle(case, THROUGH, tmp_path, decided(upgraded(case), (IF_ABSENT, "")))
    assert (done.code, done.totals("cv-10")) == (1, {})
    assert CASES[case] in done.err


@pytest.mark.parametrize("case", CASES)
def test_the_upgrade_writes_out_loud_what_it_counted_as(case: str, tmp_path: Path) -> None:
    text = upgraded(case)
    assert IF_ABSENT in text
    assert "# decide: what is not reported or stated counts so" in text
    done = settle(case, THROUGH, tmp_path, text)
    assert (done.code, done.totals("cv-10")) == (0, {"2026-01": 0})
