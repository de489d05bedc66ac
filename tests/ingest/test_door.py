"""What the door lets in, and how it says no: which field, why, and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from services.core.facts import Row
from services.ingest import events
from services.ingest.door import MAX_EVENT, _parsed, read_event
from services.ingest.refusal import REASONS, Refusal, Refused
from services.ingest.rules import KINDS_OF_MEASURE
from tests.catalogue.builders import DESK, NARROW, PROBE, TOWN
from tests.ingest.builders import NOW_US, TIME, a_door, admitted, an_event, at, text

RTT = {"metric": "net.rtt", "value": "20.5", "unit": "milliseconds"}
CHARGE = {
    "agreement": "campus-network",
    "base": "monthly",
    "period": "2025-01",
    "amount": "1000",
    "currency": "EUR",
}

GOOD: list[tuple[str, Any, str]] = [
    ("sample", {"metric": "net.availability", "up": False, "subject": "site-1"}, PROBE),
    ("count", {"metric": "net.delivered", "good": 7, "total": 9}, PROBE),
    ("response", RTT, PROBE),
    ("response", {**RTT, "value": 20}, PROBE),
    ("volume", {"metric": "net.volume", "value": "-3", "unit": "count"}, PROBE),
    ("outage", {"metric": "net.outages", "outage": "o-1", "phase": "open"}, PROBE),
    ("ticket", {"metric": "desk.in-time", "ticket": "t-1", "state": "assigned",
                "assigned_to": "desk"}, DESK),
    ("delivery", {"metric": "desk.deliveries", "delivery": "d-1", "due_at": TIME}, DESK),
    ("figure", {"metric": "desk.leads", "period": "2025-01", "value": 20, "unit": "count"}, DESK),
    ("correction", {"corrects": "e-0", "reason": "clock was wrong"}, PROBE),
    ("charge", CHARGE, TOWN),
    ("circumstance", {"agreement": "campus-network", "circumstance": "claim",
                      "period": "2025-01"}, TOWN),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "source"), GOOD)
def test_a_good_event_of_every_type_becomes_a_row(kind: str, data: Any, source: str) -> None:
    row = admitted(an_event(kind, data, source=source))
    assert isinstance(row, Row)
    assert (row.source, row.id, row.kind) == (source, "e-1", KIND_OF_TYPE[f"earnback.{kind}.v1"])
    assert (row.metric == -1) == ("metric" not in data)
    assert row.at_us == 1738324800_000_000
    assert (row.data == "") == (kind in ("sample", "count", "response", "volume"))


def test_every_type_of_event_has_a_good_example_here() -> None:
    assert {f"earnback.{kind}.v1" for kind, _, _ in GOOD} == set(EVENT_TYPES)


REFUSALS: list[tuple[str, Any, str, str, str]] = [
    # what is sent, code, field, part of the remedy
    ("a later day", an_event(time="2025-06-02T00:00:00Z"), "in-the-future", "/time", "clock"),
    ("six minutes ahead", an_event(time="2025-06-01T00:06:00Z"), "in-the-future", "/time", "clock"),
    ("too old", an_event(time=at(days=500)), "too-late", "/time", "buyer"),
    ("no such source", an_event(source="/nobody"), "unknown-source", "/source", "correct"),
    ("another's source", an_event(source=DESK), "not-your-source", "/source", "key"),
    ("no such metric", an_event(data={"metric": "x", "up": True}), "unknown-metric",
     "/data/metric", "correct the metric"),
    ("not its metric", an_event("response", RTT, source=NARROW), "not-your-metric",
     "/data/metric", "add it to the source"),
    ("wrong kind", an_event("count", {"metric": "net.availability", "good": 1, "total": 1}),
     "wrong-kind", "/type", "earnback.sample.v1"),
    ("wrong unit", an_event("response", {**RTT, "unit": "seconds"}), "wrong-unit",
     "/data/unit", "convert the value to milliseconds"),
    ("four decimals", an_event("response", {**RTT, "value": "1.2345"}), "too-fine",
     "/data/value", "round the value to 3"),
    ("a third", an_event("response", {**RTT, "value": "1/3"}), "too-fine", "/data/value", "round"),
    ("a float", an_event("response", {**RTT, "value": 1.5}), "invalid-event", "/data/value",
     "decimal in quotes"),
    ("NaN as text", an_event("response", {**RTT, "value": "NaN"}), "invalid-event", "/data/value",
     "exact number"),
    ("too large", an_event("count", {"metric": "net.delivered", "good": 1, "total": 2**62}),
     "out-of-range", "/data/total", "smaller parts"),
    ("negative", an_event("count", {"metric": "net.delivered", "good": -1, "total": 2}),
     "invalid-event", "/data/good", "greater than or equal to 0"),
    ("count as text", an_event("count", {"metric": "net.delivered", "good": "1", "total": 2}),
     "invalid-event", "/data/good", "whole number"),
    ("a boolean as number", an_event(data={"metric": "net.availability", "up": 1}),
     "invalid-event", "/data/up", "true or false"),
    ("a field too many", an_event(data={"metric": "net.availability", "up": True, "x": 1}),
     "invalid-event", "/data/x", "remove x"),
    ("a field missing", an_event(data={"metric": "net.availability"}), "invalid-event",
     "/data/up", "add up"),
    ("no time", {k: v for k, v in an_event().items() if k != "time"}, "invalid-event", "/time",
     "add time"),
    ("no offset", an_event(time="2025-01-31T12:00:00"), "invalid-event", "/time", "offset"),
    ("a number as time", an_event(time="1738324800"), "invalid-event", "/time", "2025-01-31T"),
    ("a week date", an_event(time="2025-W05-5T12:00:00Z"), "invalid-event", "/time", "time"),
    ("not a day", an_event(time="2025-02-30T12:00:00Z"), "invalid-event", "/time", "time"),
    ("an id with a space", an_event(id="a b"), "invalid-event", "/id", "id"),
    ("an empty id", an_event(id=""), "invalid-event", "/id", "id"),
    ("a long id", an_event(id="x" * 201), "invalid-event", "/id", "id"),
    ("a subject with a space", an_event(data={"metric": "net.availability", "up": True,
     "subject": "a b"}), "invalid-event", "/data/subject", "subject"),
    ("CloudEvents 0.3", an_event(specversion="0.3"), "invalid-event", "/specversion", "1.0"),
    ("no such type", an_event("nothing"), "unknown-type", "/type", "earnback.sample.v1"),
    ("XML inside", an_event(datacontenttype="text/xml"), "wrong-content", "/datacontenttype",
     "application/json"),
    ("Latin-1 inside", an_event(datacontenttype="application/json; charset=iso-8859-1"),
     "wrong-content", "/datacontenttype", "UTF-8"),
    ("data twice", an_event(data_base64="e30="), "invalid-event", "/data_base64", "data or"),
    ("not base64", {**an_event(), "data": None, "data_base64": "%"}, "invalid-event",
     "/data_base64", "encode"),
    ("a list", [1], "invalid-event", "", "object"),
    ("a number", 1, "invalid-event", "", "object"),
    ("NaN", text(an_event()).replace(b"true", b"NaN"), "not-json", "", "no NaN"),
    ("Infinity", text(an_event()).replace(b"true", b"-Infinity"), "not-json", "", "no NaN"),
    ("cut off", text(an_event())[:-1], "not-json", "", "well-formed"),
    ("Latin-1", text(an_event(id="X")).replace(b"X", b"\xe9"), "not-json", "", "UTF-8"),
    ("UTF-16", text(an_event()).decode().encode("utf-16"), "not-json", "", "UTF-8"),
    ("nothing", b"", "not-json", "", "well-formed"),
    ("deep", an_event(data={"metric": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}), "too-deep", "", "flat"),
    ("very deep", b"[" * 5000 + b"]" * 5000, "too-deep", "", "flat"),
    ("oversize", an_event(note="x" * MAX_EVENT), "event-too-large", "", "leave out"),
    ("no such agreement", an_event("charge", {**CHARGE, "agreement": "x"}), "unknown-agreement",
     "/data/agreement", "apply it"),
    ("dollars", an_event("charge", {**CHARGE, "currency": "USD"}), "wrong-currency",
     "/data/currency", "EUR"),
    ("no such vendor", an_event("ticket", {"metric": "desk.in-time", "ticket": "t", "state": "open",
     "assigned_to": "south"}), "unknown-vendor", "/data/assigned_to", "desk, north"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "code", "pointer", "remedy"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
def test_a_refusal_names_the_field_the_reason_and_the_remedy(
    event: Any, code: str, pointer: str, remedy: str
) -> None:
    said = admitted(event, party="north")
    assert isinstance(said, Refusal)
    document = said.document()
    assert (document["code"], document["errors"][0]["pointer"]) == (code, pointer)
    assert remedy in said.remedy
    assert said.detail
    assert document["type"] == f"/problems/{code}"
    assert 400 <= document["status"] < 500


def test_every_reason_of_the_door_is_in_the_table() -> None:
    told = {row[2] for row in REFUSALS}
    assert {reason.code for reason in REASONS} - told == {"conflict"}


def test_a_refusal_tells_which_event_it_is_about() -> None:
    said = admitted(an_event(time="2026-01-01T00:00:00Z"))
    assert isinstance(said, Refusal)
    assert (said.source, said.id) == (PROBE, "e-1")


def test_every_measure_says_which_events_it_is_made_of() -> None:
    from typing import get_args

    from schemas import programme

    measures = get_args(get_args(programme.Measure)[0])
    kinds = {kind for each in measures for kind in get_args(each.model_fields["kind"].annotation)}
    assert kinds == set(KINDS_OF_MEASURE)


VARIANTS = [
    an_event(),
    dict(reversed(an_event().items())),
    an_event(time="2025-01-31T13:00:00+01:00"),
    an_event(time="2025-01-31t12:00:00.000z"),
    an_event(data={"up": True, "metric": "net.availability"}),
    an_event(data={"up": True, "metric": "net.availability", "subject": None}),
    an_event(datacontenttype="application/json"),
    an_event(datacontenttype="application/json; charset=utf-8"),
    an_event(traceparent="00-1", myextension=5),
    {
        **an_event(),
        "data": None,
        "data_base64": "eyJtZXRyaWMiOiJuZXQuYXZhaWxhYmlsaXR5IiwidXAiOnRydWV9",
    },
    json.dumps(an_event(), indent=4).encode(),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_how_an_event_is_written_makes_no_difference(variant: Any) -> None:
    assert admitted(variant) == admitted(an_event())


@pytest.mark.parametrize("value", ["20.5", "20.50", "+20.500", "41/2"])
def test_how_a_number_is_written_makes_no_difference(value: str) -> None:
    row = admitted(an_event("response", {**RTT, "value": value}))
    assert isinstance(row, Row)
    assert (row.a, row.b) == (205, 1)
    assert row == admitted(an_event("response", RTT))


CHANGED = [
    an_event(time="2025-01-31T12:00:00.000001Z"),
    an_event(data={"metric": "net.availability", "up": False}),
    an_event(data={"metric": "net.availability", "up": True, "subject": "s"}),
]


@pytest.mark.parametrize("changed", CHANGED)
def test_what_an_event_says_makes_another_payload_of_one_identity(changed: Any) -> None:
    first, second = admitted(an_event()), admitted(changed)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.identity == second.identity
    assert first.payload != second.payload


@pytest.mark.parametrize(("kind", "data", "source"), GOOD)
def test_binary_mode_gives_the_same_row_as_structured_mode(
    kind: str, data: Any, source: str
) -> None:
    event = an_event(kind, data, source=source)
    attributes = {name: value for name, value in event.items() if name != "data"}
    for content_type in ("application/json", "application/json; charset=UTF-8", None):
        row = a_door().admit_binary(attributes, content_type, text(data), "*", NOW_US)
        assert row == admitted(event)


BINARY = [
    ({"type": ""}, b"{}", "application/json", "unknown-type", "/type"),
    ({"specversion": "2.0"}, None, "application/json", "invalid-event", "/specversion"),
    ({}, b"{", "application/json", "not-json", "/data"),
    ({}, None, "text/plain", "wrong-content", "/datacontenttype"),
    ({}, b"x" * (MAX_EVENT + 1), "application/json", "event-too-large", ""),
]


@pytest.mark.parametrize(("change", "data", "content_type", "code", "pointer"), BINARY)
def test_binary_mode_is_refused_as_structured_mode_is(
    change: dict[str, str], data: bytes | None, content_type: str, code: str, pointer: str
) -> None:
    event = an_event(**change)
    attributes = {name: value for name, value in event.items() if name != "data"}
    raw = text(event["data"]) if data is None else data
    said = a_door().admit_binary(attributes, content_type, raw, "north", NOW_US)
    assert isinstance(said, Refusal)
    assert (said.reason.code, said.pointer) == (code, pointer)


def test_the_sender_must_be_the_party_of_the_source_or_the_operator() -> None:
    assert isinstance(admitted(an_event(), "north"), Row)
    assert isinstance(admitted(an_event(), "*"), Row)
    for stranger in ("desk", "town", ""):
        said = admitted(an_event(), stranger)
        assert isinstance(said, Refusal)
        assert said.reason.code == "not-your-source"


_WORDS = st.sampled_from(["", "a", "a b", "é", "x" * 121, "site-1", '"', "\\", "\x7f", "\ud800"])
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.decimals(allow_nan=True, places=4, min_value=-1000, max_value=1000).map(str),
    st.sampled_from(["1/3", "1/4", "+1", "-0", "00.10", ".5", "5.", "1e3", "NaN", " 1", "٣", ""]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
_TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [TIME, "2025-01-31T12:00Z", "2025-01-31T12:00:00,5Z", "2025-01-31 12:00:00Z",
         "2025-01-31T12:00:00.Z", "2025-01-31T12:00:00.1234567Z", "2025-W05-5T12:00:00Z",
         "2025-01-31T24:00:00Z", "2025-01-31T12:00:60Z", "20250131T120000Z", "2025-1-31T12:00:00Z"]
    ),
)  # fmt: skip
_CHANGES = st.one_of(
    st.tuples(st.just("time"), _TIMES),
    st.tuples(st.just("id"), _WORDS),
    st.tuples(st.just("source"), st.sampled_from([NARROW, DESK, "", 5])),
    st.tuples(st.just("specversion"), st.sampled_from(["0.3", 1.0])),
    st.tuples(st.just("type"), st.sampled_from(sorted(EVENT_TYPES))),
    st.tuples(st.just("datacontenttype"), st.sampled_from(["text/json", "text/plain", None, 1])),
    st.tuples(st.sampled_from(["subject", "dataschema", "ext"]), st.one_of(_WORDS, _NUMBERS)),
    st.tuples(st.just("data_base64"), st.sampled_from([None, "e30=", 5])),
    st.tuples(st.just("data.subject"), st.one_of(_WORDS, _NUMBERS)),
    st.tuples(st.just("data.unit"), st.sampled_from(["milliseconds", "count", "parsecs", None])),
    st.tuples(st.just("data.metric"), st.sampled_from(["net.rtt", "net.volume", "x", None])),
    st.tuples(st.sampled_from(["data.up", "data.good", "data.total", "data.value"]), _NUMBERS),
)


@st.composite
def _changed(draw: st.DrawFn) -> Any:
    """A good event of a numeric type, with up to two changes, most of them for the worse."""
    kind, data, source = draw(st.sampled_from(GOOD[:5]))
    event = an_event(kind, dict(data), source=source)
    for name, value in draw(st.lists(_CHANGES, max_size=2)):
        inside, _, field = name.rpartition(".")
        (event["data"] if inside else event)[field] = value
    return event


@given(_changed())
@settings(max_examples=500)
def test_the_quick_way_takes_and_refuses_what_the_models_do(event: Any) -> None:
    raw, door = text(event), a_door()
    by_models = door._settled(lambda: _parsed(raw), "north", NOW_US)
    assert door.admit(raw, "north", NOW_US) == by_models


@given(st.one_of(_changed().map(text), st.binary(max_size=300), st.text().map(str.encode)))
def test_whatever_is_sent_gets_a_row_or_a_refusal_and_never_an_error(raw: bytes) -> None:
    assert isinstance(a_door().admit(raw, "north", NOW_US), Row | Refusal)


@pytest.mark.parametrize(("kind", "data", "source"), GOOD[:5])
def test_a_usual_event_of_a_numeric_type_takes_the_quick_way(
    kind: str, data: Any, source: str
) -> None:
    event = events.decode_event(text(an_event(kind, data, source=source)))
    assert a_door()._quick(event, "north", NOW_US) is not None


def test_the_models_alone_refuse_what_the_door_refuses_as_malformed() -> None:
    with pytest.raises(Refused, match="invalid-event at '/data/up'"):
        read_event(an_event(data={"metric": "net.availability", "up": "yes"}))
