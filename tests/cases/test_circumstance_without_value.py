"""A quantity from a circumstance that states no value waits for the value."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

CASE = "circumstance-without-value"
THROUGH = "2026-01-31"
IF_ABSENT = ", if_absent: {counts_as: 0}"


def test_it_waits_where_the_term_does_not_say_what_absence_means(tmp_path: Path) -> None:
    done = settle(CASE, THROUGH, tmp_path, decided(upgraded(CASE), (IF_ABSENT, "")))
    assert (done.code, done.totals("cv-10")) == (1, {})
    assert "the circumstance missed of 2026-01 states no value (event e2)" in done.err


def test_the_upgrade_writes_out_loud_what_it_counted_as(tmp_path: Path) -> None:
    text = upgraded(CASE)
    assert IF_ABSENT in text
    assert "# decide: what is not reported or stated counts so" in text
    done = settle(CASE, THROUGH, tmp_path, text)
    assert (done.code, done.totals("cv-10")) == (0, {"2026-01": 0})
