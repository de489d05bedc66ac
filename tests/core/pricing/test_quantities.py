"""Quantities of another metric than the level's, and occurrences that are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core.rules_told import outages, part, priced
from tests.core.told import Circumstances, evaluation, outcomes, settled, terms


def test_an_excess_is_of_the_metric_that_it_names() -> None:
    excess = (
        "{kind: excess, metric: repair, counted_from: 4, in_percent_of_start: false, step: 1, "
        "part_step: in_proportion}"
    )
    (found,) = settled(
        terms(level=priced(excess)), [evaluation("2025-01", 98, figures={"repair": 7})]
    )
    assert found.total_minor == 300


@pytest.mark.parametrize(
    ("said", "units"),
    [
        ({}, 1),
        ({"level": "uptime"}, 1),
        ({"subject": "o0"}, None),
        ({"values": {"holds": False}}, 0),
    ],
)
def test_a_short_time_in_all_counts_a_unit_where_its_level_is_asked_for(
    said: dict[str, Any], units: int | None
) -> None:
    asked: Circumstances = [("please", said)]
    short = (
        "{kind: duration, metric: outages, of: total, counted: elapsed, unit: 60, part_unit: "
        "does_not_count, shorter_than_a_unit: only_if_asked, asked: please}"
    )
    (found,) = outcomes(terms(level=priced(short)), outages(20, circumstances=asked))
    if units is None:
        assert isinstance(found, Unsettled), "time in all has no outage that could be asked for"
        assert "names the subject o0" in found.reasons[0]
    else:
        assert isinstance(found, SettlementStatement)
        assert found.total_minor == 100 * units


@pytest.mark.parametrize(("unit", "total"), [(1, 2900), (2, 1450), (4, 725)])
def test_days_of_the_calendar_run_to_the_end_of_the_period_while_an_occurrence_is_open(
    unit: int, total: int
) -> None:
    days = (
        f"{{kind: duration, metric: outages, of: each, counted: calendar_days, unit: {unit}, "
        "part_unit: in_proportion}"
    )
    ended = part("o1", 60)
    parts = {"outages": [ended, ended.model_copy(update={"part": "o2", "end": None})]}
    known = evaluation("2025-01", 98, figures={"outages": 120}, parts=parts)
    (found,) = settled(terms(level=priced(days)), [known])
    assert found.total_minor == total


@pytest.mark.parametrize(("minutes", "total"), [(59, 0), (60, 0), (90, 50), (120, 100)])
def test_a_unit_within_the_free_ones_counts_nothing_although_it_is_asked_for(
    minutes: int, total: int
) -> None:
    free = (
        "{kind: duration, metric: outages, of: each, counted: elapsed, unit: 60, part_unit: "
        "in_proportion, shorter_than_a_unit: only_if_asked, asked: please, "
        "grace: {units: 1, kind: deductible}}"
    )
    known = outages(minutes, circumstances=[("please", {})])
    (found,) = settled(terms(level=priced(free)), known)
    assert found.total_minor == total
