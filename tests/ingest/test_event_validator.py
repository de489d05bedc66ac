"""What the door lets in, and how it says no: which field, why, and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.role import ROLES, Role
from services.core.events.facts import Row
from services.core.events.roles import MAY_SEND, Sender
from services.ingest import rejection
from services.ingest.event_validator import MAX_EVENT
from services.ingest.events import decode_envelope, microseconds_of, parsed
from services.ingest.rejection import EventRejection, ProblemKind
from tests.catalogue.builders import DESK, NARROW, PROBE, TOWN, a_programme
from tests.ingest.builders import NOW_US, TIME, a_door, admitted, an_event, at, text

PARTIES = {each.source: each.reports_for for each in a_programme().sources}
NORTH = Sender("north", "vendor")
RTT = {"metric": "net.rtt", "value": "20.5", "unit": "milliseconds"}
CHARGE = {
    "agreement": "campus-network",
    "base": "monthly",
    "period": "2025-01",
    "amount": "1000",
    "currency": "EUR",
}

ANSWER = {
    "agreement": "campus-network",
    "states": "charge",
    "name": "monthly",
    "period": "2025-01",
    "of_source": PROBE,
    "of_id": "invoice-4712",
    "of_payload": "0a3f5c1be7d24496",
    "answer": "accept",
    "reason": "It is right.",
}

GOOD: list[tuple[str, Any, str]] = [
    ("sample", {"metric": "net.availability", "up": False, "subject": "site-1"}, PROBE),
    ("count", {"metric": "net.delivered", "good": 7, "total": 9}, PROBE),
    ("response", RTT, PROBE),
    ("response", {**RTT, "value": 20}, PROBE),
    ("volume", {"metric": "net.volume", "value": "3", "unit": "count"}, PROBE),
    ("outage", {"metric": "net.outages", "outage": "o-1", "phase": "open"}, PROBE),
    ("ticket", {"metric": "desk.in-time", "ticket": "t-1", "state": "assigned",
                "assigned_to": "desk"}, DESK),
    ("delivery", {"metric": "desk.deliveries", "delivery": "d-1", "due_at": TIME}, DESK),
    ("figure", {"metric": "desk.leads", "period": "2025-01", "value": 20, "unit": "count"}, DESK),
    ("correction", {"corrects": "e-0", "reason": "clock was wrong"}, PROBE),
    ("charge", CHARGE, TOWN),
    ("circumstance", {"agreement": "campus-network", "circumstance": "claim",
                      "period": "2025-01"}, TOWN),
    ("answer", ANSWER, TOWN),
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


COUNT = {"metric": "net.delivered", "good": 1, "total": 2}
UP = {"metric": "net.availability", "up": True}
OUTAGE = {"metric": "net.outages", "outage": "o-1", "phase": "correct"}
LEADS = {"metric": "desk.leads", "period": "2025-01", "value": 1001, "unit": "count"}
TICKET = {"metric": "desk.in-time", "ticket": "t-1", "state": "open", "assigned_to": "south"}
CLAIM = {"agreement": "campus-network", "circumstance": "claim", "period": "2025-01"}

ANOTHERS = "another's"
REFUSALS: list[tuple[str, Any, str, str, str]] = [
    # what is sent; code, field and part of the remedy
    ("later", an_event(time="2025-06-02T00:00:00Z"), "in-the-future", "/time", "clock"),
    ("soon", an_event(time="2025-06-01T00:06:00Z"), "in-the-future", "/time", "clock"),
    ("too old", an_event(time=at(days=500)), "beyond-horizon", "/time", ""),
    ("no source", an_event(source="/nobody"), "unknown-source", "/source", "correct"),
    (ANOTHERS, an_event(source=DESK), "unknown-source", "/source", "key"),
    ("no metric", an_event(data={**UP, "metric": "x"}), "unknown-metric", "/data/metric", "name"),
    (
        "not its metric",
        an_event("response", RTT, source=NARROW),
        "metric-not-of-source",
        "/data/metric",
        "allow this one",
    ),
    ("wrong kind", an_event("count", {**COUNT, **UP}), "bad-data", "/data/up", "leave"),
    (
        "kind",
        an_event("count", {**COUNT, "metric": "net.rtt"}),
        "kind-does-not-fit",
        "/type",
        "response",
    ),
    ("unit", an_event("response", {**RTT, "unit": "seconds"}), "wrong-unit", "/data/unit", "milli"),
    (
        "four decimals",
        an_event("response", {**RTT, "value": "1.2345"}),
        "too-many-decimals",
        "/data/value",
        "round",
    ),
    ("third", an_event("response", {**RTT, "value": "1/3"}), "not-exact", "/data/value", "decimal"),
    ("float", an_event("response", {**RTT, "value": 1.5}), "not-exact", "/data/value", "quotes"),
    ("NaN text", an_event("response", {**RTT, "value": "NaN"}), "not-exact", "/data/value", "'99"),
    ("huge", an_event("count", {**COUNT, "total": 2**62}), "too-large", "/data/total", "unit"),
    ("negative", an_event("count", {**COUNT, "good": -1}), "negative-count", "/data/good", "0"),
    ("good", an_event("count", {**COUNT, "good": 3}), "good-exceeds-total", "/data/good", "part"),
    ("count text", an_event("count", {**COUNT, "good": "1"}), "bad-data", "/data/good", "whole"),
    ("up as 1", an_event(data={**UP, "up": 1}), "bad-data", "/data/up", "true or false"),
    ("field too many", an_event(data={**UP, "x": 1}), "bad-data", "/data/x", "leave"),
    ("field missing", an_event(data={"metric": UP["metric"]}), "bad-data", "/data/up", "add"),
    ("subject", an_event(data={**UP, "subject": "a b"}), "bad-data", "/data/subject", "form"),
    ("leads", an_event("figure", LEADS, source=DESK), "out-of-range", "/data/value", "check"),
    ("void", an_event("outage", OUTAGE), "times-out-of-order", "/data", "void"),
    ("vendor", an_event("ticket", TICKET, source=DESK), "unknown-vendor", "/data/assigned_to", ""),
    (
        "its own proposal",
        an_event("answer", ANSWER),
        "answer-of-another-party",
        "/data/answer",
        "have town answer it",
    ),
    (
        "no agreement",
        an_event("charge", {**CHARGE, "agreement": "x"}),
        "unknown-agreement",
        "/data/agreement",
        "apply",
    ),
    (
        "not a party",
        an_event("circumstance", CLAIM, source=DESK),
        "unknown-agreement",
        "/data/agreement",
        "buyer",
    ),
    ("base", an_event("charge", {**CHARGE, "base": "x"}), "unknown-base", "/data/base", "monthly"),
    ("level", an_event("circumstance", {**CLAIM, "level": "x"}), "unknown-level", "/data/level",
     "leave it out"),
    ("USD", an_event("charge", {**CHARGE, "currency": "USD"}), "wrong-currency", "/data/currency",
     "EUR"),
    ("quarter", an_event("charge", {**CHARGE, "period": "2025-Q1"}), "wrong-period",
     "/data/period", "2025-01"),
    ("no time", {k: v for k, v in an_event().items() if k != "time"}, "invalid-event", "/time",
     "add time"),
    ("no offset", an_event(time="2025-01-31T12:00:00"), "invalid-event", "/time", "offset"),
    ("seconds", an_event(time="1738324800"), "invalid-event", "/time", "2025-01-31T"),
    ("week date", an_event(time="2025-W05-5T12:00:00Z"), "invalid-event", "/time", "2025-01-31T"),
    ("no such day", an_event(time="2025-02-30T12:00:00Z"), "invalid-event", "/time", "2025-01-31T"),
    ("id with a space", an_event(id="a b"), "bad-identity", "/id", "UUID"),
    ("empty id", an_event(id=""), "bad-identity", "/id", "UUID"),
    ("long id", an_event(id="x" * 201), "bad-identity", "/id", "UUID"),
    ("id as number", an_event(id=5), "invalid-event", "/id", "string"),
    ("version 0.3", an_event(specversion="0.3"), "invalid-event", "/specversion", "1.0"),
    ("no such type", an_event("nothing"), "unknown-type", "/type", "earnback.sample.v1"),
    ("XML", an_event(datacontenttype="text/xml"), "wrong-content", "/datacontenttype", "json"),
    (
        "Latin-1 inside",
        an_event(datacontenttype="application/json; charset=iso-8859-1"),
        "wrong-content",
        "/datacontenttype",
        "UTF-8",
    ),
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
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "event", "code", "pointer", "remedy"),
    REFUSALS,
    ids=[row[0] for row in REFUSALS],
)
def test_a_refusal_names_the_field_the_reason_and_the_remedy(
    what: str, event: Any, code: str, pointer: str, remedy: str
) -> None:
    said = admitted(event, "north" if what == ANOTHERS else None)
    assert isinstance(said, EventRejection)
    document = said.document()
    assert (document["code"], document["errors"][0]["pointer"]) == (code, pointer)
    assert remedy in said.remedy
    assert said.detail
    assert pointer.rpartition("/")[2] in document["detail"], "read alone, it names no field"
    assert said.detail not in said.remedy, "the remedy repeats the reason"
    assert document["type"] == f"/problems/{code}"
    assert 400 <= document["status"] < 500


MISSING = {
    DESK: "https://dusk.example/",
    "net.delivered": "net.deliverex",
    "net.rtt": "net.rtx",
    "campus-network": "campus-netwerk",
}
"""What is another's, and what is not there under a name of the same length."""
CHANGED = {"corrects": "e-0", "reason": "wrong", "data": {**COUNT, "good": 0}}
FOREIGN: list[tuple[str, str, Any]] = [
    # who sends, what is another's, and the event that names it
    *(("north", DESK, an_event(kind, data, source=DESK)) for kind, data, _ in GOOD),
    ("north", DESK, an_event(source=DESK, id="two words", time="2026-01-01T00:00:00Z")),
    ("north", "net.delivered", an_event("count", COUNT, source=NARROW)),
    ("north", "net.rtt", an_event("count", {**COUNT, "metric": "net.rtt"}, source=NARROW)),
    ("north", "net.delivered", an_event("correction", CHANGED, source=NARROW)),
    ("desk", "campus-network", an_event("charge", CHARGE, source=DESK)),
    ("desk", "campus-network", an_event("circumstance", CLAIM, source=DESK)),
    ("desk", "campus-network", an_event("circumstance", {**CLAIM, "level": "x"}, source=DESK)),
    ("desk", "campus-network", an_event("answer", {**ANSWER, "of_source": TOWN}, source=DESK)),
    ("north", DESK, an_event("answer", {**ANSWER, "of_source": DESK})),
]


