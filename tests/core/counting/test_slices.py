"""Downtime in whole slices of the clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.evaluation import MetricFigure
from schemas.programme import Metric
from schemas.slices import Slices
from services.core.contracts.attribution_check import broken_attributions
from services.core.counting.measures.slices import bad_slices
from tests.core.counting.test_business_hours import HOURS, down
from tests.core.counting.test_exclusions import BAD, WINDOW, app, counted
from tests.core.counting.test_observed import OUTAGES, measured
from tests.core.said import agreement

MINUTE = 60_000_000
OUT = app(("10:02:00", "10:17:00"), ("12:03:00", "12:14:00"))


def cut(events: list[Any], period: str = "2025-01-10", **slices: Any) -> MetricFigure:
    of = measured(
        "without-outage", **OUTAGES["without-outage"], silence="up", incomplete="wait",
        slices={"minutes": 5, "bad_at_percent": 100, "in_a_row": 1} | slices,
    )  # fmt: skip
    return counted(of, "without-outage", events, period)


@pytest.mark.parametrize(
    ("slices", "minutes"),
    [
        ({}, 15),
        ({"in_a_row": 2}, 10),
        ({"in_a_row": 3}, 0),
        ({"bad_at_percent": 80}, 20),
        ({"bad_at_percent": 50}, 25),
        ({"bad_at_percent": 40, "in_a_row": 4}, 20),
        ({"minutes": 15, "bad_at_percent": 50}, 30),
    ],
)
def test_a_slice_is_down_as_a_whole_or_not_at_all(slices: dict[str, int], minutes: int) -> None:
    found = cut(OUT, **slices)
    assert found.total - found.good == minutes * 60
    assert found.bad_slices == minutes / slices.get("minutes", 5)


def test_a_run_over_midnight_counts_in_both_days() -> None:
    events = down("without-outage", "2025-01-09T22:54:00Z", "2025-01-09T23:06:00Z")
    days = [cut(events, day, in_a_row=2) for day in ("2025-01-09", "2025-01-10")]
    assert [one.bad_slices for one in days] == [1, 1], "23:55 to 00:00, and 00:00 to 00:05"
    assert [cut(events, one.period, in_a_row=3).bad_slices for one in days] == [0, 0]
    lasting = [cut(events[:1], one.period, in_a_row=2).bad_slices for one in days]
    assert lasting == [1, 288]


@pytest.mark.parametrize(
    "other",
    [
        {"business_hours": HOURS, "nothing_to_count": "no_data"},
        {"exclusions": [WINDOW | BAD]},
        {"heartbeat": {"metric": "samples", "unknown_after_minutes": 9, "unknown_time": "no_data"}},
    ],
)
def test_what_a_slice_is_that_counts_in_part_is_open_and_refused(other: dict[str, Any]) -> None:
    slices = {"minutes": 5, "bad_at_percent": 100, "in_a_row": 1}
    measure = OUTAGES["without-outage"] | {"silence": "up", "incomplete": "wait"}
    known = {"metric": "m", "name": "M", "unit": "percent", "better": "higher"}
    with pytest.raises(ValidationError, match="leave slices or the other one out"):
        Metric.model_validate({**known, "measure": measure | other | {"slices": slices}})


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40)), max_size=4),
    st.integers(1, 100), st.integers(1, 4), st.integers(0, 40).map(lambda n: n * 5),
)  # fmt: skip
def test_cutting_a_window_in_two_changes_nothing(
    told: list[tuple[int, int]], percent: int, in_a_row: int, middle: int
) -> None:
    term = Slices(minutes=5, bad_at_percent=percent, in_a_row=in_a_row)
    out = {minute for at, lasts in told for minute in range(at, at + lasts)}
    spans = [(minute * MINUTE, (minute + 1) * MINUTE) for minute in sorted(out)]
    windows = [(0, middle), (middle, 240), (0, 240)]
    first, second, whole = (
        sum(end - start for start, end in bad_slices(spans, (a * MINUTE, b * MINUTE), term))
        for a, b in windows
    )
    assert first + second == whole
    bad = [
        100 * len(out & set(range(slice_, slice_ + 5))) >= percent * 5
        for slice_ in range(-40, 280, 5)
    ]
    runs = "".join("x" if one else "." for one in bad).split(".")
    expected = sum(len(run) for run in runs if len(run) >= in_a_row)
    if not any(minute >= 240 for minute in out):
        assert whole == expected * 5 * MINUTE


@pytest.mark.parametrize("sliced", [True, False])
def test_slices_are_attributed_to_nobody(sliced: bool) -> None:
    slices = {"slices": {"minutes": 5, "bad_at_percent": 100, "in_a_row": 1}} if sliced else {}
    of = measured(
        "without-outage", **OUTAGES["without-outage"], silence="up", incomplete="wait", **slices
    )
    shares = [{"attributed_to": "north", "percent": 100}]
    attributed = {"circumstance": "cause", "shares": shares, "unattributed": "wait"}
    stated = agreement([{"metric": "without-outage", "attributed": attributed}])
    found = [one.reason for one in broken_attributions(stated, of)]
    assert found == (
        ["without-outage counts slices of the clock, and a slice is nobody's occurrence"]
        if sliced
        else []
    )
