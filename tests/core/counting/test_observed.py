"""Silence, heartbeats, halves and 0 of 0: what is not known is no figure, unless it is stated."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.evaluation import MetricFigure
from schemas.programme import Programme
from services.core.calendar.intervals import merged, without
from services.core.counting.evaluation import evaluate, needs
from services.core.counting.measures.observed import unknown_stretches
from tests.core.said import DESK, NUMBERS, PROBE, Said, agreement, facts, moment, programme

MINUTES = 31 * 24 * 60
"""Of January."""

SILENT = {"silence": "not_observed", "incomplete": "wait"}
OUTAGES: dict[str, dict[str, Any]] = {
    "without-outage": {"kind": "availability_by_outages"},
    "merged": {"kind": "outage_time", "overlap": "merged", "part": "exact"},
    "outages": {"kind": "outage_count", "across_periods": "begins"},
}


def measured(metric: str, **measure: Any) -> Programme:
    """The usual programme with one metric measured otherwise."""
    body = programme().model_dump(mode="json")
    (found,) = (one for one in body["metrics"] if one["metric"] == metric)
    found["measure"] = measure
    return Programme.model_validate(body)


def figure(
    of: Programme, metric: str, events: list[Said], subject: str | None = None
) -> MetricFigure:
    """The metric's figure of January."""
    levels = [{"metric": metric} if subject is None else {"metric": metric, "subject": subject}]
    found = evaluate([of], [agreement(levels)], "2025-01", facts(events), NUMBERS, 1, "closed")
    return next(one for one in found.figures if (one.metric, one.subject) == (metric, subject))


def outage(name: str, phase: str, at: str, metric: str, **data: Any) -> Said:
    said = {"metric": metric, "outage": name, "phase": phase, **data}
    return Said(PROBE, f"{name}-{phase}-{at}", "outage", moment(at), said)


@pytest.mark.parametrize("metric", OUTAGES)
@pytest.mark.parametrize(
    ("silence", "counted"),
    [("up", {"without-outage": 100, "merged": 0, "outages": 0}), ("not_observed", {})],
)
def test_silence_is_what_the_metric_states(
    metric: str, silence: str, counted: dict[str, int]
) -> None:
    of = measured(metric, **OUTAGES[metric], silence=silence, incomplete="wait")
    assert figure(of, metric, []).value == counted.get(metric)
    earlier = [
        outage("a", "open", "2024-12-01T00:00:00Z", metric),
        outage("a", "close", "2024-12-01T01:00:00Z", metric),
    ]
    assert figure(of, metric, earlier).value == counted.get(metric), "December says nothing of it"


@pytest.mark.parametrize("metric", OUTAGES)
def test_any_fact_of_the_window_ends_the_silence(metric: str) -> None:
    of = measured(metric, **OUTAGES[metric], **SILENT)
    void = [
        outage("a", "open", "2025-01-10T00:00:00Z", metric),
        outage("a", "correct", "2025-02-10T00:00:00Z", metric, void=True),
    ]
    assert figure(of, metric, void).value == (100 if metric == "without-outage" else 0)
    lasting = [outage("a", "open", "2024-12-10T00:00:00Z", metric)]
    assert figure(of, metric, lasting).value is not None, "it goes on in January"


def beat(at: str, **data: Any) -> Said:
    return Said(
        PROBE, f"beat-{at}", "sample", moment(at), {"metric": "samples", "up": True, **data}
    )


def watched(metric: str, unknown_time: str, minutes: int = 60) -> Programme:
    heartbeat = {
        "metric": "samples", "unknown_after_minutes": minutes, "unknown_time": unknown_time,
    }  # fmt: skip
    return measured(metric, **OUTAGES[metric], silence="up", incomplete="wait", heartbeat=heartbeat)


