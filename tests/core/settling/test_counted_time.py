"""Counted and excused time, from contract files and events to the statement: worked by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from schemas.statement import LevelResult
from services.cli.offline import settle_files
from services.core.calendar.windows import microseconds
from services.core.contracts.reading import read_documents

NOW_US = microseconds(datetime(2025, 8, 1, tzinfo=UTC))
CONTRACTS = """
kind: programme
language: 2
programme: campus
version: 1
effective_from: 2025-01-01
buyer: town
name: Campus
time_zone: UTC
restated_for_days: 400
vendors: [{{vendor: nimbus, name: Nimbus}}, {{vendor: cirrus, name: Cirrus}}]
vendors_see: figures
whose_word: {{charges: either, circumstances: either, decisions: either, figures: either}}
sources:
  - {{source: urn:app, reports_for: nimbus, metrics: [app]}}
  - {{source: urn:net, reports_for: cirrus, metrics: [net]}}
metrics:
  - {{metric: net, name: Network, unit: minutes, better: lower,
     measure: {{kind: outage_time, overlap: merged, part: exact, silence: up, incomplete: wait}}}}
  - metric: app
    name: App
    unit: {unit}
    better: {better}
    measure: {{{measure}, silence: up, incomplete: wait}}
---
kind: agreement
language: 2
agreement: hosting
version: 1
programme: campus
type: service
vendor: nimbus
name: Hosting
currency: EUR
effective_from: 2025-04-01
settled: month
lateness_hours: 0
conventions: {{money_rounding: half_up, rounded_at: total}}
levels:
  - {{level: own, name: Own, metric: app, judged: exact, no_data: no_result, measured: {measured},
     expected: {{{promise}}}, defaults: {{kind: never}}}}
"""
SHARE = "kind: availability_by_outages"
HOURS = (
    'business_hours: {time_zone: UTC, hours: [{days: [mon, tue, wed, thu, fri], opens: "08:00", '
    'closes: "18:00"}]}, nothing_to_count: no_result'
)
WINDOW = (
    "exclusions: [{exclusion: patching, name: Maintenance, kind: recurring, "
    'rrule: FREQ=DAILY, begins: 2025-01-01, at: "08:00", time_zone: UTC, minutes: 15, '
)
NETWORK = (
    "exclusions: [{exclusion: network, name: Network, kind: upstream, metric: net, "
    "taken_off: bad_time}]"
)
TEN = "interruptions: {at_least_minutes: 10}"
MINUTES = "kind: outage_time, overlap: merged, part: exact"
SHORT = [("urn:app", f"2025-04-{day:02}T10:00:00", 240) for day in range(1, 11)]
OUT = [("urn:app", "2025-04-10T08:06:56", 6100)]


def settled(
    measure: str, told: list[tuple[str, str, int]], measured: str = "month"
) -> dict[str, LevelResult]:
    """The results of April by period. ``told``: source, start and seconds of outages."""
    share = measure.startswith(SHARE)
    text = CONTRACTS.format(
        measure=measure, measured=measured, unit="percent" if share else "minutes",
        better="higher" if share else "lower",
        promise="at_least: 99.9" if share else "at_most: 30",
    )  # fmt: skip
    documents, refusals = read_documents(text, "contracts.yaml")
    assert not refusals, [one.text() for one in refusals]
    events = []
    for number, (source, since, seconds) in enumerate(told):
        start = datetime.fromisoformat(since).replace(tzinfo=UTC)
        for phase, at in (("open", start), ("close", start + timedelta(seconds=seconds))):
            data = {"metric": source[4:], "outage": f"o-{number}", "phase": phase}
            said = {"specversion": "1.0", "id": f"{number}-{phase}", "source": source,
                    "type": "earnback.outage.v1", "time": at.isoformat(), "data": data}  # fmt: skip
            events.append((f"{number}-{phase}", json.dumps(said).encode()))
    found = settle_files(documents, events, date(2025, 4, 30), NOW_US)
    assert not found.set_aside, [one.lines() for one in found.set_aside]
    (statement,) = found.statements
    return {one.period: one for one in statement.results}


@pytest.mark.parametrize(
    ("measure", "told", "period", "figure"),
    [
        (f"{SHARE}, {HOURS}", [("urn:app", "2025-04-10T04:00:00", 2400)], "2025-04", Fraction(100)),
        (f"{SHARE}, {TEN}", [*SHORT, ("urn:app", "2025-04-20T10:00:00", 1200)], "2025-04",
         Fraction("99.9537")),
        (f"{SHARE}, {WINDOW}taken_off: bad_time}}]", OUT, "2025-04-10", Fraction("93.5")),
        (f"{SHARE}, nothing_to_count: no_data, {WINDOW}taken_off: counted_time}}]", OUT,
         "2025-04-10", Fraction("93.4316")),
        (f"{MINUTES}, {NETWORK}",
         [("urn:app", "2025-04-10T10:00:00", 7200), ("urn:net", "2025-04-10T11:00:00", 3600)],
         "2025-04", Fraction(60)),
        (f"{SHARE}, slices: {{minutes: 5, bad_at_percent: 100, in_a_row: 1}}",
         [("urn:app", "2025-04-10T10:02:00", 900), ("urn:app", "2025-04-10T12:03:00", 660)],
         "2025-04-10", round(100 * Fraction(1425, 1440), 4)),
    ],
    ids=["service hours", "shortest interruption", "off bad time", "off counted time", "upstream",
         "slices"],
)  # fmt: skip
def test_a_worked_value_is_on_the_statement(
    measure: str, told: list[tuple[str, str, int]], period: str, figure: Fraction
) -> None:
    found = settled(measure, told, "day" if period.count("-") == 2 else "month")[period]
    assert found.figure is not None
    assert round(found.figure, 4) == figure


def test_the_statement_tells_what_an_exclusion_came_to() -> None:
    of_day = settled(f"{SHARE}, {WINDOW}taken_off: bad_time}}]", OUT, "day")["2025-04-10"]
    (told,) = (one for one in of_day.steps if one.rule == "excluded-time")
    assert told.value == 484
    assert told.text == (
        "patching, taken off bad time: 121/15 (about 8.066667) minutes of outage in 1 window; "
        "without any exclusion: 20075/216 (about 92.939815)"
    )
