"""What later periods look back at: in order, by label, by level, and what came after one."""

from __future__ import annotations

from functools import partial

import pytest

from schemas.statement import LevelResult
from services.core.inputs.history import (
    EarlierResults,
    SettledPeriod,
    SettlementHistory,
)
from tests.core.told import months, terms


def result(period: str, level: str = "uptime", subject: str | None = None) -> LevelResult:
    """A result of which nothing but its place matters."""
    return LevelResult(
        level=level,
        metric="uptime",
        subject=subject,
        period=period,
        figure=None,
        result=None,
        expected=None,
        minimum=None,
        standing="no_result",
        defaulted=False,
        evidence=None,
        steps=(),
    )


@pytest.fixture
def past() -> SettlementHistory:
    """Three months with one level for all, and another for two sites in the last."""
    found = SettlementHistory()
    for label in months(3):
        found.add(SettledPeriod(label, terms(), (result(label),), None))
    sites = (result("2025-04", "desk", "north"), result("2025-04", "desk", "south"))
    found.add(SettledPeriod("2025-04", terms(), sites, None))
    return found


def test_periods_are_in_order_and_found_by_their_label(past: SettlementHistory) -> None:
    assert [one.period for one in past] == [*months(3), "2025-04"]
    assert past.of("2025-02") == list(past)[1] == past.back(3)
    assert past.back(5) is None
    assert [one.period for one in past.since("2025-03")] == ["2025-03", "2025-04"]
    assert past.of("2024-12") is None


def test_what_came_after_a_period_comes_in_order(past: SettlementHistory) -> None:
    assert [one.period for one in past.after("2025-02")] == ["2025-03", "2025-04"]
    assert list(past.after("2025-04")) == []


def test_results_of_a_level_and_subject_come_latest_first(past: SettlementHistory) -> None:
    assert [one.period for one in past.results("uptime", None)] == list(reversed(months(3)))
    assert [one.subject for one in past.results("desk", "south")] == ["south"]
    assert list(past.results("desk", None)) == []


def test_a_stored_period_is_read_when_it_is_looked_at_and_once() -> None:
    past = SettlementHistory()
    read: list[str] = []

    def stored(label: str) -> SettledPeriod:
        read.append(label)
        return SettledPeriod(label, terms(), (result(label),), None)

    for label in months(3):
        past.add_stored(label, partial(stored, label))
    assert (past.last_label, read) == ("2025-03", [])
    earlier = EarlierResults((), past, ("uptime", None))
    assert [one.period for one in earlier.since("2025-03")] == ["2025-03"]
    assert read == ["2025-03"], "no earlier one can hold it"
    assert [one.period for one in earlier] == list(reversed(months(3)))
    assert read == list(reversed(months(3)))
