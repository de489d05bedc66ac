"""Periods in zones, and clocks of business hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import zone_of
from schemas.business_hours import BusinessHours
from schemas.period import PeriodLength
from services.core.calendar import windows
from services.core.calendar.windows import (
    DAY_US,
    SECOND_US,
    bounds_us,
    business_us,
    covers,
    days_in,
    instant,
    label_at,
    labels_between,
    microseconds,
    overlaps,
    parts_of,
    window_of,
)

OFFICE = BusinessHours.model_validate(
    {
        "time_zone": "Europe/Berlin",
        "hours": [
            {"days": ["mon", "tue", "wed", "thu", "fri"], "opens": "09:00", "closes": "17:00"},
            {"days": ["sat"], "opens": "22:00", "closes": "24:00"},
        ],
        "holidays": ["2025-01-01"],
    }
)
MOMENTS = st.datetimes(datetime(1995, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("label", "zone", "hours"),
    [
        ("2025-03-30", "Europe/Berlin", 23),
        ("2025-10-26", "Europe/Berlin", 25),
        ("2025-03-29", "Europe/Berlin", 24),
        ("2025-03", "Europe/Berlin", 31 * 24 - 1),
        ("2025-10", "America/New_York", 31 * 24),
        ("2025-11", "America/New_York", 30 * 24 + 1),
        ("2024-02", "UTC", 29 * 24),
        ("2024", "UTC", 366 * 24),
        ("2018-11-04", "America/Sao_Paulo", 23),  # midnight itself was skipped
    ],
)
def test_a_period_is_as_long_as_its_zone_makes_it(label: str, zone: str, hours: int) -> None:
    window = window_of(label, zone)
    assert window.end - window.start == timedelta(hours=hours)


def test_a_window_begins_at_local_midnight() -> None:
    window = window_of("2025-07", "Europe/Berlin")
    assert window.start == datetime(2025, 6, 30, 22, tzinfo=UTC)
    assert window.end == datetime(2025, 7, 31, 22, tzinfo=UTC)


def test_a_day_that_a_zone_skipped_is_refused() -> None:
    with pytest.raises(ValueError, match="skipped that day"):
        window_of("2011-12-30", "Pacific/Apia")


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        window_of("2025-01", "Europe/Nowhere")


@settings(deadline=None)
@given(
    MOMENTS,
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
    st.sampled_from(["day", "month", "quarter", "half_year", "year"]),
)
def test_the_label_at_an_instant_names_the_window_that_holds_it(
    at: datetime, zone: str, length: PeriodLength
) -> None:
    window = window_of(label_at(at, zone, length), zone)
    assert window.start <= at < window.end


@settings(deadline=None)
@given(MOMENTS)
def test_microseconds_and_instants_are_each_others_reverse(at: datetime) -> None:
    assert instant(microseconds(at)) == at


@pytest.mark.parametrize("label", ["2025", "2025-H2", "2025-Q4", "2025-10", "2024-02"])
@pytest.mark.parametrize("length", ["day", "month"])
def test_the_parts_of_a_period_fill_it_without_gap(label: str, length: PeriodLength) -> None:
    windows = [bounds_us(window_of(part, "Europe/Berlin")) for part in parts_of(label, length)]
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]
    assert (windows[0][0], windows[-1][1]) == bounds_us(window_of(label, "Europe/Berlin"))


def test_a_month_is_not_made_of_quarters() -> None:
    with pytest.raises(ValueError, match="not made of"):
        parts_of("2025-01", "quarter")
    with pytest.raises(ValueError, match="2025-01-15 is not made of whole periods of a month"):
        parts_of("2025-01-15", "month")


def test_labels_between_include_both_ends_and_cross_years() -> None:
    assert labels_between("2024-11", "2025-02") == ("2024-11", "2024-12", "2025-01", "2025-02")
    assert labels_between("2025-02", "2025-01") == ()
    with pytest.raises(ValueError, match="different length"):
        labels_between("2025-02", "2025-Q2")


@pytest.mark.parametrize(
    ("label", "other", "covered", "touched"),
    [
        ("2025-Q1", "2025-03-31", True, True),
        ("2025-Q1", "2025-Q1", True, True),
        ("2025-Q1", "2025-04", False, False),
        ("2025-02", "2025-Q1", False, True),
        ("2025-02", "2025-01-31", False, False),
        ("2025", "2025-H2", True, True),
    ],
)
def test_a_period_covers_or_touches_another(
    label: str, other: str, covered: bool, touched: bool
) -> None:
    assert covers(label, other) is covered
    assert overlaps(label, other) is overlaps(other, label) is touched


def test_a_period_has_the_days_of_the_calendar() -> None:
    assert days_in("2024-02") == 29


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2025-01-02T08:00+01:00", "2025-01-02T18:00+01:00", 8),
        ("2025-01-02T10:00+01:00", "2025-01-02T11:30+01:00", 1.5),
        ("2025-01-01T00:00+01:00", "2025-01-02T00:00+01:00", 0),  # a holiday
        ("2025-01-03T16:00+01:00", "2025-01-06T10:00+01:00", 1 + 2 + 1),  # over a weekend
        ("2025-01-02T11:30+01:00", "2025-01-02T10:00+01:00", 0),
    ],
)
def test_business_hours_run_only_while_open(start: str, end: str, hours: float) -> None:
    assert business_us(us(start), us(end), OFFICE) == int(hours * 3600) * SECOND_US


@pytest.mark.parametrize(
    ("label", "hours"), [("2025-03-30", 23), ("2025-10-26", 25), ("2025-03-29", 24)]
)
def test_an_open_day_of_a_clock_change_counts_the_hours_that_it_has(label: str, hours: int) -> None:
    always = BusinessHours.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "hours": [{"days": ["sat", "sun"], "opens": "00:00", "closes": "24:00"}],
        }
    )
    assert business_us(*bounds_us(window_of(label, "Europe/Berlin")), always) == (
        hours * 3600 * SECOND_US
    )


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_days_of_business_are_those_of_the_calendars_own_zone(zone: str) -> None:
    always = BusinessHours.model_validate(
        {
            "time_zone": zone,
            "hours": [
                {
                    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                    "opens": "00:00",
                    "closes": "24:00",
                }
            ],
            "holidays": ["2025-01-15"],
        }
    )
    for hour in range(-48, 48, 5):
        begins = microseconds(window_of("2025-01-15", zone).start) + hour * 3600 * SECOND_US
        ends = begins + 3600 * SECOND_US
        assert business_us(begins, ends, always) == (0 if 0 <= hour < 24 else 3600 * SECOND_US)


@settings(deadline=None)
@given(MOMENTS, st.integers(0, 40 * 24 * 60), st.integers(0, 40 * 24 * 60))
def test_business_time_adds_up_however_a_stretch_is_cut(at: datetime, one: int, two: int) -> None:
    first = microseconds(at)
    second = microseconds(at + timedelta(minutes=one))
    third = microseconds(at + timedelta(minutes=one + two))
    assert business_us(first, third, OFFICE) == (
        business_us(first, second, OFFICE) + business_us(second, third, OFFICE)
    )


@pytest.mark.parametrize("days", [5, 20], ids=["each by itself", "by weeks"])
def test_a_day_that_a_zone_left_out_has_no_hours(days: int) -> None:
    """Samoa had no Friday, 30 December 2011."""
    calendar = OFFICE.model_copy(update={"time_zone": "Pacific/Apia"})
    start = microseconds(datetime(2011, 12, 28, tzinfo=zone_of("Pacific/Apia")))
    end = start + days * DAY_US
    without = calendar.model_copy(update={"holidays": (*calendar.holidays, date(2011, 12, 30))})
    assert business_us(start, end, calendar) == business_us(start, end, without) > 0


@settings(deadline=None, max_examples=30)
@given(
    MOMENTS,
    st.integers(0, 3 * 366 * 24 * 60),
    st.sampled_from(
        ["Europe/Berlin", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia",
         "Australia/Lord_Howe", "Asia/Tehran", "UTC"]
    ),
)  # fmt: skip
def test_weeks_counted_at_once_are_the_days_counted_one_by_one(
    at: datetime, minutes: int, zone: str
) -> None:
    calendar = OFFICE.model_copy(update={"time_zone": zone})
    start, end = microseconds(at), microseconds(at + timedelta(minutes=minutes))
    week = 7 * DAY_US
    pieces = [(cut, min(cut + week, end)) for cut in range(start, end, week)]
    assert business_us(start, end, calendar) == sum(
        business_us(first, last, calendar) for first, last in pieces
    )


def test_business_hours_of_decades_look_at_few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[date] = []
    by_day = windows._open_us

    def counted(day: date, calendar: BusinessHours) -> Iterator[tuple[int, int]]:
        looked.append(day)
        return by_day(day, calendar)

    monkeypatch.setattr(windows, "_open_us", counted)
    opened = business_us(us("1990-01-02T00:00Z"), us("2090-01-02T00:00Z"), OFFICE)
    assert opened > 100 * 52 * 40 * 3600 * SECOND_US
    assert len(looked) <= 2 + 2 * 100, "the ends, and the days on which the clock changes"


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        ([{"days": ["mon"], "opens": "17:00", "closes": "09:00"}], "before it opens"),
        (
            [
                {"days": ["mon"], "opens": "09:00", "closes": "12:00"},
                {"days": ["mon", "tue"], "opens": "11:00", "closes": "17:00"},
            ],
            "overlap on mon",
        ),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(hours: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        BusinessHours.model_validate({"time_zone": "UTC", "hours": hours})
