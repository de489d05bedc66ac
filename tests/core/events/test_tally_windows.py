"""The length of a metric's tally windows."""

from __future__ import annotations

from services.core.calendar.windows import DAY_US
from services.core.events.tally_windows import metric_windows
from tests.core.said import NUMBERS, PROBE, PROGRAMME, programme


def test_a_metric_keeps_the_tally_window_of_its_first_version() -> None:
    metric = {
        "metric": "ratio",
        "name": "ratio",
        "unit": "percent",
        "better": "higher",
        "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
        "tally_window": "day",
    }
    sources = [{"source": PROBE, "reports_for": "north"}]
    later = programme(2, metrics=[metric], sources=sources)
    number = NUMBERS["acme", "ratio"]
    assert metric_windows([later, PROGRAMME], NUMBERS)[number] == 60_000_000
    assert metric_windows([later], NUMBERS) == {number: DAY_US}
