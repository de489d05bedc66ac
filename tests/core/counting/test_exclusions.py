"""Excused time: windows that recur, and the outages of what a service stands on."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.evaluation import MetricFigure
from schemas.exclusions import Recurring
from schemas.programme import Programme
from services.core.calendar.intervals import length
from services.core.calendar.recurrence import recurring_windows
from services.core.calendar.windows import instant, microseconds
from services.core.counting.evaluation import evaluate, needs
from services.core.events.wanted import metrics_read
from tests.core.counting.test_business_hours import HOURS, down
from tests.core.counting.test_observed import OUTAGES
from tests.core.said import NUMBERS, Said, agreement, facts, moment, programme

DAY = "2025-01-10"
WINDOW: dict[str, Any] = {
    "exclusion": "patching", "name": "Planned maintenance", "kind": "recurring",
    "rrule": "FREQ=WEEKLY;BYDAY=FR", "begins": "2025-01-01", "at": "08:00",
    "time_zone": "Europe/Berlin", "minutes": 15,
}  # fmt: skip
NETWORK = {"exclusion": "network", "name": "The network", "kind": "upstream", "metric": "merged"}
BAD, COUNTED = {"taken_off": "bad_time"}, {"taken_off": "counted_time"}


def excused(metric: str, exclusions: list[dict[str, Any]], **measure: Any) -> Programme:
    body = programme().model_dump(mode="json")
    (found,) = (one for one in body["metrics"] if one["metric"] == metric)
    stated = {"silence": "up", "incomplete": "wait", "exclusions": exclusions}
    off = any(one["taken_off"] == "counted_time" for one in exclusions)
    if metric == "without-outage" and off:
        stated["nothing_to_count"] = "no_result"
    found["measure"] = OUTAGES[metric] | stated | measure
    return Programme.model_validate(body)


def counted(of: Programme, metric: str, events: list[Said], period: str = DAY) -> MetricFigure:
    """The metric's figure of a day."""
    found = evaluate(
        [of], [agreement([{"metric": metric, "measured": "day"}])], "2025-01", facts(events),
        NUMBERS, 1, "closed",
    )  # fmt: skip
    return next(one for one in found.figures if (one.metric, one.period) == (metric, period))


def app(*stretches: tuple[str, str], metric: str = "without-outage") -> list[Said]:
    return [
        one
        for number, (since, until) in enumerate(stretches)
        for one in down(metric, f"{DAY}T{since}Z", f"{DAY}T{until}Z", f"{metric}-{number}")
    ]


@pytest.mark.parametrize(
    ("off", "total", "value"),
    [(BAD, 86_400, Fraction("93.5")), (COUNTED, 85_500, Fraction(100 * 79_884, 85_500))],
)
def test_an_outage_is_cut_to_the_second_where_a_window_meets_it(
    off: dict[str, str], total: int, value: Fraction
) -> None:
    of = excused("without-outage", [WINDOW | off])
    found = counted(of, "without-outage", app(("07:06:56", "08:48:36")))
    assert (found.total - found.good, found.total, found.value) == (5616, total, value)
    (told,) = found.excluded
    assert (told.exclusion, told.bad_seconds) == ("patching", 484)
    assert [str(one.start) for one in told.windows] == ["2025-01-10 07:00:00+00:00"]
    assert found.without_exclusions == 100 * Fraction(86_400 - 6100, 86_400)
    assert found.counted_seconds == (None if total == 86_400 else total)
    within = counted(of, "without-outage", app(("07:01:00", "07:14:00")))
    assert (within.value, within.parts) == (100, ())


@pytest.mark.parametrize("metric", ["without-outage", "outages"])
def test_what_is_upstream_is_not_its_own(metric: str) -> None:
    of = excused(metric, [NETWORK | BAD])
    events = app(("10:00:00", "12:00:00"), metric=metric)
    network = app(("11:00:00", "13:00:00"), metric="merged")
    found = counted(of, metric, [*events, *network])
    (part,) = found.parts
    assert part.amount == 60
    assert found.excluded[0].bad_seconds == 3600
    assert not found.excluded[0].windows, "whose outages they are is told by their own figure"
    if metric == "without-outage":
        assert found.total - found.good == 3600
    all_of_it = app(("09:00:00", "13:00:00"), metric="merged")
    assert counted(of, metric, [*events, *all_of_it]).value == (100 if metric != "outages" else 0)


def test_only_the_outages_of_a_subject_may_excuse() -> None:
    of = excused("without-outage", [{**NETWORK, **BAD, "subject": "core"}])
    network = [
        one._replace(data={**one.data, "subject": subject})
        for one, subject in zip(
            app(("10:00:00", "10:30:00"), ("11:00:00", "12:00:00"), metric="merged"),
            ["core", "core", "edge", "edge"], strict=True,
        )
    ]  # fmt: skip
    found = counted(of, "without-outage", [*app(("10:00:00", "12:00:00")), *network])
    assert found.total - found.good == 5400


