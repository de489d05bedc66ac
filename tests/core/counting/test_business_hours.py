"""Business hours of what is measured over time: only what lies in them counts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.business_hours import BusinessHours
from schemas.evaluation import MetricFigure
from schemas.programme import Programme
from services.core.calendar.intervals import length
from services.core.calendar.windows import business_us, instant, microseconds, open_spans
from services.core.counting.evaluation import evaluate
from tests.core.counting.test_observed import OUTAGES, beat, measured, outage
from tests.core.said import NUMBERS, Said, agreement, facts, moment

DAYS = ["mon", "tue", "wed", "thu", "fri"]
HOURS: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "hours": [{"days": DAYS, "opens": "08:00", "closes": "18:00"}],
    "holidays": ["2025-01-01"],
}
IN_HOURS = 22 * 10 * 3600
"""Seconds of January."""
SHARES = ("without-outage", "samples", "status")


def in_hours(metric: str, hours: dict[str, Any] | None = None, **measure: Any) -> Programme:
    own: dict[str, Any] = {
        "samples": {"kind": "availability_by_samples"},
        "status": {"kind": "availability_by_status", "before_first": "up"},
    }.get(metric) or {**OUTAGES[metric], "silence": "up", "incomplete": "wait"}
    stated = {"nothing_to_count": "no_result"} if metric in SHARES else {}
    return measured(metric, **own, **({"business_hours": hours or HOURS} | stated | measure))


def figure(of: Programme, metric: str, events: list[Said], **level: Any) -> MetricFigure:
    """The metric's figure of January, or of the day that the level measures."""
    levels = [{"metric": metric, **level}]
    found = evaluate([of], [agreement(levels)], "2025-01", facts(events), NUMBERS, 1, "closed")
    return next(one for one in found.figures if one.metric == metric)


def of_metric(one: Said, metric: str) -> Said:
    return one._replace(data={**one.data, "metric": metric})


def down(metric: str, since: str, until: str, name: str = "o") -> list[Said]:
    return [outage(name, "open", since, metric), outage(name, "close", until, metric)]


NIGHT = ("2025-01-10T03:00:00Z", "2025-01-10T03:40:00Z")
MORNING = ("2025-01-10T06:30:00Z", "2025-01-10T07:10:00Z")
"""07:30 to 08:10 in Berlin: ten minutes of it lie in the hours."""


@pytest.mark.parametrize(
    ("metric", "night", "morning"),
    [
        ("without-outage", 100, 100 * Fraction(IN_HOURS - 600, IN_HOURS)),
        ("merged", 0, 10),
        ("outages", 0, 1),
    ],
)
def test_an_outage_counts_as_far_as_it_lies_in_the_hours(
    metric: str, night: int, morning: Fraction
) -> None:
    of = in_hours(metric)
    at_night = figure(of, metric, down(metric, *NIGHT))
    assert (at_night.value, at_night.parts, at_night.counted_seconds) == (night, (), IN_HOURS)
    found = figure(of, metric, [*down(metric, *MORNING), *down(metric, *NIGHT, name="n")])
    assert found.value == morning
    (part,) = found.parts
    assert part.amount == 10
    assert [(str(one.start), str(one.end)) for one in part.pieces] == [
        ("2025-01-10 07:00:00+00:00", "2025-01-10 07:10:00+00:00")
    ]


def test_a_weekend_and_a_holiday_count_nothing() -> None:
    of = in_hours("merged")
    over_weekend = down("merged", "2025-01-10T16:30:00Z", "2025-01-13T07:30:00Z")
    new_year = down("merged", "2024-12-31T23:00:00Z", "2025-01-01T23:00:00Z", name="ny")
    assert figure(of, "merged", [*over_weekend, *new_year]).value == 60


def test_what_counts_as_a_whole_counts_by_the_hours_beyond_the_window_too() -> None:
    events = down("merged", "2025-01-31T16:30:00Z", "2025-02-03T07:30:00Z")
    begins = figure(in_hours("merged", across_periods="begins"), "merged", events)
    assert begins.value == 60
    (part,) = begins.parts
    assert part.whole is not None
    assert (part.whole.amount, part.whole.before, part.whole.so_far) == (60, 0, 30)
    assert figure(in_hours("merged", across_periods="split"), "merged", events).value == 30


def test_probes_and_states_outside_of_the_hours_do_not_count() -> None:
    events = [
        beat("2025-01-10T06:59:59Z", up=False),
        beat("2025-01-10T07:00:00Z"),
        beat("2025-01-10T16:59:59Z", up=False),
        beat("2025-01-10T17:00:00Z", up=False),
        beat("2025-01-11T12:00:00Z", up=False),
    ]
    found = figure(in_hours("samples"), "samples", events)
    assert (found.good, found.total, found.value) == (1, 2, 50)
    states = [of_metric(one, "status") for one in events[:2]]
    assert figure(in_hours("status"), "status", states).value == 100
    lasting = figure(in_hours("status"), "status", states[:1])
    assert (lasting.good, lasting.total) == (6 * 36_000, IN_HOURS), "up on six working days"


