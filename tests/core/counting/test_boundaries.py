"""Occurrences over the end of a period: whole where they begin or end, or split, and never lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.calendar.intervals import merged
from services.core.calendar.windows import window_of
from services.core.inputs.occurrences import occurrences
from tests.core.across import START, each, figures, looking, metric, outage, version
from tests.core.said import DESK, PROBE, Said, moment

few = settings(max_examples=60, deadline=None)

Interval = tuple[int, int]
# Hours from the start of January, for three months; some shorter than an hour by half of one.
INTERVALS = st.lists(
    st.tuples(st.integers(0, 24 * 90), st.integers(0, 24 * 45)).map(
        lambda found: (60 * found[0], 60 * found[0] + 30 * found[1])
    ),
    max_size=6,
)


def outages(intervals: Sequence[Interval]) -> list[Said]:
    """Outages by minutes from the start of January."""
    return [
        said
        for place, (since, until) in enumerate(intervals)
        for said in outage(
            f"o{place}", START + timedelta(minutes=since), START + timedelta(minutes=until)
        )
    ]


def units(minutes: int, part: str) -> Fraction:
    hours = Fraction(minutes, 60)
    if part == "exact":
        return hours
    return Fraction(ceil(hours) if part == "started_counts" else floor(hours))


@few
@given(
    INTERVALS,
    st.sampled_from(["begins", "ends"]),
    st.sampled_from(["exact", "started_counts", "full_only"]),
    st.sampled_from(["each", "merged"]),
)
def test_wholes_add_up_to_the_units_of_what_was_never_cut(
    intervals: list[Interval], how: str, part: str, overlap: str
) -> None:
    measured = metric("outage_time", "hours", overlap=overlap, part=part, across_periods=how)
    found = figures(outages(intervals), [version(measured)], looking())
    uncut = merged(intervals) if overlap == "merged" else intervals
    values = [one.value for one in found]
    assert None not in values
    assert sum(filter(None, values), Fraction(0)) == sum(
        (units(until - since, part) for since, until in uncut), Fraction(0)
    )


@few
@given(INTERVALS, st.sampled_from(["each", "merged"]))
def test_pieces_add_up_to_the_whole_time(intervals: list[Interval], overlap: str) -> None:
    measured = metric("outage_time", overlap=overlap, part="exact", across_periods="split")
    found = figures(outages(intervals), [version(measured)], looking(each()))
    uncut = merged(intervals) if overlap == "merged" else intervals
    total = sum((one.value or Fraction(0) for one in found), Fraction(0))
    assert total == sum(until - since for since, until in uncut)
    pieces = [part.amount for one in found for part in one.parts]
    assert sum(pieces, Fraction(0)) == sum(until - since for since, until in intervals)


@few
@given(INTERVALS, st.sampled_from(["begins", "ends"]))
def test_every_outage_is_counted_once(intervals: list[Interval], how: str) -> None:
    measured = metric("outage_count", "count", across_periods=how)
    found = figures(outages(intervals), [version(measured)], looking(each()))
    assert sum(one.value or 0 for one in found) == len(intervals)
    amounts = sorted(part.amount for one in found for part in one.parts)
    assert amounts == sorted(until - since for since, until in intervals)


WAYS = st.sampled_from(["begins", "ends", "split"])


@few
@given(INTERVALS, WAYS, WAYS, st.sampled_from(["2025-02-01", "2025-03-01"]))
def test_a_change_of_version_loses_no_outage_and_counts_none_twice(
    intervals: list[Interval], before: str, after: str, since: str
) -> None:
    one, other = (
        metric("outage_time", overlap="each", part="exact", across_periods=how)
        for how in (before, after)
    )
    found = figures(outages(intervals), [version(one), version(other, 2, since)], looking())
    total = sum((each_month.value or Fraction(0) for each_month in found), Fraction(0))
    assert total == sum(until - start for start, until in intervals)


@few
@given(INTERVALS, WAYS, WAYS)
def test_a_share_of_time_is_always_split(intervals: list[Interval], how: str, other: str) -> None:
    one, same = (
        [version(metric("availability_by_outages", "percent", across_periods=way))]
        for way in (how, other)
    )
    said = outages(intervals)
    values = [figure.value for figure in figures(said, one, looking(each()))]
    assert values == [figure.value for figure in figures(said, same, looking())]


# --- what is not over -----------------------------------------------------------------------------

JANUARY_31 = Said(
    PROBE, "o1", "outage", moment("2025-01-31 12:00"),
    {"metric": "m", "outage": "inc-1", "phase": "open"},
)  # fmt: skip
CLOSED = JANUARY_31._replace(
    id="o2", at=moment("2025-02-02 00:00"), data=JANUARY_31.data | {"phase": "close"}
)


def test_an_open_outage_is_waited_for_where_it_begins() -> None:
    measured = metric("outage_time", overlap="each", part="exact", across_periods="begins")
    january, february, *_ = figures([JANUARY_31], [version(measured)], looking())
    assert (january.value, january.unfinished) == (None, ("inc-1",))
    assert (february.value, february.unfinished) == (0, ())
    january, february, *_ = figures([JANUARY_31, CLOSED], [version(measured)], looking())
    assert (january.value, january.unfinished, january.evidence.facts) == (36 * 60, (), 2)
    assert (february.value, february.parts) == (0, ())


def test_a_number_of_outages_needs_no_end_unless_a_term_prices_them() -> None:
    versions = [version(metric("outage_count", "count", across_periods="begins"))]
    counted, *_ = figures([JANUARY_31, CLOSED], versions, looking())
    assert (counted.value, counted.unfinished, counted.evidence.facts) == (1, (), 1)
    priced, *_ = figures([JANUARY_31], versions, looking(each()))
    assert (priced.value, priced.unfinished) == (1, ("inc-1",))
    priced, *_ = figures([JANUARY_31, CLOSED], versions, looking(each()))
    assert [part.amount for part in priced.parts] == [36 * 60]


def test_an_end_at_the_first_instant_of_a_period_is_in_that_period() -> None:
    measured = metric("outage_time", overlap="each", part="exact", across_periods="ends")
    midnight = CLOSED._replace(at=window_of("2025-02", "Europe/Berlin").start)
    january, february, *_ = figures([JANUARY_31, midnight], [version(measured)], looking())
    assert (january.value, february.value) == (0, 11 * 60)


def test_overlapping_outages_count_as_one_where_the_first_begins() -> None:
    measured = metric("outage_time", overlap="merged", part="started_counts", unit="days",
                      across_periods="begins")  # fmt: skip
    second = JANUARY_31._replace(
        id="o3", at=moment("2025-02-01 12:00"), data=JANUARY_31.data | {"outage": "inc-2"}
    )
    end = second._replace(id="o4", at=moment("2025-02-03 00:00"),
                          data=second.data | {"phase": "close"})  # fmt: skip
    said = [JANUARY_31, CLOSED, second, end]
    january, february, *_ = figures(said, [version(measured)], looking())
    assert (january.value, february.value) == (3, 0)  # 60 hours from 31 January
    assert [part.part for part in january.parts] == ["inc-1", "inc-2"]


# --- tickets --------------------------------------------------------------------------------------


def ticket(at: str, state: str) -> Said:
    data = {"metric": "m", "ticket": "t1", "state": state}
    return Said(DESK, f"t1-{at}".replace(" ", "T"), "ticket", moment(at), data)


def tickets(said: Sequence[Said], **options: Any) -> list[tuple[Fraction | None, int]]:
    """The share in time of each month, and how many shares were counted."""
    measured = metric(
        "tickets_in_time", "percent", limit_minutes=60, equal_is_in_time=True, stops_in=[],
        counts_for="everyone", **options,
    )  # fmt: skip
    found = figures(said, [version(measured)], looking())
    return [(one.value, int(one.total or 0)) for one in found]


LATE = (Fraction(0), 1)
NONE = (None, 0)
OPENED, RESOLVED = ticket("2025-01-20 12:00", "opened"), ticket("2025-04-02 12:00", "resolved")


@pytest.mark.parametrize(
    ("options", "months"),
    [
        ({"open_past_limit": "late", "late_counts": "in_each_period"}, [LATE] * 4 + [NONE]),
        ({"open_past_limit": "late", "late_counts": "once"}, [LATE] + [NONE] * 4),
        ({"open_past_limit": "left_out"}, [NONE] * 3 + [LATE, NONE]),
    ],
)
def test_an_open_ticket_is_late_as_often_as_the_metric_says(
    options: dict[str, str], months: list[Any]
) -> None:
    assert tickets([OPENED, RESOLVED], across_periods="ends", **options) == months


def test_a_ticket_whose_time_runs_out_over_the_end_is_late_there_once() -> None:
    at_the_end = [ticket("2025-01-31 22:30", "opened"), RESOLVED]  # 23:30 in Berlin
    months = tickets(at_the_end, across_periods="ends", open_past_limit="late", late_counts="once")
    assert months == [NONE, LATE, NONE, NONE, NONE]
    in_time = [at_the_end[0], ticket("2025-01-31 23:20", "resolved")]
    months = tickets(in_time, across_periods="ends", open_past_limit="late", late_counts="once")
    assert months == [NONE, (Fraction(100), 1), NONE, NONE, NONE]


def test_where_tickets_count_where_they_begin_an_open_one_is_waited_for() -> None:
    measured = metric(
        "tickets_in_time", "percent", limit_minutes=60, equal_is_in_time=True, stops_in=[],
        counts_for="everyone", across_periods="begins", open_past_limit="left_out",
    )  # fmt: skip
    january, *others = figures([OPENED], [version(measured)], looking())
    assert (january.value, january.unfinished) == (None, ("t1",))
    january, *others = figures([OPENED, RESOLVED], [version(measured)], looking())
    assert (january.value, january.unfinished) == (0, ())
    assert [(one.value, one.parts) for one in others] == [(None, ())] * 4
    late = tickets([OPENED], across_periods="begins", open_past_limit="late")
    assert late == [LATE, NONE, NONE, NONE, NONE]


# --- deliveries -----------------------------------------------------------------------------------


def goods(at: str = "2025-01-20 12:00", **state: str) -> Said:
    data = {"metric": "m", "delivery": "d1", "due_at": "2025-01-20T12:00:00Z", **state}
    return Said(PROBE, f"d1-{at}".replace(" ", "T"), "delivery", moment(at), data)


def delays(said: Sequence[Said], **options: Any) -> list[tuple[Fraction | None, list[Fraction]]]:
    measured = metric("delivery_delay", "days", **options)
    found = figures(said, [version(measured)], looking())
    return [(one.value, [part.amount for part in one.parts]) for one in found]


DELIVERED = goods("2025-02-10 12:00", delivered_at="2025-02-10T12:00:00Z")
NOT_HERE: tuple[None, list[Fraction]] = (None, [])


def test_a_delay_counts_where_it_is_due_where_it_ends_or_in_each_month() -> None:
    begins = {"across_periods": "begins", "until_delivered": "waits"}
    assert delays([goods(), DELIVERED], **begins)[:2] == [(1, [21]), NOT_HERE]
    assert delays([goods(), DELIVERED], across_periods="ends")[:2] == [NOT_HERE, (1, [21])]
    split = delays([goods(), DELIVERED], across_periods="split")
    inside = Fraction(11) + Fraction(11, 24)  # until midnight in Berlin
    assert split[:3] == [(1, [inside]), (1, [21 - inside]), NOT_HERE]


def test_what_is_neither_delivered_nor_called_off_goes_on_being_late() -> None:
    split = delays([goods()], across_periods="split")
    assert [value for value, _ in split] == [1] * 5
    called_off = goods("2025-02-10 12:00", called_off_at="2025-02-10T12:00:00Z")
    assert [value for value, _ in delays([goods(), called_off], across_periods="split")] == [
        1, 1, None, None, None,
    ]  # fmt: skip
    in_time = goods("2025-01-19 12:00", called_off_at="2025-01-19T12:00:00Z")
    assert delays([in_time], across_periods="ends") == [NOT_HERE] * 5


def test_an_early_delivery_counts_once_in_every_way() -> None:
    early = goods("2025-01-18 12:00", delivered_at="2024-12-30T12:00:00Z")
    assert delays([early], across_periods="split")[0] == (0, [-21])
    assert delays([early], across_periods="ends") == [NOT_HERE] * 5  # in December
    begins = {"across_periods": "begins", "until_delivered": "waits"}
    assert delays([early], **begins)[0] == (0, [-21])


@few
@given(
    st.lists(st.tuples(st.integers(0, 24 * 80), st.integers(-48, 24 * 40)), max_size=5),
    st.sampled_from(["begins", "ends", "split"]),
)
def test_delays_of_all_months_add_up_to_the_delays(found: list[tuple[int, int]], how: str) -> None:
    said = []
    for place, (due, late) in enumerate(found):
        at: datetime = START + timedelta(hours=due + 72)
        data = {"metric": "m", "delivery": f"d{place}", "due_at": at.isoformat(),
                "delivered_at": (at + timedelta(hours=late)).isoformat()}  # fmt: skip
        said.append(Said(PROBE, f"d{place}", "delivery", at, data))
    options = {"until_delivered": "waits"} if how == "begins" else {}
    months = delays(said, across_periods=how, **options)
    assert sum((sum(amounts) for _, amounts in months), Fraction(0)) == sum(
        Fraction(late, 24) for _, late in found
    )


# --- terms that count in another way --------------------------------------------------------------


@few
@given(INTERVALS, WAYS, WAYS)
def test_all_of_an_outage_is_there_for_a_term_that_counts_it_elsewhere(
    intervals: list[Interval], how: str, own: str
) -> None:
    measured = metric("outage_time", overlap="each", part="exact", across_periods=how)
    found = figures(outages(intervals), [version(measured)], looking(each(across_periods=own)))
    counted = [part for one in found for part in occurrences(one, own).parts]  # type: ignore[arg-type]
    assert sum((part.amount for part in counted), Fraction(0)) == sum(
        until - since for since, until in intervals
    )
    if own != "split":
        assert len(counted) == len(intervals)
    directly = [version(metric("outage_time", overlap="each", part="exact", across_periods=own))]
    same = [part for one in figures(outages(intervals), directly, looking()) for part in one.parts]
    told = sorted((part.part, part.start, part.end, part.amount) for part in counted)
    assert told == sorted((part.part, part.start, part.end, part.amount) for part in same)
