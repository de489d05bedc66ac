"""A correction that states an outage ahead of the clock, and periods that are not over."""

from __future__ import annotations

from pathlib import Path

from tests.cases.settling import settle

CASE = "outage-in-the-future"
AHEAD = "ahead of the event's arrival by more than clocks may differ"


def test_it_is_refused_like_any_event_in_the_future(tmp_path: Path) -> None:
    done = settle(CASE, "2026-12-31", tmp_path, None, "--as-of", "2026-11-30")
    assert done.code == 1
    assert f"refused urn:customer o1: /data/started_at: the time stated here lies {AHEAD}" in (
        done.err
    )
    assert done.totals("compute") == {"2026-11": 0}, "December is not over"
    assert (
        "compute 2026-12 waits: the period is not over: its last day is 2026-12-31; settle it "
        "after that day, or try the contract with --as-of 2026-12-31"
    ) in done.err


def test_an_end_that_is_still_to_come_is_refused_too(tmp_path: Path) -> None:
    done = settle(CASE, "2026-11-30", tmp_path, None, "--as-of", "2026-12-10")
    assert f"refused urn:customer o1: /data/ended_at: the time stated here lies {AHEAD}" in done.err


def test_a_contract_is_tried_on_future_facts_as_of_a_day(tmp_path: Path) -> None:
    done = settle(CASE, "2026-12-31", tmp_path, None, "--as-of", "2026-12-31")
    assert (done.code, done.err) == (0, "")
    assert done.totals("compute") == {"2026-11": 0, "2026-12": 30000}
