"""What vendors write to Kafka themselves, end to end on a real broker, poison and all."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Sequence
from typing import Any

import asyncpg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.cluster import WantedTopics, apply_topics
from services.catalogue.snapshot import Catalogue
from services.catalogue.store import load
from services.core.events.facts import Row
from services.core.events.two_for_decisions import AgreedDecisions
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.intake import Intake
from services.ingest.party_rate import EventRate
from services.ingest.rejection_store import RejectedRecord
from services.ingest.topics import IngestTopics
from services.shell.frames import decode
from services.shell.refusals import MOST_RAW
from tests.ingest.conftest import Ingest
from tests.ingest.leader import Leader
from tests.ingest.test_frames import rows_of
from tests.shown import shown

Headers = list[tuple[str, bytes]]


def _structured(event: Any) -> tuple[bytes, Headers]:
    return json.dumps(event).encode(), []


def _binary(event: Any) -> tuple[bytes, Headers]:
    headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items()
               if name != "data"]  # fmt: skip
    headers.append(("content-type", b"application/json; charset=utf-8"))
    return json.dumps(event["data"], indent=2).encode(), headers


def test_http_and_kafka_structured_and_binary_give_one_identity_and_payload(ingest: Ingest) -> None:
    ingest.start("http,intake")
    event = ingest.event("same")
    named = [("content-type", b"application/cloudevents+json")]
    ingest.produce(
        f"intake.{ingest.vendor('north')}",
        [_structured(event), (json.dumps(event).encode(), named), _binary(event)],
    )
    over_http = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
    assert ingest.post(json.dumps(event).encode()).status_code == 202
    assert ingest.rows(4) == [ingest.rows(4)[0]] * 4
    binary = ingest.post(
        json.dumps(event["data"]).encode(), content_type="application/json", **over_http
    )
    assert binary.json()["status"] == "duplicate"


POISON: list[tuple[str, bytes, Headers]] = [
    ("not-json", b"\x00\xff\xfe", []),
    ("not-json", b"", []),
    ("not-json", b'{"specversion":', []),
    ("invalid-event", b"[]", []),
    ("invalid-event", b"{}", [("ce_specversion", b"1.0")]),
    ("event-too-large", b"x" * 70_000, []),
]


def test_poison_goes_to_quarantine_and_what_is_around_it_is_taken(ingest: Ingest) -> None:
    ingest.start("intake")
    topic = f"intake.{ingest.vendor('north')}"
    records: list[tuple[bytes, Headers]] = []
    for place, (_, raw, headers) in enumerate(POISON):
        records += [(raw, headers), _structured(ingest.event(f"good-{place}"))]
    foreign = ingest.event("foreign", source=ingest.source("https://desk.example/"))
    ingest.produce(topic, [*records, _structured(foreign)])
    assert sorted(row.id for row in ingest.rows(len(POISON))) == [
        f"good-{place}" for place in range(len(POISON))
    ]
    kept = ingest.quarantined(len(POISON) + 1)
    told = sorted(each["data"]["problem"]["code"] for each in kept)
    assert told == sorted(["unknown-source", *(code for code, _, _ in POISON)])
    raws = {row["raw"] for row in ingest.query("select raw from intake_refusal")}
    assert raws >= {raw[:MOST_RAW] for _, raw, _ in POISON}
    assert all(each["id"].startswith(topic) for each in kept)
    assert {each["data"]["party"] for each in kept} == {ingest.vendor("north")}
    counted = [len(POISON), 0, len(POISON) + 1]
    ingest.wait_for(lambda: _counted(ingest.url) == counted, f"not counted as {counted}")


def test_what_is_refused_is_kept_once_though_the_reader_is_killed_before_its_offset_moves(
    ingest: Ingest,
) -> None:
    topic = f"intake.{ingest.vendor('north')}"
    ingest.produce(topic, [(b"poison %d" % number, []) for number in range(3000)])
    for _ in range(2):
        ingest.start("intake", ready=False, EARNBACK_FAULTPOINT="intake.before-commit:1")
        assert ingest.process is not None
        assert ingest.process.wait() == 137
    ingest.start("intake")
    ingest.wait_for(lambda: _lag(ingest, topic) == 0, "the intake does not come to the end")
    (row,) = ingest.query("select count(*), count(distinct raw) from intake_refusal")
    assert tuple(row) == (2000, 2000)
    told = ingest.quarantined(2000)
    assert len({event["id"] for event in told}) == len(told) == 2000
    # What is beyond a party's quota of a day is counted, and counted once as well.
    (row,) = ingest.query("select sum(kept), sum(beyond) from refusal_count")
    assert tuple(row) == (2000, 1000)


def test_nothing_is_lost_when_the_reader_is_killed_again_and_again(ingest: Ingest) -> None:
    topic = f"intake.{ingest.vendor('north')}"
    total = 30_000
    ingest.produce(topic, [_structured(ingest.event(f"e-{n}")) for n in range(total)])
    for count in (1, 1, 2):
        point = f"intake.before-commit:{count}"
        ingest.start("intake", ready=False, EARNBACK_FAULTPOINT=point)
        assert ingest.process is not None
        assert ingest.process.wait() == 137
    ingest.start("intake")
    ingest.wait_for(lambda: _lag(ingest, topic) == 0, "the intake does not come to the end")
    rows = ingest.rows(total)
    assert {row.id for row in rows} == {f"e-{n}" for n in range(total)}
    assert len(rows) > total, "no kill came between the acknowledgement and the commit"
    assert len({(row.identity, row.payload) for row in rows}) == total


def test_a_stopped_reader_goes_on_where_it_was(ingest: Ingest) -> None:
    topic = f"intake.{ingest.vendor('north')}"
    ingest.produce(topic, [_structured(ingest.event(f"e-{n}")) for n in range(5000)])
    ingest.start("intake")
    ingest.rows(5000)
    assert ingest.stop(signal.SIGTERM) == 0
    assert _lag(ingest, topic) == 0
    ingest.produce(topic, [_structured(ingest.event("last"))])
    ingest.start("intake")
    rows: list[Row] = ingest.rows(5001)
    assert len(rows) == 5001
    assert "last" in {row.id for row in rows}


def test_a_vendor_that_joins_later_is_read_without_a_restart(ingest: Ingest) -> None:
    admin = AdminClient({"bootstrap.servers": ingest.kafka})
    late = f"intake.{ingest.vendor('desk')}"
    admin.delete_topics([late])[late].result(30)
    ingest.start("intake")
    ingest.produce(f"intake.{ingest.vendor('north')}", [_structured(ingest.event("first"))])
    ingest.rows(1)
    asyncio.run(apply_topics(ingest.kafka, WantedTopics("trial", (ingest.vendor("desk"),))))
    event = ingest.event(
        "second",
        "delivery",
        {"metric": "desk.deliveries", "delivery": "d", "due_at": "2025-01-01T00:00:00Z"},
        source=ingest.source("https://desk.example/"),
    )
    producer = Producer({"bootstrap.servers": ingest.kafka})
    producer.produce(late, json.dumps(event).encode())
    assert producer.flush(30) == 0
    assert sorted(row.id for row in ingest.rows(2)) == ["first", "second"]


def test_commits_that_meet_a_rebalance_lose_nothing_keep_nothing_twice_and_get_to_the_end(
    ingest: Ingest,
) -> None:
    topics = [f"intake.{ingest.vendor(vendor)}" for vendor in ("north", "desk")]
    north, whole = topics[0], {topic: [0, 1, 2, 3] for topic in topics}
    with Leader(ingest.kafka, ingest.group, topics) as leader:
        ingest.start("intake", EARNBACK_SESSION_TIMEOUT="30")
        reader = leader.joined_by_another()
        leader.assign({reader: whole})
        with ingest.held_up():
            _produce_mixed(ingest, north, "first")
            ingest.wait_for(ingest.waits, "the poison is not refused")
            ingest.wait_for(lambda: sum(_behind(ingest)) == 40, "the lag does not show what waits")
            assert leader.join() == [reader]
        # The group waits for its leader: what is kept and acknowledged now cannot be committed.
        ingest.wait_for(lambda: sum(_behind(ingest)) == 0, "it does not go on")
        assert _lag(ingest, north) == 40
        leader.assign({reader: {north: [0, 1]}})
        ingest.wait_for(lambda: _lag(ingest, north) == 0, "what met the rebalance stays behind")
        ingest.wait_for(lambda: len(_behind(ingest)) == 2, "lost partitions are still told")
        assert leader.join() == [reader]
        leader.assign({reader: whole})
        _produce_mixed(ingest, north, "second")
        ingest.wait_for(lambda: _counted(ingest.url) == [40, 0, 40], "not all is read, or twice")
        ingest.wait_for(lambda: _lag(ingest, north) == 0, "the intake does not come to the end")
    good = [row.id for row in ingest.rows(40)]
    assert len(good) == len(set(good)) == 40
    kept = [each["id"] for each in ingest.quarantined(40)]
    assert len(kept) == len(set(kept)) == 40


def _produce_mixed(ingest: Ingest, topic: str, name: str) -> None:
    """Twenty good events and as much poison, over all partitions.

    The poison comes first: however little is read at once, nothing good is committed before it.
    """
    for partition in range(4):
        names = [f"{name}-{partition}-{number}" for number in range(5)]
        good = [_structured(ingest.event(each)) for each in names]
        ingest.produce(topic, [*((each.encode(), []) for each in names), *good], partition)


def test_the_lag_tells_what_waits_for_the_database_and_nothing_when_all_is_taken_in(
    ingest: Ingest,
) -> None:
    ingest.start("intake")
    topic = f"intake.{ingest.vendor('north')}"
    ingest.produce(topic, [_structured(ingest.event("before"))])
    ingest.wait_for(lambda: _lag(ingest, topic) == 0, "the first is not taken in")
    ingest.wait_for(lambda: sorted(_behind(ingest)) == [0.0] * 8, "the lag is not told")
    with ingest.held_up():
        ingest.produce(topic, [(b"poison", [])])
        ingest.wait_for(ingest.waits, "the poison is not refused")
        ingest.produce(topic, [_structured(ingest.event(f"e-{n}")) for n in range(50)])
        ingest.wait_for(lambda: sum(_behind(ingest)) == 51, "the lag does not show what waits")
        assert len(ingest.rows(1)) == 1
    ingest.wait_for(lambda: _behind(ingest) == [0.0] * 8, "the lag does not go back")
    assert len(ingest.rows(51)) == 51
    _in_a_transaction(ingest, topic, json.dumps(ingest.event("in-a-transaction")).encode())
    assert len(ingest.rows(52)) == 52
    ingest.wait_for(lambda: _behind(ingest) == [0.0] * 8, "what ends a transaction waits for good")


def _in_a_transaction(ingest: Ingest, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": ingest.kafka, "transactional.id": ingest.suffix})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.commit_transaction()


def test_a_reader_that_gets_nothing_though_records_wait_is_opened_anew(ingest: Ingest) -> None:
    """As after an outage of the broker that its client does not get over."""
    catalogue = asyncio.run(_catalogue(ingest))
    intake = Intake(
        ingest.kafka,
        group=ingest.group,
        topics=IngestTopics(),
        catalogue=lambda: catalogue,
        latest={},
        agreed=AgreedDecisions(),
        events=EventRate(0),
        keep=_nothing_is_refused,
        loops=LazyLoops(),
        session=(6, 1),
        stall=1.0,
    )
    topic = f"intake.{ingest.vendor('north')}"
    ingest.produce(topic, [_structured(ingest.event("before"))])
    thread = threading.Thread(target=intake.run, daemon=True)
    thread.start()
    assert [row.id for row in ingest.rows(1)] == ["before"]
    first = intake._consumer
    first.pause(first.assignment())
    ingest.produce(topic, [_structured(ingest.event("meanwhile"))] * 2)
    assert [row.id for row in ingest.rows(3)] == ["before", *["meanwhile"] * 2]
    assert intake._consumer is not first
    intake.stop()
    thread.join()
    assert _lag(ingest, topic) == 0


def _nothing_is_refused(refused: Sequence[RejectedRecord]) -> int:
    raise AssertionError(refused)


async def _catalogue(ingest: Ingest) -> Catalogue:
    connection = await asyncpg.connect(ingest.postgres)
    try:
        return await load(connection)
    finally:
        await connection.close()


def _behind(ingest: Ingest) -> list[float]:
    """The lag of each partition of this reader, as it tells it."""
    return shown(ingest.url, "earnback_intake_lag_records")


def _counted(url: str) -> list[float]:
    """Events that the intake took, passed over as repeats, and refused."""
    return [
        sum(shown(url, "earnback_events_total", service="intake", outcome=outcome))
        for outcome in ("accepted", "duplicate", "rejected")
    ]


def _lag(ingest: Ingest, topic: str) -> int:
    """Records of the topic behind the intake's committed offsets."""
    consumer = Consumer({"bootstrap.servers": ingest.kafka, "group.id": ingest.group})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        lag = 0
        for each in consumer.committed([TopicPartition(topic, n) for n in partitions], 10):
            end = consumer.get_watermark_offsets(each, timeout=10)[1]
            lag += end - max(each.offset, 0)
        return lag
    finally:
        consumer.close()


