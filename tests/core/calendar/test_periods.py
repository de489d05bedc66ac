"""Labels and lengths of periods, of the calendar and from other days."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.period import first_day, label_of, next_label, period_length
from schemas.period_cycle import cycle_of, length_text, longest_of, same_length
from services.core.calendar.days import contract_year, counted_on
from services.core.calendar.windows import (
    days_in,
    days_shared,
    how_many,
    labels_between,
    overlaps,
    parts_of,
)

LENGTHS = {
    "day": "2025-02-20",
    "week": "2025-W08",
    "week_from_sun": "2025-02-16_P7D",
    "four_weeks_from_2025-01-06": "2025-02-03_P28D",
    "month": "2025-02",
    "month_from_15": "2025-02-15_P1M",
    "quarter": "2025-Q1",
    "quarter_from_02-15": "2025-02-15_P3M",
    "half_year": "2025-H1",
    "half_year_from_05-01": "2024-11-01_P6M",
    "year": "2025",
    "year_from_04-01": "2024-04-01_P1Y",
}
DAYS = st.dates(date(1991, 1, 1), date(2198, 1, 1))


@pytest.mark.parametrize(("length", "label"), LENGTHS.items())
def test_a_length_names_the_period_of_a_day(length: str, label: str) -> None:
    assert label_of(date(2025, 2, 20), length) == label
    assert same_length(period_length(label), length)


@given(DAYS, st.sampled_from(list(LENGTHS)), st.integers(-40, 40))
def test_periods_of_a_length_follow_each_other_without_gap(
    day: date, length: str, steps: int
) -> None:
    label = label_of(day, length)
    assert first_day(label) <= day < first_day(next_label(label))
    assert label_of(first_day(label) - timedelta(days=1), length) == next_label(label, -1)
    other = next_label(label, steps)
    assert next_label(other, -steps) == label
    assert how_many(label, other) == steps + 1
    assert label_of(first_day(other), length) == other
    assert (first_day(label), label) < (first_day(next_label(label)), next_label(label))


@given(DAYS, st.sampled_from(list(LENGTHS)), st.sampled_from(list(LENGTHS)))
def test_a_period_is_made_of_whole_ones_or_of_none(day: date, length: str, inner: str) -> None:
    label = label_of(day, length)
    if not cycle_of(length).made_of(cycle_of(inner)):
        with pytest.raises(ValueError, match="not made of whole periods"):
            parts_of(label, inner)
        return
    parts = parts_of(label, inner)
    assert first_day(parts[0]) == first_day(label)
    assert first_day(next_label(parts[-1])) == first_day(next_label(label))
    assert sum(days_in(part) for part in parts) == days_in(label)


@given(DAYS, st.sampled_from(list(LENGTHS)), DAYS, st.sampled_from(list(LENGTHS)))
def test_days_shared_are_those_that_lie_in_both(
    day: date, length: str, other_day: date, other_length: str
) -> None:
    near = day + timedelta(days=(other_day - day).days % 400)
    label, other = label_of(day, length), label_of(near, other_length)
    spans = [
        {first_day(one) + timedelta(days=each) for each in range(days_in(one))}
        for one in (label, other)
    ]
    assert days_shared(label, other) == len(spans[0] & spans[1])
    assert overlaps(label, other) == bool(spans[0] & spans[1])


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("2025-W53", "2025 has no week 53"),
        ("2025-W00", "2025 has no week 00"),
        ("2025-01-06_P7D", "write 2025-W02"),
        ("2025-02-01_P1M", "write 2025-02"),
        ("2025-04-01_P3M", "write 2025-Q2"),
        ("2025-07-01_P6M", "write 2025-H2"),
        ("2025-01-01_P1Y", "write 2025"),
        ("2025-01-31_P1M", "a day from 1 to 28"),
        ("2025-02-30_P28D", "names no day of the calendar"),
        ("2025-02-15_P2M", "names no period"),
    ],
)
def test_a_label_has_one_way_to_be_written(label: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        first_day(label)


def test_a_year_of_53_weeks_ends_with_its_53rd() -> None:
    assert next_label("2026-W53") == "2027-W01"
    assert next_label("2025-W52") == "2026-W01"
    assert (first_day("2026-W53"), first_day("2025-W01")) == (
        date(2026, 12, 28),
        date(2024, 12, 30),
    )


def test_four_weeks_are_the_same_from_whichever_of_their_first_days() -> None:
    assert same_length("four_weeks_from_2025-01-06", "four_weeks_from_2025-02-03")
    assert not same_length("four_weeks_from_2025-01-06", "four_weeks_from_2025-01-13")


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        ("week_from_mon", "write week"),
        ("month_from_1", "write month"),
        ("month_from_29", "a day from 1 to 28"),
        ("quarter_from_10-01", "write quarter"),
        ("half_year_from_07-01", "write half_year"),
        ("year_from_01-01", "write year"),
        ("year_from_13-01", "a month from 01 to 12"),
        ("four_weeks_from_2025-02-30", "names no day"),
        ("fortnight", "no length of a period"),
    ],
)
def test_a_length_has_one_way_to_be_written(length: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cycle_of(length)


def test_lengths_in_words() -> None:
    said = [length_text(length) for length in LENGTHS]
    assert said == [
        "day", "week", "week from Sunday", "period of four weeks", "month", "month from day 15",
        "quarter", "quarter from 02-15", "half year", "half year from 05-01", "year",
        "year from 04-01",
    ]  # fmt: skip
    assert longest_of(["week", "day", "four_weeks_from_2025-01-06"]).startswith("four")
    assert longest_of(["month", "four_weeks_from_2025-01-06"]) == "month"


@settings(max_examples=20)
@given(st.sampled_from(["first_day", "last_day", "most_days"]), DAYS, st.integers(1, 110))
def test_each_week_is_in_one_contract_year(belongs_to: str, day: date, weeks: int) -> None:
    begins = first_day(label_of(day, "week"))
    first = label_of(begins, "week")
    years = [
        contract_year(begins, label, belongs_to)  # type: ignore[arg-type]
        for label in labels_between(first, next_label(first, weeks))
    ]
    for before, after in pairwise(years):
        assert after[:-1] == before or len(after) == 1, "the year goes on, or a new one begins"
    assert all(52 <= len(before) <= 53 for before, after in pairwise(years) if len(after) == 1)


def test_a_week_is_counted_by_its_first_its_last_or_its_middle_day() -> None:
    assert counted_on("2026-W02") == counted_on("2026-W02", "first_day") == date(2026, 1, 5)
    assert counted_on("2026-W02", "last_day") == date(2026, 1, 11)
    assert counted_on("2026-W02", "most_days") == date(2026, 1, 8)
