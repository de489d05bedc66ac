"""docs/events.md: every example passes the door, every table says what the code says."""

from __future__ import annotations

import json
import shlex
from datetime import date
from types import MappingProxyType
from typing import Any

import pytest

from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.role import ROLES
from services.catalogue.snapshot import Catalogue, SourceOwner
from services.cli.app import app
from services.cli.files import EVENTS, read_contracts, read_events
from services.cli.offline import settle_files
from services.core.calendar.windows import day_start, microseconds
from services.core.events.facts import TYPE_OF_KIND, Row
from services.core.events.rejections import MOST_FAULTS
from services.core.events.roles import MAY_SEND, Sender
from services.core.events.rules import KINDS_OF_MEASURE
from services.ingest import rejection
from services.ingest.body import LINES, MAX_BODY, MAX_INFLATED, MAX_ITEMS, MEDIA_TYPES
from services.ingest.event_validator import MAX_EVENT, EventValidator
from services.ingest.events import MAX_DEPTH
from tests.docs.pages import ROOT, blocks, names, page, rows, section

PAGE = page("events.md")
EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in blocks(PAGE, "json")]
CONTRACTS = read_contracts([ROOT / "schemas" / "examples" / "events"])
NORTH = Sender("north", "vendor")
NOW_US = microseconds(day_start(date(2025, 3, 1), "Europe/Berlin"))


def a_door() -> EventValidator:
    """A door under the programme and the agreement that the page is about."""
    (programme,), (agreement,) = CONTRACTS.programmes, CONTRACTS.agreements
    named = [(programme.programme, metric.metric) for metric in programme.metrics]
    return EventValidator(
        Catalogue(
            revision=1,
            programmes=MappingProxyType({programme.programme: (programme,)}),
            agreements=MappingProxyType({agreement.agreement: (agreement,)}),
            numbers=MappingProxyType({name: number for number, name in enumerate(named)}),
            metrics=MappingProxyType(dict(enumerate(named))),
            sources=MappingProxyType(
                {
                    each.source: SourceOwner(programme.programme, each.reports_for)
                    for each in programme.sources
                }
            ),
        )
    )


def sender_of(source: str) -> Sender:
    """Who sends for a source of the page's programme."""
    (programme,) = CONTRACTS.programmes
    party = next(each.reports_for for each in programme.sources if each.source == source)
    return Sender(party, "procurement" if party == programme.buyer else "vendor")


@pytest.mark.parametrize("event", EXAMPLES, ids=[each["id"] for each in EXAMPLES])
def test_an_example_is_let_in_from_its_own_party(event: dict[str, Any]) -> None:
    verdict = a_door().admit(json.dumps(event).encode(), sender_of(event["source"]), NOW_US)
    assert isinstance(verdict, Row), verdict.detail
    assert (verdict.source, verdict.id) == (event["source"], event["id"])