@pytest.mark.parametrize(("party", "name", "event"), FOREIGN)
def test_what_is_anothers_is_refused_as_what_is_not_there(
    party: str, name: str, event: Any
) -> None:
    foreign = admitted(event, party)
    missing = admitted(text(event).replace(name.encode(), MISSING[name].encode()), party)
    assert isinstance(foreign, EventRejection)
    assert isinstance(missing, EventRejection)
    told = json.dumps([foreign.document(), foreign.reason.status, foreign.for_review])
    assert told.replace(name, MISSING[name]) == json.dumps(
        [missing.document(), missing.reason.status, missing.for_review]
    )
    if party == "desk":
        assert "north" not in told


SEVERAL: list[tuple[str, Any, str, list[str]]] = [
    ("envelope", an_event(id=5, specversion="0.3", time="noon"), "invalid-event",
     ["/specversion", "/id", "/time"]),
    ("data", an_event("count", {"metric": COUNT["metric"], "good": "1", "x/y": 1}), "bad-data",
     ["/data/good", "/data/total", "/data/x~1y"]),
    ("an outage", an_event("outage", {**OUTAGE, "phase": "new", "void": "no"}), "bad-data",
     ["/data/phase", "/data/void"]),
    ("twelve", an_event(data={**UP, **{f"f{n:02}": n for n in range(12)}}), "bad-data",
     [f"/data/f{n:02}" for n in range(10)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "code", "pointers"), [row[1:] for row in SEVERAL], ids=[row[0] for row in SEVERAL]
)
def test_an_event_with_several_wrong_fields_is_told_of_all_of_them_at_once(
    event: Any, code: str, pointers: list[str]
) -> None:
    said = admitted(event)
    assert isinstance(said, EventRejection)
    document = said.document()
    first = document["errors"][0]
    assert document["code"] == code
    assert [each["pointer"] for each in document["errors"]] == pointers
    assert (first["reason"], first["remedy"]) == (said.detail, said.remedy)
    assert all(each["reason"] and each["remedy"] for each in document["errors"])


def test_every_reason_of_the_door_is_in_the_table() -> None:
    told = {row[2] for row in REFUSALS}
    own = [value for value in vars(rejection).values() if isinstance(value, ProblemKind)]
    codes = {reason.code for reason in [*own, *rejection.REASONS.values()]}
    assert codes - told - {"kind-not-of-role", "answer-of-another-party"} == {
        "conflict",
        "quota-used-up",
        "too-many-subjects",
        "four-eyes",
    }


def test_a_refusal_tells_which_event_it_is_about() -> None:
    said = admitted(an_event(time="2026-01-01T00:00:00Z"))
    assert isinstance(said, EventRejection)
    assert (said.source, said.id) == (PROBE, "e-1")


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


@pytest.mark.parametrize("value", ["20.5", "20.50", "+20.500"])
def test_how_a_number_is_written_makes_no_difference(value: str) -> None:
    row = admitted(an_event("response", {**RTT, "value": value}))
    assert isinstance(row, Row)
    assert (row.value, row.scale_or_total) == (205, 1)
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
        row = a_door().admit_binary(attributes, content_type, text(data), None, NOW_US)
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
    said = a_door().admit_binary(attributes, content_type, raw, NORTH, NOW_US)
    assert isinstance(said, EventRejection)
    assert (said.reason.code, said.pointer) == (code, pointer)


def test_the_sender_must_be_the_party_of_the_source_or_the_operator() -> None:
    assert isinstance(admitted(an_event(), "north"), Row)
    assert isinstance(admitted(an_event(), None), Row)
    for stranger in ("desk", "town", ""):
        said = admitted(an_event(), stranger)
        assert isinstance(said, EventRejection)
        assert said.reason.code == "unknown-source"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("kind", "data", "source"), GOOD)