def test_time_far_from_a_heartbeat_is_left_out_but_for_reported_outages() -> None:
    of = watched("without-outage", "left_out", 24 * 60)
    days = [beat("2024-12-31T23:00:00Z")]
    days += [beat(f"2025-01-{day:02}T23:00:00Z") for day in range(1, 10)]
    ten = figure(of, "without-outage", days)
    assert (ten.value, ten.total) == (100, 10 * 86_400)
    assert ten.unknown_seconds == 21 * 86_400
    down = [
        outage("a", "open", "2025-01-08T23:00:00Z", "without-outage"),
        outage("a", "close", "2025-01-11T23:00:00Z", "without-outage"),
    ]
    found = figure(of, "without-outage", [*days, *down])
    assert (found.good, found.total) == (8 * 86_400, 11 * 86_400)
    assert found.value == Fraction(800, 11)


def test_a_heartbeat_before_the_window_still_keeps_its_beginning_known() -> None:
    of = watched("without-outage", "left_out", 60)
    found = figure(of, "without-outage", [beat("2024-12-31T22:30:00Z")])
    assert found.total == 30 * 60


def test_without_any_heartbeat_there_is_no_figure() -> None:
    assert figure(watched("without-outage", "left_out"), "without-outage", []).value is None


def test_any_unknown_time_is_no_data_where_the_metric_states_that() -> None:
    of = watched("merged", "no_data", 31 * 24 * 60)
    assert figure(of, "merged", [beat("2024-12-31T23:00:00Z")]).value == 0
    assert figure(of, "merged", [beat("2024-12-31T23:01:00Z")]).value is None


def test_a_subject_is_known_by_its_own_heartbeat_or_by_one_for_all() -> None:
    of = watched("without-outage", "left_out", 31 * 24 * 60)
    at = "2024-12-31T23:00:00Z"
    for subject, value in (("a", 100), ("b", None), (None, 100)):
        said = [beat(at) if subject is None else beat(at, subject=subject)]
        assert figure(of, "without-outage", said, "a").value == value


def test_the_facts_of_a_heartbeat_are_loaded_from_before_the_window() -> None:
    of = watched("without-outage", "left_out", 60)
    start = moment("2024-12-31T23:00:00Z")
    spans = {
        one.metric: one
        for one in needs([of], [agreement([{"metric": "without-outage"}])], "2025-01")
    }
    assert spans["samples"].since_us == int(start.timestamp() - 3600) * 1_000_000


@given(
    st.lists(st.integers(-50, 250), max_size=12), st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=4),
)  # fmt: skip
def test_unknown_time_equals_a_recount_by_the_minute(
    beats: list[int], known: int, down: list[tuple[int, int]]
) -> None:

    spans = merged((start, min(start + length, 200)) for start, length in down)
    found = without(unknown_stretches(np.unique(np.array(beats, np.int64)), 0, 200, known), spans)
    plain = {
        minute
        for minute in range(200)
        if not any(at <= minute < at + known for at in beats)
        and not any(start <= minute < end for start, end in spans)
    }
    assert {minute for start, end in found for minute in range(start, end)} == plain


@pytest.mark.parametrize(
    ("metric", "heartbeat", "why"),
    [
        ("without-outage", {"metric": "mean"}, "no metric of samples or status"),
        ("without-outage", {"metric": "nothing"}, "no metric of samples or status"),
        ("merged", {"unknown_time": "left_out"}, "no total to leave unknown time out of"),
    ],
)
def test_a_heartbeat_that_cannot_be_one_is_refused(
    metric: str, heartbeat: dict[str, Any], why: str
) -> None:
    usual = {"metric": "samples", "unknown_after_minutes": 5, "unknown_time": "no_data"}
    with pytest.raises(ValidationError, match=why):
        measured(
            metric, **OUTAGES[metric], silence="up", incomplete="wait",
            heartbeat=usual | heartbeat,
        )  # fmt: skip