def test_a_whole_that_reaches_beyond_its_period_is_excused_there_too() -> None:
    of = excused("merged", [WINDOW | BAD | {"rrule": "FREQ=DAILY"}], across_periods="begins")
    events = down("merged", "2025-01-31T06:50:00Z", "2025-02-01T07:20:00Z")
    found = counted(of, "merged", events, "2025-01-31")
    assert found.value == 24 * 60 + 30 - 30
    assert found.parts[0].whole.so_far == 16 * 60 + 10 - 15


def test_exclusions_beside_business_hours_take_off_what_lies_in_both() -> None:
    of = excused("merged", [WINDOW | BAD | {"at": "17:55"}], business_hours=HOURS)
    found = counted(of, "merged", app(("16:50:00", "17:30:00"), metric="merged"))
    assert (found.value, found.excluded[0].bad_seconds) == (5, 300)


def test_what_is_upstream_is_loaded_and_waited_for() -> None:
    of = excused("without-outage", [NETWORK | BAD])
    levels = [agreement([{"metric": "without-outage"}])]
    assert {one.metric for one in needs([of], levels, "2025-01")} == {"without-outage", "merged"}
    assert metrics_read([of], levels) == {"without-outage", "merged"}


SPRING = Recurring.model_validate(
    WINDOW | BAD | {"rrule": "FREQ=DAILY", "at": "02:30", "minutes": 60}
)


def test_windows_start_by_the_wall_clock_also_where_clocks_change() -> None:
    since, until = (microseconds(moment(f"2025-{day}T12:00:00Z")) for day in ("03-28", "03-31"))
    starts = [str(instant(start))[5:16] for start, _ in recurring_windows(SPRING, since, until)]
    assert starts == ["03-29 01:30", "03-30 01:30", "03-31 00:30"]
    assert length(recurring_windows(SPRING, since, until)) == 3 * 3_600_000_000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rrule": "FREQ=HOURLY"}, "has no frequency"),
        ({"rrule": "FREQ=DAILY;BYHOUR=3"}, "says BYHOUR, which is not taken"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=XX"}, "is not one of RFC 5545"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "never recurs"),
        ({"at": "24:00"}, "String should match"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(changed: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Recurring.model_validate(WINDOW | BAD | changed)


def test_what_is_open_is_refused() -> None:
    heartbeat = {"metric": "samples", "unknown_after_minutes": 60, "unknown_time": "left_out"}
    with pytest.raises(ValidationError, match="good or unknown where nothing is heard"):
        excused("without-outage", [WINDOW | BAD], heartbeat=heartbeat)
    assert excused("without-outage", [WINDOW | COUNTED], heartbeat=heartbeat)
    for metric in ("samples", "nowhere"):
        with pytest.raises(ValidationError, match="which is no metric of outages"):
            excused("without-outage", [NETWORK | BAD | {"metric": metric}])
    with pytest.raises(ValidationError, match="excused by its own outages"):
        excused("merged", [NETWORK | BAD])
    with pytest.raises(ValidationError, match="stated twice"):
        excused("merged", [WINDOW | BAD, WINDOW | COUNTED])
    with pytest.raises(ValidationError, match="as_reported or as_counted"):
        excused("merged", [WINDOW | BAD], interruptions={"at_least_minutes": 3})


MINUTE = st.integers(0, 1439)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(MINUTE, st.integers(1, 300), st.booleans()), min_size=1, max_size=3),
    st.lists(st.tuples(MINUTE, st.integers(1, 300)), max_size=3),
)
def test_neither_order_nor_cutting_matters(
    windows: list[tuple[int, int, bool]], told: list[tuple[int, int]]
) -> None:
    midnight = microseconds(moment("2025-01-09T23:00:00Z"))
    events = [
        one
        for number, (at, lasts) in enumerate(told)
        for one in down(
            "without-outage",
            *(instant(midnight + each * 60_000_000).isoformat().replace("+00:00", "Z")
              for each in (at, at + lasts)),
            name=f"o{number}",
        )
    ]  # fmt: skip
    terms = [_window(f"w{n}", at, lasts, off) for n, (at, lasts, off) in enumerate(windows)]
    cut = [
        _window(f"w{n}-{half}", at + half * (lasts // 2), part, off)
        for n, (at, lasts, off) in enumerate(windows)
        for half, part in ((0, lasts // 2), (1, lasts - lasts // 2))
        if part
    ]
    minutes = set(range(1440))
    off_both = {m for at, lasts, off in windows if off for m in range(at, at + lasts)}
    off_bad = {m for at, lasts, _ in windows for m in range(at, at + lasts)}
    bad = {m for at, lasts in told for m in range(at, at + lasts)} & minutes
    total, lost = len(minutes - off_both), len(bad - off_bad)
    for stated in (*permutations(terms), tuple(cut)):
        found = counted(excused("without-outage", list(stated)), "without-outage", events)
        assert (found.total, found.total - found.good) == (total * 60, lost * 60)


def _window(name: str, at: int, lasts: int, off: bool) -> dict[str, Any]:
    day, minute = divmod(at, 1440)
    clock = {"at": f"{minute // 60:02}:{minute % 60:02}", "minutes": lasts}
    begins = {"begins": f"2025-01-{10 + day}", "rrule": "FREQ=DAILY;COUNT=1"}
    return WINDOW | (COUNTED if off else BAD) | clock | begins | {"exclusion": name}