@pytest.mark.parametrize("metric", SHARES)
@pytest.mark.parametrize(
    ("nothing", "value"), [("no_data", None), ("no_result", None), ({"counts_as": 100}, 100)]
)
def test_a_window_without_hours_has_nothing_to_count(
    metric: str, nothing: Any, value: int | None
) -> None:
    of = in_hours(metric, {**HOURS, "hours": [{**HOURS["hours"][0], "days": ["wed"]}],
                           "holidays": [f"2025-01-{day:02}" for day in range(1, 32)]},
                  nothing_to_count=nothing)  # fmt: skip
    found = figure(of, metric, [])
    assert (found.value, found.counted_seconds) == (value, 0)
    assert found.nothing_to_count == ("counts_as" if isinstance(nothing, dict) else nothing)


@pytest.mark.parametrize("metric", SHARES)
def test_what_a_window_without_hours_is_must_be_stated_and_only_beside_hours(metric: str) -> None:
    with pytest.raises(ValidationError, match="no time counts; state nothing_to_count"):
        in_hours(metric, nothing_to_count=None)
    with pytest.raises(ValidationError, match="leave it out, or state business_hours"):
        in_hours(metric, business_hours=None)


def test_unknown_time_is_unknown_in_the_hours_alone() -> None:
    heartbeat = {"metric": "samples", "unknown_after_minutes": 60, "unknown_time": "left_out"}
    of = in_hours("without-outage", heartbeat=heartbeat)
    # Known from 07:30 to 08:30 in Berlin: half an hour of it counts.
    found = figure(of, "without-outage", [beat("2025-01-10T06:30:00Z")])
    assert (found.total, found.unknown_seconds) == (1800, IN_HOURS - 1800)
    assert figure(of, "without-outage", []).value is None


def test_what_states_no_hours_is_written_as_before() -> None:
    plain = measured("merged", **OUTAGES["merged"], silence="up", incomplete="wait")
    written = plain.model_dump_json()
    assert "business_hours" not in written.replace("everyones", "").split('"merged"')[1][:300]
    found = figure(plain, "merged", down("merged", *NIGHT)).model_dump(mode="json")
    assert "counted_seconds" not in found
    assert "pieces" not in found["parts"][0]


STRETCHES = st.lists(st.tuples(st.integers(0, 86_400 * 31), st.integers(0, 86_400)), max_size=6)
SPRING = BusinessHours.model_validate({**HOURS, "hours": [
    {"days": [*DAYS, "sat", "sun"], "opens": "01:15", "closes": "04:30"},
    {"days": ["sun"], "opens": "05:00", "closes": "24:00"}]})  # fmt: skip


@given(st.integers(0, 86_400 * 31), st.integers(0, 86_400 * 9), st.integers(0, 86_400 * 9))
def test_hours_are_the_same_cut_in_two_also_where_clocks_change(
    since: int, first: int, second: int
) -> None:
    begin = microseconds(moment("2025-03-15T00:00:00Z")) + since * 1_000_000
    middle, end = begin + first * 1_000_000, begin + (first + second) * 1_000_000
    whole = open_spans(begin, end, SPRING)
    parts = open_spans(begin, middle, SPRING), open_spans(middle, end, SPRING)
    assert length(whole) == sum(map(length, parts)) == business_us(begin, end, SPRING)


@settings(max_examples=25)
@given(STRETCHES)
def test_time_out_is_that_of_the_union_at_most_the_sum(stretches: list[tuple[int, int]]) -> None:
    start = microseconds(moment("2024-12-31T23:00:00Z"))
    events: list[Said] = []
    for number, (since, lasts) in enumerate(stretches):
        at = [start + (since + one) * 1_000_000 for one in (0, lasts)]
        events += down("merged", *(_text(one) for one in at), name=f"o{number}")
    together = figure(in_hours("merged"), "merged", events).value
    alone = [
        figure(in_hours("merged"), "merged", events[number : number + 2]).value
        for number in range(0, len(events), 2)
    ]
    assert together is not None
    assert together <= sum(one for one in alone if one is not None)
    available = figure(
        in_hours("without-outage"), "without-outage",
        [of_metric(one, "without-outage") for one in events],
    )  # fmt: skip
    assert available.good == IN_HOURS - together * 60


def _text(at_us: int) -> str:
    return instant(at_us).isoformat().replace("+00:00", "Z")