def test_a_heartbeat_and_silence_that_is_not_observed_are_refused_together() -> None:
    beats = {"metric": "samples", "unknown_after_minutes": 5, "unknown_time": "no_data"}
    with pytest.raises(ValidationError, match="the heartbeat says what was observed"):
        measured("merged", **OUTAGES["merged"], **SILENT, heartbeat=beats)


# --- halves -------------------------------------------------------------------------------------

CLOSED_ONLY = ("close", "2025-01-01T23:00:00Z")


@pytest.mark.parametrize("metric", OUTAGES)
@pytest.mark.parametrize(
    ("incomplete", "counts", "minutes"),
    [("wait", "waits", 0), ("left_out", "left_out", 0),
     ("from_window_start", "from_window_start", 1440)],
)  # fmt: skip
def test_a_close_without_an_open_is_named_and_counts_as_stated(
    metric: str, incomplete: str, counts: str, minutes: int
) -> None:
    of = measured(metric, **OUTAGES[metric], silence="up", incomplete=incomplete)
    found = figure(of, metric, [outage("a", *CLOSED_ONLY, metric)])
    (half,) = found.incomplete
    assert (half.part, half.missing, half.counts) == ("a", "open", counts)
    assert [event.id for event in half.events] == ["a-close-2025-01-01T23:00:00Z"]
    assert (
        found.value
        == {
            "without-outage": 100 - Fraction(100 * minutes, MINUTES),
            "merged": minutes,
            "outages": int(minutes > 0),
        }[metric]
    )


@pytest.mark.parametrize("incomplete", ["wait", "from_window_start"])
def test_an_outage_that_ends_before_it_starts_is_named_and_waits(incomplete: str) -> None:
    of = measured("merged", **OUTAGES["merged"], silence="up", incomplete=incomplete)
    turned = [
        outage("a", "close", "2025-01-02T00:00:00Z", "merged"),
        outage("a", "open", "2025-01-03T00:00:00Z", "merged"),
    ]
    (half,) = figure(of, "merged", turned).incomplete
    assert (half.missing, half.counts) == ("end_after_start", "waits")


def test_halves_of_another_subject_or_window_are_none_of_this_figure() -> None:
    of = measured("merged", **OUTAGES["merged"], silence="up", incomplete="wait")
    other = [outage("a", *CLOSED_ONLY, "merged", subject="b")]
    assert figure(of, "merged", other, "a").incomplete == ()
    assert (
        figure(of, "merged", [outage("a", "close", "2025-02-02T00:00:00Z", "merged")]).incomplete
        == ()
    )
    void = [
        outage("a", *CLOSED_ONLY, "merged"),
        outage("a", "correct", "2025-01-05T00:00:00Z", "merged", void=True),
    ]
    assert figure(of, "merged", void).incomplete == (), "it is taken back"


def test_an_outage_that_goes_on_is_complete() -> None:
    of = measured("merged", **OUTAGES["merged"], silence="up", incomplete="wait")
    found = figure(of, "merged", [outage("a", "open", "2025-01-30T23:00:00Z", "merged")])
    assert (found.value, found.incomplete) == (1440, ())


TICKETS = {
    "kind": "tickets_in_time", "limit_minutes": 60, "equal_is_in_time": True, "stops_in": [],
    "open_past_limit": "late", "counts_for": "everyone", "across_periods": "ends",
    "late_counts": "in_each_period",
}  # fmt: skip


def tickets(incomplete: str, nothing: object = "no_data") -> Programme:
    return measured("tickets", **TICKETS, incomplete=incomplete, nothing_to_count=nothing)


def change(ticket: str, at: str, state: str, **data: Any) -> Said:
    said = {"metric": "tickets", "ticket": ticket, "state": state, **data}
    return Said(DESK, f"{ticket}-{at}", "ticket", moment(at), said)


