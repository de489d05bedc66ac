"""A benchmark whose volume is missing says nothing: the period waits for the volume."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

CASE = "volume-not-reported"
THROUGH = "2025-02-28"
IF_ABSENT = ", if_absent: nothing"


def test_it_waits_where_the_term_does_not_say_what_absence_means(tmp_path: Path) -> None:
    done = settle(CASE, THROUGH, tmp_path, decided(upgraded(CASE), (IF_ABSENT, "")))
    assert (done.code, done.totals("v30")) == (1, {})
    assert "the metric miles has no figure of 2025-02" in done.err


def test_the_upgrade_writes_out_loud_what_it_counted_as(tmp_path: Path) -> None:
    text = upgraded(CASE)
    assert IF_ABSENT in text
    assert "# decide: what is not reported or stated counts so" in text
    done = settle(CASE, THROUGH, tmp_path, text)
    assert (done.code, done.totals("v30")) == (0, {"2025-01": 0, "2025-02": 0})
