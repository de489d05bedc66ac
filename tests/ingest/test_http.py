"""The HTTP door on real servers: every form of an event, a result per item, 202 means durable."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from typing import Any

import asyncpg
import httpx
import pyarrow as pa
import pytest

from services.catalogue import keys
from services.catalogue.store import apply
from services.core.events.facts import Row
from services.ingest.body import MAX_ITEMS
from services.ingest.party_rate import REFUSED_AT_ONCE
from tests.catalogue.builders import a_programme
from tests.ingest.conftest import Ingest
from tests.ingest.test_event_validator import GOOD


@pytest.fixture
def running(ingest: Ingest) -> Ingest:
    ingest.start()
    return ingest


def _body(events: Any) -> bytes:
    return json.dumps(events).encode()


def test_every_way_to_send_an_event_over_http_makes_the_same_row(running: Ingest) -> None:
    def told(number: int) -> Any:
        return running.event(f"e-{number}")

    single = _body(told(0))
    binary = {f"ce_{name}": str(value) for name, value in told(8).items() if name != "data"}
    lines = b"\n".join([_body(told(6)), b"", _body(told(7))]) + b"\n"
    answers = [
        running.post(single),
        running.post(_body(told(1)), content_type="application/json"),
        running.post(_body([told(2)]), content_type="application/cloudevents-batch+json"),
        running.post(_body([told(3)]), content_type="application/json; charset=utf-8"),
        running.post(gzip.compress(_body(told(4))), content_encoding="gzip"),
        running.post(bytes(pa.compress(_body(told(5)), "zstd")), content_encoding="zstd"),
        running.post(lines, content_type="application/x-ndjson"),
        running.post(_body(told(8)["data"]), content_type="application/json", **binary),
    ]
    assert [answer.status_code for answer in answers] == [202] * 8, answers[-1].text
    rows = running.rows(9)
    assert sorted(row.id for row in rows) == [f"e-{number}" for number in range(9)]
    assert len({row.payload for row in rows}) == 1


def test_a_good_event_of_every_type_is_taken(running: Ingest) -> None:
    events = [
        running.event(f"{kind}-{place}", kind, renamed(running, data),
                      source=running.source(source))
        for place, (kind, data, source) in enumerate(GOOD)
    ]  # fmt: skip
    for person in ("Olga", "Ben"):
        answer = running.post(
            _body(events), "operator", content_type="application/json", on_behalf_of=person
        )
        assert answer.status_code == 202, answer.text
    assert answer.json()["duplicate"] == len(events)
    (sent_by,) = running.query("select key_prefix, role, person from answer_sender")
    prefix = running.keys["operator"].split("_")[1]
    assert tuple(sent_by) == (prefix, "admin", "Olga"), "who sent the answer first"
    assert len(running.rows(len(events))) == len(events)


def renamed(running: Ingest, data: Any) -> Any:
    """What an event says, with the vendors and sources of this test's own programme."""
    own = {}
    if "assigned_to" in data:
        own["assigned_to"] = running.vendor("desk")
    if "of_source" in data:
        own["of_source"] = running.source(data["of_source"])
    return {**data, **own}


def test_good_events_beside_bad_ones_are_taken_and_each_has_its_result(running: Ingest) -> None:
    good, late = running.event("a"), running.event("b", time="2001-01-01T00:00:00Z")
    other = running.event("a", data={"metric": "net.availability", "up": False})
    foreign = running.event("c", source=running.source("https://desk.example/"))
    answer = running.post(
        _body([good, late, good, other, foreign, 5, running.event("d")]),
        content_type="application/cloudevents-batch+json",
    )
    assert answer.status_code == 207
    told = answer.json()
    assert (told["accepted"], told["duplicate"], told["rejected"]) == (2, 1, 4)
    assert [each["status"] for each in told["results"]] == [
        "accepted", "rejected", "duplicate", "rejected", "rejected", "rejected", "accepted",
    ]  # fmt: skip
    assert [each["index"] for each in told["results"]] == list(range(7))
    problems = {each["index"]: each["problem"] for each in told["results"] if "problem" in each}
    assert {index: problem["code"] for index, problem in problems.items()} == {
        1: "beyond-horizon", 3: "conflict", 4: "unknown-source", 5: "invalid-event",
    }  # fmt: skip
    assert all(each["item"] == index for index, each in problems.items())
    assert sorted(row.id for row in running.rows(2)) == ["a", "d"]