@pytest.mark.parametrize(
    ("incomplete", "counts", "value", "total"),
    [("wait", "waits", 0, 1), ("left_out", "left_out", 0, 1),
     ("from_first_change", "from_first_change", 50, 2)],
)  # fmt: skip
def test_a_ticket_resolved_and_never_opened_counts_as_stated(
    incomplete: str, counts: str, value: int, total: int
) -> None:
    late = [
        change("t1", "2025-01-10T08:00:00Z", "opened"),
        change("t1", "2025-01-10T18:00:00Z", "resolved"),
    ]
    alone = change("t2", "2025-01-11T08:00:00Z", "resolved")
    found = figure(tickets(incomplete), "tickets", [*late, alone])
    (half,) = found.incomplete
    assert (half.part, half.missing, half.counts) == ("t2", "opened", counts)
    assert (found.value, found.total) == (value, total)


def test_a_ticket_that_is_handed_over_has_a_start() -> None:
    said = [
        change("t1", "2025-01-10T08:00:00Z", "assigned", assigned_to="desk"),
        change("t1", "2025-01-10T08:30:00Z", "resolved"),
    ]
    found = figure(tickets("wait"), "tickets", said)
    assert (found.value, found.incomplete) == (100, ())


# --- 0 of 0 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "value", "said"),
    [("no_data", None, "no_data"), ("no_result", None, "no_result"),
     ({"counts_as": 100}, 100, "counts_as")],
)  # fmt: skip
def test_nothing_to_count_is_told_from_no_fact_at_all(
    stated: object, value: int | None, said: str
) -> None:
    of = measured("ratio", kind="ratio", nothing_to_count=stated)
    none = Said(PROBE, "c1", "count", moment("2025-01-05T00:00:00Z"),
                {"metric": "ratio", "good": 0, "total": 0})  # fmt: skip
    found = figure(of, "ratio", [none])
    assert (found.value, found.total, found.nothing_to_count) == (value, 0, said)
    silent = figure(of, "ratio", [])
    assert (silent.value, silent.total, silent.nothing_to_count) == (None, 0, None)


def test_open_tickets_and_deliveries_to_come_say_that_nothing_was_due() -> None:
    opened = change("t1", "2025-01-31T22:50:00Z", "opened")
    found = figure(tickets("wait", "no_result"), "tickets", [opened])
    assert (found.value, found.nothing_to_count) == (None, "no_result")
    earlier = [
        change("t1", "2024-12-10T08:00:00Z", "opened"),
        change("t1", "2024-12-10T08:10:00Z", "resolved"),
    ]
    assert figure(tickets("wait", "no_result"), "tickets", earlier).nothing_to_count is None
    of = measured(
        "deliveries", kind="delivery_delay", nothing_to_count={"counts_as": 0},
        across_periods="begins", until_delivered="late_so_far",
    )  # fmt: skip
    due = {"metric": "deliveries", "delivery": "d1", "due_at": "2025-03-01T00:00:00Z"}
    announced = Said(PROBE, "d1", "delivery", moment("2024-12-20T00:00:00Z"), due)
    found = figure(of, "deliveries", [announced])
    assert (found.value, found.total, found.nothing_to_count) == (0, 0, "counts_as")
    assert figure(of, "deliveries", []).value is None


def test_a_composite_lacks_what_its_parts_lack() -> None:
    body = measured("ratio", kind="ratio", nothing_to_count="no_result").model_dump(mode="json")
    of = Programme.model_validate(body)
    up = Said(
        PROBE, "s1", "sample", moment("2025-01-05T00:00:00Z"), {"metric": "samples", "up": True}
    )
    none = Said(PROBE, "c1", "count", moment("2025-01-05T00:00:00Z"),
                {"metric": "ratio", "good": 0, "total": 0})  # fmt: skip
    assert figure(of, "series", [up, none]).nothing_to_count == "no_result"
    assert figure(of, "series", [none]).nothing_to_count is None, "of samples nothing is known"
    assert figure(of, "series", [up]).nothing_to_count is None