def test_a_flood_of_one_vendor_does_not_hold_up_another(ingest: Ingest) -> None:
    """When the other one's are through, most of the flood is still to come; nothing is lost."""
    flood, few = 40_000, 100
    delivery = {"metric": "desk.deliveries", "due_at": "2025-01-01T00:00:00Z"}
    source = ingest.source("https://desk.example/")
    event = json.dumps(ingest.event("NUMBER"))
    loud = [(event.replace("NUMBER", f"loud-{n}").encode(), []) for n in range(flood)]
    quiet = [
        _structured(
            ingest.event(
                f"quiet-{n}", "delivery", {**delivery, "delivery": f"d-{n}"}, source=source
            )
        )
        for n in range(few)
    ]
    ingest.produce(f"intake.{ingest.vendor('north')}", loud)
    ingest.produce(f"intake.{ingest.vendor('desk')}", quiet)
    ingest.start("intake")
    rows = ingest.rows(flood + few)
    assert len({row.id for row in rows}) == len(rows) == flood + few
    ended = {
        vendor: [at for at, ids in _frames(ingest) for one in ids if one.startswith(vendor)]
        for vendor in ("loud", "quiet")
    }
    still_to_come = sum(at > max(ended["quiet"]) for at in ended["loud"])
    assert still_to_come > flood / 2


