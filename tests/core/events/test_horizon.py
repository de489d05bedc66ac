"""How far back an event may lie, against a plain reading of the rule."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.period import PeriodLength
from services.core.calendar.windows import (
    DAY_US,
    bounds_us,
    instant,
    label_at,
    microseconds,
    window_of,
)
from services.core.events.horizon import Horizon, Latest, horizons_of
from tests.core.said import PROGRAMME, agreement, moment, programme

ZONES = ("Etc/UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Apia")
LENGTHS: tuple[PeriodLength, ...] = ("day", "month", "quarter", "half_year", "year")
INSTANTS = st.integers(
    microseconds(moment("2008-01-01 00:00")), microseconds(moment("2031-01-01 00:00"))
)


@given(INSTANTS, INSTANTS, st.integers(1, 3660), st.sampled_from(ZONES), st.sampled_from(LENGTHS))
def test_an_event_is_beyond_when_its_period_and_the_days_lie_before_the_latest(
    at_us: int, latest_us: int, days: int, zone: str, longest: PeriodLength
) -> None:
    end = bounds_us(window_of(label_at(instant(at_us), zone, longest), zone))[1]
    horizon = Horizon(days, zone, longest)
    assert horizon.is_beyond(at_us, latest_us) == (end + days * DAY_US < latest_us)
    assert not horizon.is_beyond(at_us, end + days * DAY_US)
    assert horizon.is_beyond(at_us, end + days * DAY_US + 1)


def test_nothing_is_too_old_while_a_source_has_said_nothing() -> None:
    assert not Horizon(1, "Etc/UTC", "day").is_beyond(-(2**60), None)


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("2025-01", "2025-01-31 23:00"),
        ("2025", "2025-12-31 23:00"),
        ("2025-Q1", "2025-03-31 22:00"),
    ],
)
def test_what_states_a_period_is_about_its_last_instant(period: str, end: str) -> None:
    horizon = Horizon(90, "Europe/Berlin", "month")
    assert horizon.about_us(0, period) == microseconds(moment(end)) - 1


def test_a_period_that_no_calendar_has_is_as_old_as_its_event() -> None:
    assert Horizon(90, "Pacific/Apia", "month").about_us(7, "2011-12-30") == 7
    assert Horizon(90, "Etc/UTC", "month").about_us(7, "9999") == 7


def test_the_beginning_of_the_calendar_breaks_nothing() -> None:
    horizon = Horizon(36_600, "America/Los_Angeles", "year")
    assert not horizon.is_beyond(0, microseconds(moment("0003-06-01 00:00")))


def test_of_all_versions_the_longest_restatement_and_period_count() -> None:
    shorter = programme(2, "2025-02-01").model_copy(update={"restated_for_days": 30})
    quarterly = agreement([{"metric": "samples"}], settled="quarter")
    found = horizons_of({PROGRAMME.programme: [shorter, PROGRAMME]}, [quarterly])
    assert found == {
        PROGRAMME.programme: Horizon(PROGRAMME.restated_for_days, PROGRAMME.time_zone, "quarter")
    }
    for lengths in permutations(("month", "half_year", "day")):
        every = [agreement([{"metric": "samples"}], settled=length) for length in lengths]
        found = horizons_of({PROGRAMME.programme: [PROGRAMME]}, every)
        assert found[PROGRAMME.programme].longest == "half_year"
    assert horizons_of({PROGRAMME.programme: [PROGRAMME]}, [])[PROGRAMME.programme].longest == (
        "month"
    )


def test_the_latest_of_a_source_only_grows_and_is_its_own() -> None:
    latest = Latest({"a": 10})
    latest.accepted("a", 5)
    latest.accepted("b", -7)
    assert (latest.of("a"), latest.of("b"), latest.of("c")) == (10, -7, None)
    latest.accepted("a", 11)
    assert latest.of("a") == 11
