"""Every measure against a plain recount, and its conventions by example."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.evaluation import MetricFigure
from services.core.calendar.intervals import merged
from services.core.calendar.windows import window_of
from services.core.events.facts import identity_of
from tests.core.said import DESK, PROBE, Said, figure_of, moment, programme

JANUARY = window_of("2025-01", "Europe/Berlin")
MINUTES = (JANUARY.end - JANUARY.start) // timedelta(minutes=1)
SUBJECTS = [None, "a", "b"]
few = settings(max_examples=40, deadline=None)

# Times in and around January, coarse so that ties and window ends are met.
TIMES = st.integers(-40, 31 * 24 + 40).map(lambda hour: JANUARY.start + timedelta(hours=hour))


def said(kind: str, data: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Said]]:
    """Up to 25 events of a kind, at any times."""
    pairs = st.lists(st.tuples(TIMES, data), max_size=25)
    return pairs.map(
        lambda found: [
            Said(PROBE, f"e{place}", kind, at, each) for place, (at, each) in enumerate(found)
        ]
    )


def within(events: list[Said], subject: str | None = None) -> list[Said]:
    return [
        each
        for each in events
        if JANUARY.start <= each.at < JANUARY.end and subject in (None, each.data.get("subject"))
    ]


def about(metric: str, **data: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"metric": st.just(metric), "subject": st.sampled_from(SUBJECTS), **data}
    )


SAMPLES = about("samples", up=st.booleans())
COUNTS = st.integers(0, 50).flatmap(
    lambda total: about("ratio", good=st.integers(0, total), total=st.just(total))
)
DECIMALS = st.decimals(-9, 9, places=3).map(str) | st.integers(-9, 9)


@few
@given(said("sample", SAMPLES), st.sampled_from(SUBJECTS))
def test_availability_by_samples_is_good_probes_out_of_all(
    events: list[Said], subject: str | None
) -> None:
    figure = figure_of(events, "samples", subject)
    counted = within(events, subject)
    good = sum(each.data["up"] for each in counted)
    assert (figure.good, figure.total) == (good, len(counted))
    assert figure.value == (Fraction(100 * good, len(counted)) if counted else None)
    assert figure.evidence.facts == len(counted)
    down = sorted(each.at for each in counted if not each.data["up"])[:20]
    by_id = {each.id: each.at for each in counted}
    assert [by_id[each.id] for each in figure.evidence.telling] == down


@few
@given(said("count", COUNTS), st.sampled_from(SUBJECTS))
def test_a_ratio_is_good_out_of_total(events: list[Said], subject: str | None) -> None:
    figure = figure_of(events, "ratio", subject)
    good = sum(each.data["good"] for each in within(events, subject))
    total = sum(each.data["total"] for each in within(events, subject))
    assert figure.value == (Fraction(100 * good, total) if total else None)
    short = {each.id for each in within(events, subject) if each.data["good"] < each.data["total"]}
    assert {each.id for each in figure.evidence.telling} <= short
    assert len(figure.evidence.telling) == min(20, len(short))


def rank95(values: list[Fraction]) -> Fraction:
    return sorted(values)[ceil(Fraction(95, 100) * len(values)) - 1]


VALUE_MEASURES: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "mean": lambda values: sum(values, Fraction(0)) / len(values),
    "maximum": max,
    "minimum": min,
    "percentile": rank95,
    "within": lambda v: Fraction(100 * sum(x <= Fraction(5, 2) for x in v), len(v)),
    "under": lambda v: Fraction(100 * sum(x < Fraction(5, 2) for x in v), len(v)),
}
WORSE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "mean": lambda value, figure: value > figure,
    "maximum": lambda value, figure: value >= figure,
    "minimum": lambda value, figure: value <= figure,
    "percentile": lambda value, figure: value >= figure,
    "within": lambda value, figure: value > Fraction(5, 2),
    "under": lambda value, figure: value >= Fraction(5, 2),
}


@few
@pytest.mark.parametrize("metric", list(VALUE_MEASURES))
@given(data=st.data(), subject=st.sampled_from(SUBJECTS))
def test_measures_of_values_equal_a_plain_recount(
    metric: str, data: st.DataObject, subject: str | None
) -> None:
    values = about(metric, value=DECIMALS | st.just("2.5"), unit=st.just("milliseconds"))
    events = data.draw(said("response", values))
    figure = figure_of(events, metric, subject)
    counted = {each.id: Fraction(each.data["value"]) for each in within(events, subject)}
    assert figure.total == len(counted)
    expected = VALUE_MEASURES[metric](list(counted.values())) if counted else None
    assert figure.value == expected
    worse = {
        each
        for each, value in counted.items()
        if expected is not None and WORSE[metric](value, expected)
    }
    told = {each.id for each in figure.evidence.telling}
    assert told <= worse
    assert len(told) == min(20, len(worse))


def response(number: int, value: str, metric: str = "percentile") -> Said:
    at = JANUARY.start + timedelta(seconds=number)
    return Said(
        PROBE,
        str(number),
        "response",
        at,
        {"metric": metric, "value": value, "unit": "milliseconds"},
    )


def test_values_whose_scales_do_not_fit_one_column_are_ranked_exactly() -> None:
    events = [response(0, "4000000000000000001"), response(1, "0.001"), response(2, "-0.5")]
    assert figure_of(events, "percentile").value == 4000000000000000001
    events += [response(number, "2.5") for number in range(3, 20)]
    assert figure_of(events, "percentile").value == Fraction("2.5")


def test_the_percentile_of_a_hundred_and_one_values_is_the_ninety_sixth() -> None:
    for count, rank in ((100, 95), (101, 96), (20, 19), (1, 1)):
        events = [response(number, str(number)) for number in range(1, count + 1)]
        assert figure_of(events, "percentile").value == rank


def test_sums_pass_64_bits_exactly() -> None:
    most = 2**62 - 1
    events = [response(number, str(most), "mean") for number in range(9)]
    assert figure_of(events, "mean").value == most


@few
@given(said("volume", about("total", value=st.integers(0, 99), unit=st.just("count"))))
def test_a_total_adds_volumes_and_the_good_of_counts(events: list[Said]) -> None:
    count = Said(PROBE, "count", "count", JANUARY.start, {"metric": "total", "good": 7, "total": 9})
    figure = figure_of([*events, count], "total")
    assert figure.value == sum(each.data["value"] for each in within(events)) + 7
    assert figure_of([], "total").value is None


# --- status ---------------------------------------------------------------------------------------


def plain_status(events: list[Said], subject: str | None, before: str) -> tuple[int, int]:
    """Hours up and hours observed, hour by hour."""
    up = observed = 0
    names = {each.data["subject"] for each in events if each.at < JANUARY.end}
    for name in names if subject is None else names & {subject}:
        own = [each for each in events if each.data["subject"] == name]
        for hour in range(31 * 24):
            at = JANUARY.start + timedelta(hours=hour)
            earlier = [each for each in own if each.at <= at]
            if earlier:
                observed += 1
                latest = max(each.at for each in earlier)
                up += next(each.data["up"] for each in earlier if each.at == latest)
            elif before != "not_observed":
                observed += 1
                up += before == "up"
    return up, observed


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize(
    ("metric", "before"),
    [("status", "not_observed"), ("status-up", "up"), ("status-down", "down")],
)
@given(data=st.data(), subject=st.sampled_from(SUBJECTS))
def test_a_status_holds_until_the_next_sample_and_is_carried_into_the_window(
    metric: str, before: str, data: st.DataObject, subject: str | None
) -> None:
    events = data.draw(said("sample", about(metric, up=st.booleans())))
    events = list({(each.at, each.data["subject"]): each for each in events}.values())
    figure = figure_of(events, metric, subject)
    up, observed = plain_status(events, subject, before)
    assert (figure.good, figure.total) == (up * 3600, observed * 3600)
    assert figure.value == (Fraction(100 * up, observed) if observed else None)


# --- outages --------------------------------------------------------------------------------------


def outage(name: str, phase: str, at: str, metric: str = "merged", **data: Any) -> Said:
    body = {"metric": metric, "outage": name, "phase": phase, **data}
    return Said(PROBE, f"{name}-{phase}-{at[5:].replace(' ', 'T')}", "outage", moment(at), body)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12).map(
    lambda pairs: [(start, start + length) for start, length in pairs]
)


@settings(deadline=None)
@given(SPANS)
def test_merging_equals_a_plain_sweep(spans: list[tuple[int, int]]) -> None:
    covered = {tick for start, end in spans for tick in range(start, end)}
    result = merged(spans)
    assert {tick for start, end in result for tick in range(start, end)} == covered
    assert sum(end - start for start, end in result) == len(covered)
    assert all(one[1] < two[0] for one, two in pairwise(result))


@few
@given(st.lists(st.tuples(TIMES, st.integers(1, 99), st.sampled_from(SUBJECTS)), max_size=10))
def test_outage_measures_equal_a_minute_by_minute_recount(
    spans: list[tuple[datetime, int, str | None]],
) -> None:
    expected: dict[str | None, set[int]] = {}
    each_one = begun = 0
    events: dict[str, list[Said]] = {"merged": [], "started": [], "outages": []}
    for place, (start, minutes, subject) in enumerate(spans):
        first = int((start - JANUARY.start).total_seconds()) // 60
        inside = range(max(first, 0), min(first + minutes, MINUTES))
        expected.setdefault(subject, set()).update(inside)
        each_one += len(inside)
        begun += JANUARY.start <= start < JANUARY.end
        for metric, found in events.items():
            data = {"metric": metric, "outage": f"o{place}", "subject": subject}
            end = start + timedelta(minutes=minutes)
            found.append(Said(PROBE, f"{place}o", "outage", start, {**data, "phase": "open"}))
            found.append(Said(PROBE, f"{place}c", "outage", end, {**data, "phase": "close"}))
    assert figure_of(events["merged"], "merged").value == sum(map(len, expected.values()))
    assert figure_of(events["merged"], "merged", "a").value == len(expected.get("a", ()))
    assert figure_of(events["started"], "started").value == each_one
    assert figure_of(events["outages"], "outages").value == begun


def test_an_open_outage_lasts_to_the_windows_end_and_goes_on_in_the_next_window() -> None:
    events = [outage("o1", "open", "2025-01-31 22:00"), outage("o1", "close", "2025-02-01 00:00")]
    assert figure_of(events[:1], "merged").value == 60
    assert figure_of(events, "merged").value == 60
    assert figure_of(events, "merged", period="2025-02").value == 60
    # The close is not known in January: it changes nothing of January's evidence.
    assert figure_of(events, "merged") == figure_of(events[:1], "merged")


def test_a_part_of_a_unit_counts_as_the_metric_says() -> None:
    def told(metric: str) -> list[Said]:
        return [
            outage("o1", "open", "2025-01-10 10:00", metric),
            outage("o1", "close", "2025-01-10 11:30:30", metric),
        ]

    assert figure_of(told("merged"), "merged").value == Fraction("90.5")
    assert figure_of(told("started"), "started").value == 91
    assert figure_of(told("full"), "full").value == 1
    assert figure_of(told("full"), "full").parts[0].amount == Fraction(5430, 3600)


def test_overlapping_outages_are_merged_for_availability_across_subjects() -> None:
    events = [
        outage("o1", "open", "2025-01-10 10:00", "without-outage", subject="a"),
        outage("o1", "close", "2025-01-10 12:00", "without-outage"),
        outage("o2", "open", "2025-01-10 11:00", "without-outage", subject="b"),
        outage("o2", "close", "2025-01-10 13:00", "without-outage"),
    ]
    hours = 31 * 24
    assert figure_of(events, "without-outage").value == Fraction(100 * (hours - 3), hours)
    assert figure_of(events, "without-outage", "b").value == Fraction(100 * (hours - 2), hours)
    assert figure_of([], "without-outage").value == 100
    telling = figure_of(events, "without-outage").evidence.telling
    assert [each.id for each in telling] == ["o1-open-01-10T10:00", "o2-open-01-10T11:00"]


def test_a_corrected_outage_has_its_new_times_and_a_void_one_is_none() -> None:
    first = [outage("o1", "open", "2025-01-10 10:00"), outage("o1", "close", "2025-01-10 12:00")]
    shorter = outage("o1", "correct", "2025-02-03 09:00", ended_at="2025-01-10T10:30:00Z")
    earlier = outage("o1", "correct", "2025-02-03 10:00", started_at="2025-01-10T09:45:00Z")
    void = outage("o1", "correct", "2025-02-04 09:00", void=True)
    assert figure_of([*first, shorter], "merged").value == 30
    assert figure_of([*first, shorter, earlier], "merged").value == 45
    assert figure_of([*first, shorter, earlier, void], "merged").value == 0
    assert figure_of([*first, void], "merged").parts == ()


def test_an_outage_of_no_length_is_one_however_it_came_about() -> None:
    at = "2025-01-10T10:00:00Z"
    opened = outage("o1", "open", "2025-01-10 10:00", "outages")
    closed = outage("o1", "close", "2025-01-10 10:00", "outages")
    late = outage("o1", "close", "2025-01-10 12:00", "outages")
    told = outage("o1", "correct", "2025-01-11 10:00", "outages", started_at=at, ended_at=at)
    assert figure_of([opened, closed], "outages").value == 1
    assert figure_of([opened, late, told], "outages").value == 1


def test_an_outage_that_nobody_opened_or_that_ends_before_it_starts_counts_nothing() -> None:
    assert figure_of([outage("o1", "close", "2025-01-10 12:00")], "merged").parts == ()
    reversed_times = [
        outage("o1", "open", "2025-01-10 10:00"),
        outage("o1", "correct", "2025-01-11 10:00", ended_at="2025-01-09T10:30:00Z"),
    ]
    assert figure_of(reversed_times, "merged").parts == ()


def test_two_sources_may_use_one_name_for_two_outages() -> None:
    ours = [outage("o1", "open", "2025-01-10 10:00"), outage("o1", "close", "2025-01-10 11:00")]
    theirs = [each._replace(source="urn:acme:finance") for each in ours]
    assert figure_of([*ours, *theirs], "merged").total == 2


# --- tickets --------------------------------------------------------------------------------------


def change(ticket: str, at: str, state: str, metric: str = "tickets", **data: Any) -> Said:
    body = {"metric": metric, "ticket": ticket, "state": state, **data}
    return Said(DESK, f"{ticket}-{state}-{at[5:].replace(' ', 'T')}", "ticket", moment(at), body)


def parts_of_north(events: list[Said], **asked: Any) -> list[tuple[str, str | None, int, bool]]:
    figure = figure_of(events, "tickets", **asked)
    return [(each.part, each.vendor, int(each.amount), bool(each.good)) for each in figure.parts]


HANDED = [
    change("t1", "2025-01-10 10:00", "opened"),  # with the desk, which reports it
    change("t1", "2025-01-10 10:10", "assigned", assigned_to="north"),
    change("t1", "2025-01-10 10:30", "waiting"),
    change("t1", "2025-01-10 12:00", "working"),
    change("t1", "2025-01-10 12:40", "assigned", assigned_to="desk"),
    change("t1", "2025-01-10 14:00", "resolved"),
]


def test_the_clock_runs_for_the_vendor_that_holds_the_ticket_and_stands_while_it_waits() -> None:
    assert parts_of_north(HANDED) == [("t1", "north", 60, True)]
    assert figure_of(HANDED, "tickets").value == 100


def test_a_ticket_counts_where_it_is_resolved_and_reopening_lets_the_clock_go_on() -> None:
    reopened = [
        *HANDED,
        change("t1", "2025-01-20 10:00", "reopened", assigned_to="north"),
        change("t1", "2025-01-20 10:01", "resolved"),
    ]
    assert parts_of_north(reopened) == [("t1", "north", 61, False)]
    later = [*HANDED, change("t1", "2025-02-20 10:00", "reopened", assigned_to="north")]
    assert parts_of_north(later) == [("t1", "north", 60, True)]
    assert parts_of_north(later, period="2025-02")[0][3] is False  # open, and its time is over
    assert parts_of_north(HANDED, period="2025-02") == []


def test_an_open_ticket_counts_only_once_its_time_is_over() -> None:
    opened = change("t1", "2025-01-31 22:01", "assigned", assigned_to="north")
    assert parts_of_north([opened]) == []
    earlier = change("t1", "2025-01-31 21:59", "assigned", assigned_to="north")
    assert parts_of_north([earlier]) == [("t1", "north", 61, False)]
    assert figure_of([opened], "tickets").value is None


def test_who_gets_a_ticket_after_its_resolution_or_is_no_vendor_has_no_clock() -> None:
    filed = [*HANDED[:-1], change("t1", "2025-01-10 13:00", "resolved", assigned_to="acme")]
    filed.append(change("t1", "2025-01-10 15:00", "closed", assigned_to="north"))
    assert parts_of_north(filed) == [("t1", "north", 60, True)]


def test_changes_at_one_instant_are_ordered_by_their_sequence() -> None:
    at = "2025-01-10 10:00"
    events = [
        change("t1", at, "resolved", sequence=2),
        change("t1", at, "assigned", sequence=1, assigned_to="north"),
    ]
    assert parts_of_north(events) == [("t1", "north", 0, True)]


def test_business_hours_priorities_and_everyones_share() -> None:
    metric = "everyones-tickets"
    events = [
        change("t1", "2025-01-08 15:30", "opened", metric, priority="high"),  # Wed 16:30 in Berlin
        change("t1", "2025-01-09 08:29", "resolved", metric),  # Thu 09:29
        change("t2", "2025-01-08 15:30", "opened", metric, priority="low"),
        change("t2", "2025-01-08 15:31", "resolved", metric),
        change("t3", "2025-01-08 15:30", "assigned", metric, priority="high", assigned_to="north"),
        change("t3", "2025-01-09 08:30", "resolved", metric),
        change("t4", "2025-01-01 15:30", "opened", metric, priority="high"),
    ]
    figure = figure_of(events, metric)
    told = [(each.part, each.vendor, each.amount, each.good) for each in figure.parts]
    # The desk held t3 for no time before it was assigned: it never reported it as its own.
    assert told == [("t1", "desk", 59, True), ("t3", "north", 60, False)]
    assert (figure.good, figure.total, figure.value) == (1, 2, 50)


CHANGES = st.lists(
    st.tuples(
        st.integers(-120, 240),  # minutes from the window's start
        st.sampled_from(["assigned", "waiting", "resolved", "reopened", "working"]),
        st.sampled_from([None, "north", "desk", "acme"]),
    ),
    max_size=8,
    unique_by=lambda each: each[0],
)


def minute_by_minute(changes: list[tuple[int, str, str | None]]) -> tuple[int, bool | None] | None:
    """North's minutes until the window's end, and whether the ticket is resolved in it."""
    holder, state, minutes, ever = "desk", "", 0, False
    resolved: int | None = None
    told = {at: (new, to) for at, new, to in changes}
    for minute in range(-120, MINUTES):
        if minute in told:
            state, to = told[minute]
            holder = to or holder
            if state == "resolved" and resolved is None:
                resolved = minute
            elif state == "reopened":
                resolved = None
            ever = ever or (holder == "north" and resolved in (None, minute))
        minutes += holder == "north" and bool(state) and resolved is None and state != "waiting"
    if resolved is None:
        return (minutes, False) if ever and holder == "north" and minutes > 60 else None
    return (minutes, minutes <= 60) if resolved >= 0 and ever else None


@settings(max_examples=150, deadline=None)
@given(CHANGES)
def test_a_tickets_clock_equals_a_minute_by_minute_recount(
    changes: list[tuple[int, str, str | None]],
) -> None:
    events = [
        Said(
            DESK,
            f"e{place}",
            "ticket",
            JANUARY.start + timedelta(minutes=at),
            {"metric": "tickets", "ticket": "t1", "state": state, "assigned_to": to},
        )
        for place, (at, state, to) in enumerate(changes)
    ]
    found = [(minutes, good) for _, _, minutes, good in parts_of_north(events)]
    expected = minute_by_minute(changes)
    assert found == ([] if expected is None else [expected])


# --- statements and composites --------------------------------------------------------------------


def declared(name: str, at: str, value: str, period: str = "2025-01", **data: Any) -> Said:
    body = {"metric": "declared", "period": period, "value": value, "unit": "percent", **data}
    return Said(PROBE, name, "figure", moment(at), body)


def test_the_last_declared_figure_of_the_period_stands() -> None:
    events = [
        declared("f1", "2025-02-03 10:00", "98.5"),
        declared("f2", "2025-02-05 10:00", "99.5"),
        declared("f3", "2025-02-06 10:00", "97", period="2025-02"),
        declared("f4", "2025-02-07 10:00", "96", subject="a"),
    ]
    figure = figure_of(events, "declared")
    assert (figure.value, figure.evidence.facts) == (Fraction("99.5"), 1)
    assert figure_of(events, "declared", "a").value == 96
    assert figure_of(events, "declared", period="2025-03").value is None


def delivery(name: str, at: str, due: str, **data: Any) -> Said:
    body = {"metric": "deliveries", "delivery": name, "due_at": due, **data}
    return Said(PROBE, f"{name}-{at[5:10]}", "delivery", moment(at), body)


def test_deliveries_count_where_they_are_due_and_keep_their_whole_delay() -> None:
    events = [
        delivery("d1", "2025-01-10 10:00", "2025-01-10T12:00:00Z", value="1200.50"),
        delivery(
            "d1", "2025-02-02 10:00", "2025-01-10T12:00:00Z", delivered_at="2025-02-01T12:00:00Z"
        ),
        delivery(
            "d2", "2025-01-11 10:00", "2025-01-11T12:00:00Z", delivered_at="2025-01-11T12:00:00Z"
        ),
        delivery("d3", "2025-01-12 10:00", "2025-01-31T22:00:00Z"),
        delivery("d4", "2025-01-12 10:00", "2025-01-31T23:00:00Z"),
    ]
    figure = figure_of(events, "deliveries")
    assert (figure.value, figure.good, figure.total) == (2, 1, 3)
    assert [(each.part, each.amount, each.good, each.value) for each in figure.parts] == [
        ("d1", 22 * 24, False, Fraction("1200.5")),
        ("d2", 0, True, None),
        ("d3", 1, False, None),
    ]
    assert [each.id for each in figure.evidence.telling] == [
        "d3-01-12",
        "d1-02-02",
    ]
    assert figure_of(events, "deliveries", period="2025-02").total == 1


def parts_and_whole(metric: str) -> tuple[MetricFigure, list[Said]]:
    at = JANUARY.start
    events = [
        Said(PROBE, "s1", "sample", at, {"metric": "samples", "up": True}),
        Said(PROBE, "s2", "sample", at, {"metric": "samples", "up": False}),
        Said(PROBE, "c1", "count", at, {"metric": "ratio", "good": 9, "total": 10}),
    ]
    return figure_of(events, metric), events


def test_parts_in_series_must_all_work_and_of_parts_in_parallel_one() -> None:
    series, events = parts_and_whole("series")
    parallel, _ = parts_and_whole("parallel")
    assert (series.value, parallel.value) == (45, 95)
    assert series.evidence == parallel.evidence
    assert (series.evidence.facts, len(series.evidence.telling)) == (3, 2)
    assert [(part.part, part.amount) for part in series.parts] == [("samples", 50), ("ratio", 90)]
    assert figure_of(events[:2], "series").value is None


# --- programmes that cannot be --------------------------------------------------------------------


def test_a_composite_without_a_figure_of_one_part_still_tells_what_moved_the_other() -> None:
    down = Said(PROBE, "down", "sample", JANUARY.start, {"metric": "samples", "up": False})
    whole = figure_of([down], "series")
    assert whole.value is None
    assert [(part.part, part.amount) for part in whole.parts] == [("samples", 0)]
    assert [each.id for each in whole.evidence.telling] == ["down"]
    assert whole.evidence.facts == 1


def test_a_composite_that_is_made_of_itself_is_refused() -> None:
    def composite(name: str, part: str) -> dict[str, Any]:
        measure = {"kind": "series", "parts": [part]}
        return {
            "metric": name,
            "name": name,
            "unit": "percent",
            "better": "higher",
            "measure": measure,
        }

    metrics = [composite("a", "b"), composite("b", "c"), composite("c", "a")]
    with pytest.raises(ValueError, match="made of itself"):
        programme(metrics=metrics, sources=[{"source": PROBE, "reports_for": "north"}])


def test_outage_time_needs_a_unit_of_time() -> None:
    measure = {
        "kind": "outage_time",
        "silence": "up",
        "incomplete": "left_out",
        "overlap": "merged",
        "part": "exact",
    }
    metric = {"metric": "m", "name": "m", "unit": "count", "better": "lower", "measure": measure}
    with pytest.raises(ValueError, match="cannot be count; write one of milliseconds"):
        programme(metrics=[metric], sources=[{"source": PROBE, "reports_for": "north"}])


def test_the_evidence_names_the_first_twenty_by_time_and_then_identity() -> None:
    hours = [1, 2, 3, *[4] * 30, *range(5, 40)]
    for count in (19, 20, 21, 25, len(hours)):
        events = [
            Said(PROBE, f"e{place}", "sample", JANUARY.start + timedelta(hours=hour),
                 {"metric": "samples", "up": False})
            for place, hour in enumerate(hours[:count])
        ]  # fmt: skip
        expected = sorted(events, key=lambda each: (each.at, identity_of(each.source, each.id)))
        for some in (events, events[::-1]):
            told = figure_of(some, "samples").evidence
            assert [each.id for each in told.telling] == [each.id for each in expected[:20]]
            assert told.facts == count
    late = [each._replace(at=JANUARY.end - timedelta(hours=hour)) for hour, each in
            enumerate(events, start=1)]  # fmt: skip
    told = figure_of(late, "samples").evidence
    assert [each.id for each in told.telling] == [each.id for each in late[:-21:-1]]


def test_of_many_samples_at_one_instant_the_last_by_identity_holds() -> None:
    for seed in range(4):
        events = [
            Said(PROBE, f"e{seed}-{place}", "sample", JANUARY.start,
                 {"metric": ("status", "samples")[place % 3 == 0], "up": place % 2 == 0})
            for place in range(300)
        ]  # fmt: skip
        of_status = [each for each in events if each.data["metric"] == "status"]
        last = max(of_status, key=lambda each: identity_of(each.source, each.id))
        assert figure_of(events, "status").value == (100 if last.data["up"] else 0)
