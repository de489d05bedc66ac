"""Tallies add up, however the facts were cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.frame import Facts
from services.core.calendar.windows import microseconds
from services.core.events.facts import columns
from services.core.events.tally import DAY_US, Tally, metric_windows, tally
from tests.core.said import NUMBERS, PROBE, PROGRAMME, Said, moment, programme, row

WINDOWS = metric_windows([PROGRAMME], NUMBERS)


def counted(place: int, second: int, good: int) -> Said:
    at = moment(f"2025-01-10 10:{second // 60:02}:{second % 60:02}")
    return Said(PROBE, f"e{place}", "count", at, {"metric": "ratio", "good": good, "total": 2**61})


EVENTS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2**61)), max_size=40).map(
    lambda pairs: [row(counted(place, *pair)) for place, pair in enumerate(pairs)]
)


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.integers(0, 40))
def test_tallies_of_batches_add_up_to_the_tally_of_all(rows: list[Any], cut: int) -> None:
    whole = tally(columns(rows), WINDOWS)
    added: dict[tuple[int, int], Tally] = {}
    for part in (columns(rows[cut:]), columns(rows[:cut])):
        for key, each in tally(part, WINDOWS).items():
            added[key] = added[key].plus(each) if key in added else each
    assert added == whole


@settings(max_examples=50, deadline=None)
@given(EVENTS)
def test_a_tally_is_a_plain_count_and_exact_sum_per_minute(rows: list[Any]) -> None:
    found = tally(columns(rows), WINDOWS)
    plain: dict[tuple[int, int], list[int]] = {}
    for each in rows:
        sums = plain.setdefault((each.metric, each.at_us // 60_000_000 * 60_000_000), [0] * 4)
        sums[0] += 1
        sums[1] += each.a
        sums[2] += each.b
        sums[3] = (sums[3] + int.from_bytes(each.payload, "big")) % 2**63
    assert {key: list(each) for key, each in found.items()} == plain


def test_facts_without_a_metric_are_tallied_by_day() -> None:
    said = {"corrects": "e1", "reason": "wrong"}
    facts: Facts = columns([row(Said(PROBE, "c", "correction", moment("2025-01-10 10:00"), said))])
    day = microseconds(moment("2025-01-10 00:00"))
    assert list(tally(facts, WINDOWS)) == [(-1, day)]
    assert day % DAY_US == 0


def test_a_metric_keeps_the_tally_window_of_its_first_version() -> None:
    metric = {
        "metric": "ratio",
        "name": "ratio",
        "unit": "percent",
        "better": "higher",
        "measure": {"kind": "ratio"},
        "tally_window": "day",
    }
    sources = [{"source": PROBE, "reports_for": "north"}]
    later = programme(2, metrics=[metric], sources=sources)
    number = NUMBERS["acme", "ratio"]
    assert metric_windows([later, PROGRAMME], NUMBERS)[number] == 60_000_000
    assert metric_windows([later], NUMBERS) == {number: DAY_US}
