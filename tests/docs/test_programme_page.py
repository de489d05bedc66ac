"""docs/programme.md: its tables are those of the schemas, and every example is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.base import written
from schemas.field_tables import anchor, heading, nouns_of
from schemas.programme import Metric, Programme
from services.cli.files import read_contracts
from services.cli.offline import settle_files
from services.cli.reference_pages import DOCS, PAGES, text
from services.core.calendar.windows import microseconds
from services.core.contracts.reading import read_documents
from services.core.events.rules import KINDS_OF_MEASURE
from tests.docs.pages import blocks, names, page, rows, section

PAGE = page("programme.md")
MONTHS = {"January": "2025-01", "February": "2025-02"}
NOW_US = microseconds(datetime(2025, 6, 1, tzinfo=UTC))
PARTS = """
  - {metric: network-outages, name: N, unit: minutes, better: lower,
     measure: {kind: outage_time, overlap: merged, part: exact, silence: up, incomplete: wait}}
  - {metric: part-one, name: P, unit: percent, better: higher,
     measure: {kind: declared, at_least: 0, at_most: 100}}
  - {metric: part-two, name: P, unit: percent, better: higher,
     measure: {kind: declared, at_least: 0, at_most: 100}}
  - {metric: zone-one, name: Z, unit: percent, better: higher,
     measure: {kind: availability_by_outages, silence: up, incomplete: wait}}
  - {metric: zone-two, name: Z, unit: percent, better: higher,
     measure: {kind: availability_by_outages, silence: up, incomplete: wait}}
"""
AGREEMENT = """
kind: agreement
language: 2
agreement: hosting
version: 1
programme: campus
type: service
vendor: nimbus
name: Hosting
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
levels:
"""
LEVEL = """
  - level: measured
    name: As measured
    metric: METRIC
    judged: exact
    no_data: no_result
    defaults: {kind: never}
"""


def measures(of: str = "## Measures") -> Iterator[Any]:
    """The section of every measure, with its example."""
    for part in re.split(r"^### ", section(PAGE, of), flags=re.MULTILINE)[1:]:
        yield pytest.param(part, id=part.splitlines()[0].replace("`", "").replace(", ", "-"))


@pytest.mark.parametrize("told", [*measures(), *measures("## Excused and counted time")])
def test_an_example_is_counted_as_the_page_says(told: str, tmp_path: Path) -> None:
    (metric,), (lines,) = blocks(told, "yaml metric"), blocks(told, "text events")
    (name,) = re.findall(r"^metric: (\S+)", metric, re.MULTILINE)
    (tmp_path / "contracts.yaml").write_text(_contracts(metric, name), encoding="utf-8")
    contracts = read_contracts([tmp_path]).in_order()
    events = [(line, _event(name, number, line)) for number, line in enumerate(lines.splitlines())]
    found = settle_files(contracts, events, date(2025, 2, 28), NOW_US)
    assert not found.set_aside, [one.lines() for one in found.set_aside]
    assert not found.waiting, found.waiting
    said = re.findall(r"\b(January|February)'s\s+figure\s+is\s+`([^`]+)`", told)
    assert said, "an example says what comes of it"
    counted = {one.period: one.results[0].figure for one in found.statements}
    for month, figure in said:
        value = counted[MONTHS[month]]
        assert value is not None
        assert written(value) == figure


def _contracts(metric: str, name: str) -> str:
    """The page's programme with this metric and those that it may be made of, and an agreement."""
    (whole,) = blocks(PAGE, "yaml programme")
    head = whole.split("metrics:\n")[0].replace(
        "[uptime]", f"[{name}, part-one, part-two, network-outages, zone-one, zone-two]"
    )
    own = "".join(
        f"{'  - ' if number == 0 else '    '}{line}\n"
        for number, line in enumerate(metric.splitlines())
    )
    return f"{head}metrics:\n{own}{PARTS}---{AGREEMENT}{LEVEL.replace('METRIC', name)}"


def _event(metric: str, number: int, line: str) -> bytes:
    found = re.fullmatch(r"(\S+) (\w+) (?:([a-z-]+) )?(\{.*\})", line)
    assert found, line
    time, kind, about, data = found.groups()
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": "urn:probe:1",
            "type": f"earnback.{kind}.v1",
            "time": time,
            "data": {"metric": about or metric, **json.loads(data)},
        }
    ).encode()


def test_the_whole_programme_is_in_order() -> None:
    (whole,) = blocks(PAGE, "yaml programme")
    documents, refusals = read_documents(whole, "programme.yaml")
    assert not refusals, [one.text() for one in refusals]
    assert [one.programme for one in documents.programmes] == ["campus"]


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_are_current(name: str) -> None:
    assert text(name) == (DOCS / name).read_text(encoding="utf-8"), (
        "run `python -m services.cli.reference_pages`"
    )


def test_every_part_of_a_programme_has_its_table_and_its_heading() -> None:
    for name, noun in nouns_of(Programme).items():
        assert f"<!-- table: fields of {name} -->" in PAGE
        if noun is not Programme:
            assert re.search(rf"^###+ {re.escape(heading(noun))}$", PAGE, re.MULTILINE), name


@pytest.mark.parametrize("name", PAGES)
def test_every_link_on_the_page_leads_to_a_heading(name: str) -> None:
    headings = re.findall(r"^#+ (.+)$", page(name), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", page(name))) <= anchors


def test_every_measure_and_every_unit_is_told_once() -> None:
    told = [kind for part in measures() for kind in names(part.values[0].splitlines()[0])]
    assert sorted(told) == sorted({*KINDS_OF_MEASURE, "parallel", "series"})
    units = [name for row in rows(section(PAGE, "## Units")) for name in names(row[0])]
    assert set(units) == set(Metric.model_fields["unit"].annotation.__args__)  # type: ignore[union-attr]


def test_a_measure_links_to_the_events_that_it_counts() -> None:
    counted_by = {
        row[0].split("(#")[1].rstrip(")"): set(names(row[1]))
        for row in rows(section(page("events.md"), "## Measurements"))
        if "(#" in row[0]
    }
    for part in measures():
        kinds = set(names(part.values[0].splitlines()[0]))
        said = set(re.findall(r"\]\(events\.md#(\w+)\)", part.values[0]))
        assert said == {event for event, by in counted_by.items() if kinds & by}, kinds


def test_anchors_are_those_of_the_headings() -> None:
    assert [anchor(noun) for noun in nouns_of(Programme).values()][-1] == "four-eyes"