def test_who_sent_too_much_over_http_waits_there_and_in_its_topic_and_nobody_else(
    ingest: Ingest,
) -> None:
    sent = [ingest.event(f"loud-{n}") for n in range(500)]
    late = {"metric": "desk.deliveries", "due_at": "2025-01-01T00:00:00Z", "delivery": "d"}
    source = ingest.source("https://desk.example/")
    ingest.start("http,intake", EARNBACK_PARTY_EVENTS_PER_SECOND="100")
    body = json.dumps(sent).encode()
    assert ingest.post(body, content_type="application/json").status_code == 202
    refused = ingest.post(json.dumps(ingest.event("more")).encode())
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-events")
    assert int(refused.headers["Retry-After"]) >= 1
    north = _structured(ingest.event("loud-last"))
    desk = _structured(ingest.event("quiet", "delivery", late, source=source))
    ingest.produce(f"intake.{ingest.vendor('north')}", [north])
    ingest.produce(f"intake.{ingest.vendor('desk')}", [desk])
    ingest.rows(502)
    at = {one: at for at, ids in _frames(ingest) for one in ids}
    assert at["quiet"] < at["loud-last"]


def _frames(ingest: Ingest) -> list[tuple[int, list[str]]]:
    """When each frame of this test was sent, in milliseconds, and the ids in it."""
    found = []
    for record in ingest.records("measurements"):
        rows = rows_of(decode(record.value()))
        own = [row.id for row in rows if row.source.endswith(ingest.suffix)]
        found.append((record.timestamp()[1], own))
    return found