def test_a_conflict_is_told_at_the_door_and_kept_in_quarantine(running: Ingest) -> None:
    first = running.event("a")
    second = running.event("a", data={"metric": "net.availability", "up": False})
    assert running.post(_body(first)).json()["status"] == "accepted"
    assert running.post(_body(first)).json()["status"] == "duplicate"
    answer = running.post(_body(second))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["first_payload"] != problem["second_payload"]
    assert (problem["source"], problem["id"]) == (first["source"], "a")
    kept = running.quarantined(1)
    assert kept[0]["data"]["problem"]["second_payload"] == problem["second_payload"]
    assert [row.id for row in running.rows(1)] == ["a"]
    assert running.rows(1)[0].payload.hex() == problem["first_payload"]


def test_an_event_too_old_to_settle_is_kept_for_review(running: Ingest) -> None:
    answer = running.post(_body(running.event("old", time="2001-01-01T00:00:00Z")))
    assert answer.status_code == 422
    kept = running.quarantined(1)[0]["data"]
    assert (kept["event_id"], kept["problem"]["code"]) == ("old", "beyond-horizon")


def test_history_is_taken_from_a_source_that_has_come_no_further(running: Ingest) -> None:
    old = running.event(
        "old", time="2001-01-01T00:00:00Z", source=running.source("https://probe.example/net-2")
    )
    assert running.post(_body(old)).json()["status"] == "accepted"
    assert running.quarantined(0) == []


def test_what_was_refused_for_review_is_kept_once_however_often_it_is_sent(
    running: Ingest,
) -> None:
    content = _body(running.event("old", time="2001-01-01T00:00:00Z"))
    for _ in range(3):
        assert running.post(content).status_code == 422
    (row,) = running.query("select party, topic, raw from intake_refusal")
    assert tuple(row) == (running.vendor("north"), None, content)
    assert len(running.quarantined(1)) == 1


REFUSED: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("no content type", b"{}", {"content_type": ""}, 415, "unsupported-media-type"),
    ("form", b"a=b", {"content_type": "application/x-www-form-urlencoded"}, 415,
     "unsupported-media-type"),
    ("charset", b"{}", {"content_type": "application/json; charset=latin1"}, 415,
     "unsupported-media-type"),
    ("brotli", b"{}", {"content_encoding": "br"}, 415, "unsupported-media-type"),
    ("not gzip", b"{}", {"content_encoding": "gzip"}, 400, "bad-encoding"),
    ("cut gzip", gzip.compress(b"{}" * 999)[:-9], {"content_encoding": "gzip"}, 400,
     "bad-encoding"),
    ("bomb", gzip.compress(b" " * 17_000_000), {"content_encoding": "gzip"}, 413, "too-large"),
    ("large", b" " * 8_400_000, {}, 413, "too-large"),
    ("no list", b"[1,", {"content_type": "application/json"}, 400, "not-json"),
    ("empty list", b"[]", {"content_type": "application/json"}, 400, "empty-batch"),
    ("many", b"[" + b"1," * 10_000 + b"1]", {"content_type": "application/json"}, 413,
     "too-large"),
    ("nothing", b"", {}, 400, "not-json"),
]  # fmt: skip