def test_every_kind_of_event_has_an_example_and_none_is_sent_twice() -> None:
    assert {each["type"] for each in EXAMPLES} == set(EVENT_TYPES)
    assert len({(each["source"], each["id"]) for each in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("kind", list(EVENT_TYPES))
def test_every_field_of_a_kind_is_named_where_the_kind_is_explained(kind: str) -> None:
    heading = {"earnback.correction.v1": "## Corrections"}.get(
        kind, f"### {kind.split('.')[1].capitalize()}"
    )
    told = section(PAGE, heading)
    if kind == "earnback.volume.v1":
        told = section(PAGE, "### Response")  # "fields as of a response"
    missing = [name for name in EVENT_TYPES[kind].model_fields if f"`{name}" not in told]
    # What every measurement has is said once, above the kinds.
    assert set(missing) <= {"metric", "subject"}, missing


def test_the_examples_settle_together_with_nothing_set_aside() -> None:
    events = [(each["id"], json.dumps(each).encode()) for each in EXAMPLES]
    outcome = settle_files(CONTRACTS, events, date(2025, 1, 31), NOW_US)
    assert (outcome.set_aside, outcome.waiting, outcome.duplicates) == ((), (), 0)
    assert outcome.counted == len(EXAMPLES)
    (statement,) = outcome.statements
    # The failed probe was corrected, so both probes of January answered.
    assert [(each.level, each.standing) for each in statement.results] == [("network-up", "met")]
    assert statement.total_minor == 0


def test_the_table_of_measures_is_that_of_the_core() -> None:
    said = {
        names(row[0])[0]: set(names(row[1]))
        for row in rows(section(PAGE, "## Measurements"))
        if "earnback." in row[0]
    }
    counted: dict[str, set[str]] = {}
    for measure, kinds in KINDS_OF_MEASURE.items():
        for kind in kinds:
            counted.setdefault(TYPE_OF_KIND[kind], set()).add(measure)
    assert said == counted
    for measure, kinds in KINDS_OF_MEASURE.items():
        assert kinds or f"`{measure}`" in section(PAGE, "## Measurements")


def test_the_table_of_roles_is_that_of_the_code() -> None:
    told_there = section(PAGE, "## Who may send what")
    said = rows(told_there)
    (header,) = (line for line in told_there.splitlines() if line.startswith("| role |"))
    kinds = [f"earnback.{name}.v1" for name in names(header)]
    assert set(kinds) == set(EVENT_TYPES)
    told = {
        names(role)[0]: {
            KIND_OF_TYPE[kind] for kind, cell in zip(kinds, cells, strict=True) if cell == "yes"
        }
        for role, *cells in said
    }
    assert told == dict(MAY_SEND)
    assert set(told) == set(ROLES)


def test_the_table_of_refusals_is_that_of_the_code() -> None:
    said = [row for row in rows(section(PAGE, "## Refusals")) if len(row) == 4]
    own = [each for each in vars(rejection).values() if isinstance(each, rejection.ProblemKind)]
    expected = {each.code: each for each in (*own, *rejection.REASONS.values())}
    assert {names(code)[0]: (int(status), meaning) for code, status, meaning, _ in said} == {
        code: (each.status, each.title) for code, each in expected.items()
    }
    assert all(remedy for *_, remedy in said)
    assert f"every wrong field at once, up to {MOST_FAULTS}." in section(PAGE, "## Refusals")
    core = [each.code for each in rejection.REASONS.values()]
    assert [names(row[0])[0] for row in said if names(row[0])[0] in core] == core, "precedence"


def test_the_media_types_and_limits_on_the_page_are_those_of_the_door() -> None:
    http = section(PAGE, "## Over HTTP")
    assert all(f"`{media}`" in http for media in (*MEDIA_TYPES, *LINES))
    assert f"{MAX_BODY // 2**20} MiB a body, {MAX_INFLATED // 2**20} MiB decoded" in http
    assert f"{MAX_ITEMS:,} events a request, {MAX_EVENT // 1024} KiB an event" in http
    assert f"{MAX_DEPTH} levels" in http
    assert all(f"`{suffix}`" in section(PAGE, "## From files") for suffix in EVENTS)


def test_a_curl_command_on_the_page_sends_an_event_that_is_let_in() -> None:
    sent = [shlex.split(text) for text in blocks(PAGE, "sh") if text.startswith("curl")]
    assert len(sent) == 2
    for words in sent:
        assert words[2] == "$EARNBACK_INGEST/v1/events"
        told = dict(
            words[at + 1].lower().split(": ", 1) for at, word in enumerate(words) if word == "-H"
        )
        body = words[words.index("-d") + 1].encode()
        attributes = {name[3:]: value for name, value in told.items() if name.startswith("ce-")}
        verdict = (
            a_door().admit_binary(attributes, told["content-type"], body, NORTH, NOW_US)
            if attributes
            else a_door().admit(body, NORTH, NOW_US)
        )
        assert isinstance(verdict, Row), verdict.detail


def test_every_earnback_command_on_the_page_is_one() -> None:
    known = {(each.name or each.callback.__name__) for each in app.registered_commands}  # type: ignore[union-attr]
    known |= {each.name for each in app.registered_groups if each.name}
    lines = [line for text in blocks(PAGE, "sh") for line in text.splitlines()]
    used = [line.split()[1] for line in lines if line.startswith("earnback ")]
    assert used
    assert set(used) <= known


def test_the_first_month_settles_to_what_half_of_the_probes_cost() -> None:
    events = list(read_events([ROOT / "schemas" / "examples" / "events" / "first-month.ndjson"]))
    outcome = settle_files(CONTRACTS, events, date(2025, 1, 31), NOW_US)
    assert (outcome.set_aside, outcome.waiting, outcome.counted) == ((), (), 3)
    (statement,) = outcome.statements
    # One of two probes answered: a miss, so 5 % of 12,500.00.
    assert [(line.line, line.minor_units) for line in statement.lines] == [
        ("network-up/credit", 62_500)
    ]
