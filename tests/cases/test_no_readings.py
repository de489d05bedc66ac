"""A range of temperatures without any reading: the period waits for the readings."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import decided, settle, upgraded

CASE = "no-readings"
THROUGH = "2018-07-31"
IF_ABSENT = ", if_absent: nothing"


def test_it_waits_where_the_term_does_not_say_what_absence_means(tmp_path: Path) -> None:
    done = settle(CASE, THROUGH, tmp_path, decided(upgraded(CASE), (IF_ABSENT, "")))
    assert (done.code, done.totals("cv-45")) == (1, {})
    assert "the metric highest-temperature has no figure of 2018-07" in done.err


def test_the_upgrade_writes_out_loud_what_it_counted_as(tmp_path: Path) -> None:
    text = upgraded(CASE)
    assert IF_ABSENT in text
    assert "# decide: what is not reported or stated counts so" in text
    done = settle(CASE, THROUGH, tmp_path, text)
    assert (done.code, done.totals("cv-45")) == (0, {"2018-07": -450000})