def test_a_request_that_cannot_be_read_is_refused_with_a_remedy(running: Ingest) -> None:
    for name, content, headers, status, code in REFUSED:
        answer = running.post(content, **headers)
        assert (name, answer.status_code, answer.json()["code"]) == (name, status, code)
        assert answer.json()["errors"][0]["remedy"], name
        assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_odd_in_an_event_is_our_failure(running: Ingest) -> None:
    """NULs, halves of letters, huge numbers and years at the ends of the calendar, in every place:
    each is taken or refused as what it is, also where it is kept for review."""
    huge = 10**400
    odd: list[Any] = [
        "\0",
        "\ud800",
        "x" * 3000,
        huge,
        -huge,
        None,
        [],
        {},
        "9999-12-31T23:59:59-14:00",
    ]
    odd += ["0001-01-01T00:00:00+14:00", "9999", "0000-01", "2025-13"]
    events = [running.event(f"odd-{place}", **{name: each})
              for name in ("id", "source", "type", "time", "subject", "dataschema", "data", "extra")
              for place, each in enumerate(odd)]  # fmt: skip
    for kind, data, source in GOOD:
        good = renamed(running, data)
        for name in good:
            for each in odd:
                event = running.event(f"{kind}-{name}", kind, {**good, name: each},
                                      source=running.source(source))  # fmt: skip
                events += [event, {**event, "time": "2001-01-01T00:00:00Z"}]
    for event in events:
        answer = running.post(_body(event), "operator")
        assert answer.status_code < 500, (event, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["errors"][0]["remedy"], (event, answer.text)


@pytest.mark.parametrize("header", ["ce_id", "ce_source", "ce_time", "ce_type", "ce_specversion"])
def test_nothing_odd_in_a_header_of_binary_mode_is_our_failure(
    running: Ingest, header: str
) -> None:
    told = running.event("binary")
    binary = {f"ce_{name}": str(value) for name, value in told.items() if name != "data"}
    for odd in ("%00", "%ED%A0%80", "%", "%zz", "%FF", "x" * 3000, ""):
        headers = {**binary, header: odd, "content_type": "application/json"}
        answer = running.post(_body(told["data"]), **headers)
        assert answer.status_code < 500, (odd, answer.text)


def test_a_parameter_that_the_door_does_not_have_is_refused(running: Ingest) -> None:
    answer = httpx.post(
        f"{running.url}/v1/events?dry_run=true",
        content=_body(running.event("a")),
        headers={"authorization": f"Bearer {running.keys['north']}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")


def test_who_sends_must_be_known_and_speaks_for_one_party(running: Ingest) -> None:
    content = _body(running.event("a"))
    assert running.post(content, None).status_code == 401
    unknown = httpx.post(
        f"{running.url}/v1/events",
        content=content,
        headers={"authorization": "Bearer eb_0_0", "content-type": "application/json"},
    )
    assert unknown.status_code == 401
    assert "Bearer" in unknown.headers["www-authenticate"]
    for stranger in ("desk", "town"):
        answer = running.post(content, stranger)
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown-source")
    assert running.post(content, "operator").status_code == 202


def test_a_key_and_a_programme_of_a_moment_ago_are_known(running: Ingest) -> None:
    async def made(number: int) -> tuple[str, str]:
        name = running.source(f"later-{number}")
        source = f"https://probe.example/{name}"
        connection = await asyncpg.connect(running.postgres)
        programme = a_programme(
            programme=name,
            vendors=[{"vendor": running.vendor("north"), "name": "North"}],
            sources=[{"source": source, "reports_for": running.vendor("north")}],
        )
        await apply(connection, programme)
        text = await keys.create(
            connection, party=running.vendor("north"), role="vendor", label=name
        )
        await connection.close()
        return source, text

    for number in range(4):
        source, text = asyncio.run(made(number))
        batch = [running.event("a", source=source), running.event("b", source="/nobody")]
        answer = httpx.post(
            f"{running.url}/v1/events",
            content=_body(batch),
            headers={"authorization": f"Bearer {text}", "content-type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 207, answer.text
        assert [each["status"] for each in answer.json()["results"]] == ["accepted", "rejected"]


def test_an_acknowledged_event_survives_a_kill_right_after_the_answer(ingest: Ingest) -> None:
    acknowledged: list[str] = []
    for run in range(3):
        ingest.start()
        for number in range(20):
            batch = [ingest.event(f"{run}-{number}-{place}") for place in range(50)]
            answer = ingest.post(_body(batch), content_type="application/json")
            assert answer.status_code == 202
            acknowledged += [each["id"] for each in answer.json()["results"]]
        assert ingest.stop(signal.SIGKILL) == -signal.SIGKILL
    found = {row.id for row in ingest.rows(len(acknowledged))}
    assert found == set(acknowledged)
    assert len(acknowledged) == 3000


def test_a_graceful_stop_ends_with_exit_zero(running: Ingest) -> None:
    assert running.post(_body(running.event("a"))).status_code == 202
    assert running.stop() == 0


def test_a_process_without_the_http_part_takes_no_events_and_says_so(ingest: Ingest) -> None:
    ingest.start("intake")
    answer = ingest.post(_body(ingest.event("a")))
    assert (answer.status_code, answer.json()["code"]) == (503, "not-here")


def test_what_happened_is_counted(running: Ingest) -> None:
    running.post(_body(running.event("a")))
    running.post(_body(running.event("b", type="x")))
    text = httpx.get(f"{running.url}/metrics", timeout=60).text
    assert 'earnback_events_total{outcome="accepted",service="ingest"} 1.0' in text
    assert 'earnback_events_total{outcome="rejected",service="ingest"} 1.0' in text


def test_rows_of_http_are_the_rows_of_the_door(running: Ingest) -> None:
    event = running.event("a", "response", {"metric": "net.rtt", "value": "20.50",
                                            "unit": "milliseconds", "subject": "s"})  # fmt: skip
    running.post(_body(event))
    row = running.rows(1)[0]
    assert isinstance(row, Row)
    assert (row.value, row.scale_or_total, row.subject, row.data, row.kind) == (205, 1, "s", "", 2)


def test_a_key_that_only_reads_sends_nothing_and_a_probe_no_charge(running: Ingest) -> None:
    charge = {"agreement": "campus-network", "base": "monthly", "period": "2025-01"}
    charge |= {"amount": "0.05", "currency": "EUR"}
    source = running.source("https://town.example/books")
    content = _body(running.event("cheap", source=source, kind="charge", data=charge))
    for role in ("finance", "probe"):
        answer = running.post(content, role)
        assert (answer.status_code, answer.json()["code"]) == (403, "kind-not-of-role")
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/type"
        assert "use a key of the role vendor, procurement or admin" in error["remedy"]
    assert running.post(content, "town").status_code == 202


def test_a_party_that_has_too_many_events_refused_waits_and_nobody_else(running: Ingest) -> None:
    rubbish = b"[" + b",".join([b"{}"] * MAX_ITEMS) + b"]"
    for _ in range(1 + REFUSED_AT_ONCE // MAX_ITEMS):  # time gives some back between two of them
        assert running.post(rubbish, content_type="application/json").status_code == 207
    answer = running.post(_body(running.event("a")))
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-refused")
    assert int(answer.headers["retry-after"]) > 0
    assert running.post(b"{}", "town").status_code == 422


def test_a_subject_too_many_is_refused_and_those_that_are_known_are_taken(ingest: Ingest) -> None:
    party = ingest.vendor("north")
    ingest.query(
        "with had as (insert into known_subject (party, metric, subject)"
        "   select $1, number, 'site-1' from metric_number returning party, metric)"
        " insert into subject_count select party, metric, 1 from had returning party",
        party,
    )
    ingest.start(EARNBACK_MOST_SUBJECTS="1")
    known, new = (
        ingest.event(f"of-{site}", data={"metric": "net.availability", "up": True, "subject": site})
        for site in ("site-1", "site-2")
    )
    assert ingest.post(_body(known)).status_code == 202
    refused = ingest.post(_body(new))
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-subjects")
    assert int(refused.headers["Retry-After"]) > 0
    both = ingest.post(
        _body([known, new, ingest.event("of-none")]), content_type="application/json"
    )
    assert [each["status"] for each in both.json()["results"]] == [
        "duplicate",
        "rejected",
        "accepted",
    ]