def test_a_role_sends_its_kinds_and_no_others(
    kind: str, data: Any, source: str, role: Role
) -> None:
    said = admitted(an_event(kind, data, source=source), PARTIES[source], role)
    may = KIND_OF_TYPE[f"earnback.{kind}.v1"] in MAY_SEND[role]
    assert isinstance(said, Row) == may
    if isinstance(said, EventRejection):
        assert (said.reason.code, said.reason.status, said.pointer) == (
            "kind-not-of-role", 403, "/type",
        )  # fmt: skip
        assert role in said.detail
        assert said.remedy.startswith("use a key of the role vendor, procurement or admin")


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
    raw, validator = text(event), a_door()
    quick = validator.admit(raw, NORTH, NOW_US)
    by_model = validator._by_the_model(lambda: parsed(raw), NORTH, NOW_US)
    assert isinstance(quick, Row) == isinstance(by_model, Row)
    if isinstance(quick, Row):
        assert quick == by_model
        EVENT_TYPES[event["type"]].model_validate(event["data"])


@given(st.one_of(_changed().map(text), st.binary(max_size=300), st.text().map(str.encode)))
def test_whatever_is_sent_gets_a_row_or_a_refusal_and_never_an_error(raw: bytes) -> None:
    assert isinstance(a_door().admit(raw, NORTH, NOW_US), Row | EventRejection)


@pytest.mark.parametrize(("kind", "data", "source"), GOOD)
def test_a_usual_event_is_read_in_one_pass(kind: str, data: Any, source: str) -> None:
    event = decode_envelope(text(an_event(kind, data, source=source)))
    assert microseconds_of(event.time) == 1738324800_000_000
    assert event.data == data
