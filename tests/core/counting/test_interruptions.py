"""The shortest interruption that counts, and outages so near each other that they are one."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.evaluation import MetricFigure
from services.core.counting.evaluation import evaluate
from tests.core.counting.test_business_hours import HOURS, down
from tests.core.counting.test_observed import OUTAGES, measured
from tests.core.said import NUMBERS, Said, agreement, facts, moment

TEN = {"at_least_minutes": 10}


def counted(
    metric: str, events: list[Said], interruptions: Any, period: str = "2025-01", **measure: Any
) -> MetricFigure:
    stated = {"silence": "up", "incomplete": "wait", "interruptions": interruptions} | measure
    of = measured(metric, **(OUTAGES[metric] | stated))
    found = evaluate(
        [of], [agreement([{"metric": metric}])], period, facts(events), NUMBERS, 1, "closed"
    )
    (figure,) = found.figures
    return figure


def outages(metric: str, *stretches: tuple[str, float]) -> list[Said]:
    """Outages by their start and their minutes."""
    events: list[Said] = []
    for number, (since, minutes) in enumerate(stretches):
        until = (moment(since) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
        events += down(metric, since, until, f"o{number}")
    return events


@pytest.mark.parametrize(
    ("metric", "value"),
    [("without-outage", 100 * Fraction(43_180, 43_200)), ("merged", 20), ("outages", 1)],
)
def test_what_is_shorter_does_not_count(metric: str, value: Fraction) -> None:
    short = [(f"2025-04-{day:02}T10:00:00Z", 4) for day in range(1, 11)]
    events = outages(metric, *short, ("2025-04-20T10:00:00Z", 20))
    found = counted(metric, events, TEN, "2025-04")
    assert (found.value, found.short_interruptions) == (value, 10)
    assert [part.amount for part in found.parts] == [20]
    assert counted(metric, outages(metric, ("2025-01-05T10:00:00Z", 10)), TEN).parts


@pytest.mark.parametrize("end", ["2025-01-31T23:04:00Z", "2025-01-31T23:06:00Z"])
def test_the_length_is_that_of_all_of_it_so_that_periods_add_up(end: str) -> None:
    events = down("merged", "2025-01-31T22:55:00Z", end)
    months = [counted("merged", events, TEN, month) for month in ("2025-01", "2025-02")]
    together = sum(month.value or 0 for month in months)
    assert together == (0 if end < "2025-01-31T23:05:00Z" else 11)
    assert {month.short_interruptions for month in months} == ({None} if together else {1})


def test_what_is_not_over_counts() -> None:
    lasting = down("merged", "2025-01-31T22:55:00Z", "2025-03-01T00:00:00Z")[:1]
    assert counted("merged", lasting, TEN).value == 5


def test_outages_that_are_near_are_one_with_the_time_between_them() -> None:
    near = [("2025-01-10T10:00:00Z", 4), ("2025-01-10T10:06:00Z", 4), ("2025-01-10T10:13:00Z", 4)]
    for metric, value in (("merged", 10), ("outages", 1)):
        found = counted(metric, outages(metric, *near), {**TEN, "joined_within_minutes": 3})
        assert (found.value, found.short_interruptions) == (value, 1), "three minutes are no less"
        (part,) = found.parts
        assert (part.part, part.amount, len(part.events)) == ("o0", 10, 4)
    found = counted("outages", outages("outages", *near), {"joined_within_minutes": "3.5"})
    assert found.value == 1


def test_outages_of_two_subjects_are_two_interruptions() -> None:
    events = outages("merged", ("2025-01-10T10:00:00Z", 6), ("2025-01-10T10:06:00Z", 6))
    apart = [one._replace(data={**one.data, "subject": str(one.data["outage"])}) for one in events]
    assert counted("merged", events, TEN).value == 12
    found = counted("merged", apart, {**TEN, "joined_within_minutes": 5})
    assert (found.value, found.short_interruptions) == (0, 2)


@pytest.mark.parametrize(("length", "value"), [("as_reported", 5), ("as_counted", 0)])
def test_beside_business_hours_it_is_stated_which_time_must_be_that_long(
    length: str, value: int
) -> None:
    events = down("merged", "2025-01-10T06:50:00Z", "2025-01-10T07:05:00Z")  # 07:50 to 08:05
    term = {**TEN, "length": length}
    assert counted("merged", events, term, business_hours=HOURS).value == value
    with pytest.raises(ValidationError, match="must be that long as_reported or as_counted"):
        counted("merged", events, TEN, business_hours=HOURS)
    with pytest.raises(ValidationError, match="leave it out elsewhere"):
        counted("merged", events, term)


def test_interruptions_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="interruptions say nothing"):
        counted("merged", [], {})


MINUTES = st.tuples(st.integers(0, 300), st.integers(0, 30))


@settings(max_examples=25)
@given(st.lists(MINUTES, max_size=6), st.integers(1, 30), st.integers(1, 20))
def test_it_is_a_recount_by_the_minute(told: list[tuple[int, int]], least: int, near: int) -> None:
    day = moment("2025-01-10T00:00:00Z")
    events = outages(
        "merged",
        *(((day + timedelta(minutes=at)).isoformat().replace("+00:00", "Z"), lasts)
          for at, lasts in told),
    )  # fmt: skip
    term = {"at_least_minutes": least, "joined_within_minutes": near}
    runs: list[tuple[int, int]] = []
    for start, end in sorted((at, at + lasts) for at, lasts in told):
        if runs and (start <= runs[-1][1] or start - runs[-1][1] < near):
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((start, end))
    long_enough = [end - start for start, end in runs if end - start >= least]
    assert counted("merged", events, term).value == sum(long_enough)
