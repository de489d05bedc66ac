"""A step on a real database: each fact once, the rest set aside, the partition goes on."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.frame import Facts
from services.core.calendar.windows import DAY_US
from services.core.events.facts import columns as as_facts
from services.core.events.tally_windows import WINDOW_US
from services.evaluator import columns, store
from services.evaluator.apply import Frames
from services.evaluator.fact_reader import EVER, load
from services.evaluator.tallies import tallies
from services.shell.frames import encode, read_batch
from services.shell.refusals import RefusalQuota
from tests.evaluator.bench import House
from tests.evaluator.builders import CIRRUS, NIMBUS, Event, down, frame, stated, up

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)


def probes(count: int, source: str = NIMBUS, start: datetime = JANUARY) -> list[Event]:
    return [up(f"p{each}", start + timedelta(seconds=each), source) for each in range(count)]


async def test_a_repeated_event_is_counted_once_and_its_repetitions_are_known(house: House):
    events = probes(5)
    await house.send(events, events[:2])
    await house.send(events)
    await house.claim()  # a new worker knows what the old one accepted
    await house.send(events)
    assert await house.stored() == 5
    assert await house.connection.fetchval("select sum(n) from tally") == 5
    row = events[0].row()
    high, low = (int.from_bytes(row.identity[at : at + 8], "big") for at in (0, 8))
    assert await store.repetitions(house.connection, high, low, events[0].partition, 0) == 3


async def test_one_id_with_two_payloads_keeps_the_first_and_quarantines_the_other(house: House):
    first = up("p1", JANUARY)
    await house.send([first])
    await house.send([first.but(value=0)], [first.but(value=0)])
    await house.claim()
    await house.send([first.but(value=0), up("p2", JANUARY)])
    assert await house.stored() == 2
    assert await house.connection.fetchval("select sum(a) from tally") == 2
    (item,) = await house.quarantine()
    assert (item["reason"], item["source"], item["event_id"]) == ("conflict", NIMBUS, "p1")
    assert item["times"] == 3
    assert json.loads(item["held"])["data"]["up"] is True
    assert json.loads(item["told"])["data"]["up"] is False
    (notice,) = await house.announced("quarantine")
    assert notice["type"] == "earnback.fact.quarantined.v1"
    assert notice["time"].endswith("Z")
    assert datetime.fromisoformat(notice["time"]) == item["first_at"]
    assert notice["data"]["held"]["data"] == {"metric": "availability", "up": True}


async def test_a_conflict_inside_one_frame_knows_both_sides(house: House):
    event = down("p1", JANUARY)
    await house.send([up("p0", JANUARY), event, event.but(value=1), event])
    assert await house.stored() == 2
    (item,) = await house.quarantine()
    assert json.loads(item["held"])["data"]["up"] is False
    assert json.loads(item["told"])["data"]["up"] is True


async def test_a_flood_of_conflicts_is_kept_whole(house: House):
    events = probes(1200)
    await house.send(events)
    await house.send([event.but(value=0) for event in events])
    assert await house.stored() == 1200
    items = await house.quarantine()
    assert {item["event_id"] for item in items} == {event.id for event in events}
    for item in items:
        assert json.loads(item["held"])["id"] == json.loads(item["told"])["id"] == item["event_id"]
        assert json.loads(item["held"])["data"]["up"] is True


async def test_conflicts_beyond_a_party_s_quota_are_counted_and_take_no_room(house: House):
    house.frames = Frames(lambda: house.copy, quota=RefusalQuota(events=5))
    await house.frames.load(house.connection, house.claims)
    events = probes(40)
    await house.send(events)
    for _ in range(2):
        await house.send([event.but(value=0) for event in events])
    items = await house.quarantine()
    assert [item["times"] for item in items] == [2] * 5
    (row,) = await house.connection.fetch(
        "select party, kept, beyond, length(sample) > 0 from refusal_count"
    )
    # Whoever is in quarantine already takes no more room; the others are counted as they come.
    assert tuple(row) == ("nimbus", 5, 70, True)
    # Another party's quota is its own.
    await house.send([up("p1", JANUARY, CIRRUS)])
    await house.send([down("p1", JANUARY, CIRRUS)])
    assert len(await house.quarantine()) == 6


async def test_two_sources_may_use_the_same_id(house: House):
    await house.send([up("p1", JANUARY, NIMBUS)], [down("p1", JANUARY, CIRRUS)])
    assert await house.stored() == 2
    assert await house.quarantine() == []


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"not a frame",
        frame(probes(3))[:-40],
        frame(probes(3))[:60] + b"\xff" * 40 + frame(probes(3))[100:],
    ],
    ids=["empty", "text", "cut short", "torn"],
)
async def test_a_poison_record_is_kept_aside_and_the_partition_goes_on(house: House, poison: bytes):
    await house.send(probes(2), poison, partition=1)
    await house.send(probes(4), partition=1)
    assert await house.stored() == 4
    (item,) = await house.quarantine()
    assert (item["reason"], item["raw"], item["first_offset"]) == ("unreadable", poison, 1)
    assert len(await house.announced("quarantine")) == 1


async def test_a_frame_of_poison_alone_moves_the_partition(house: House):
    await house.send(b"poison", partition=2)
    assert house.claims[2].next_offset == 1
    assert len(await house.quarantine()) == 1


async def test_a_frame_with_a_metric_that_nobody_numbered_is_set_aside_whole(house: House):
    facts = as_facts([event.row() for event in probes(3)])
    strange = {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
    strange["metric"] = np.full(3, 77, np.int32)
    await house.send(encode(Facts(**strange)), partition=0)
    assert await house.stored() == 0
    (item,) = await house.quarantine()
    assert "metric number" in item["problem"]


async def test_a_fact_of_a_period_past_restatement_goes_to_review_in_any_batching(house: House):
    old = up("old", JANUARY)
    # January ends on the 31st and may be restated for 100 days: until the 11th of May.
    inside = up("inside", JANUARY + timedelta(days=119))
    beyond = up("beyond", JANUARY + timedelta(days=125))
    await house.send([inside, old, beyond, up("older", JANUARY), up("older", JANUARY)])
    assert await house.stored() == 3
    (item,) = await house.quarantine()
    assert (item["reason"], item["event_id"], item["times"]) == ("beyond_horizon", "older", 2)
    await house.send([old])  # a repetition of what was accepted in time stays one
    assert len(await house.quarantine()) == 1


async def test_a_charge_is_as_old_as_the_period_it_is_for(house: House):
    june = datetime(2025, 6, 20, tzinfo=UTC)
    said = {"agreement": "hosting", "base": "monthly", "amount": "1", "currency": "EUR"}
    await house.send([up("now", june)])
    await house.send(
        [
            stated("charge-1", june, "charge", period="2025-01", **said),
            stated("charge-3", june, "charge", period="2025-03", **said),
        ]
    )
    assert await house.stored() == 2
    (item,) = await house.quarantine()
    assert (item["reason"], item["event_id"]) == ("beyond_horizon", "charge-1")


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (up("p1", JANUARY).but(type="earnback.response.v1", scale_or_total=10**9), "decimals"),
        (up("p1", JANUARY).but(type="earnback.charge.v1"), "go with the kind"),
        (up("p1", JANUARY).but(metric=None), "go with the kind"),
        (up("p1", datetime(2400, 1, 1, tzinfo=UTC)), "time outside"),
        (up("p\0", JANUARY), "NUL"),
        (stated("c1", JANUARY, "charge", period="2025-01"), "no Charge"),
        (stated("c1", JANUARY, "charge").but(data="nonsense"), "no Charge"),
    ],
    ids=["decimals", "metric for a charge", "no metric", "time", "nul", "lacking", "no json"],
)
async def test_a_frame_that_would_break_the_count_later_is_refused_now(
    house: House, event: Event, why: str
):
    await house.send([event], [up("good", JANUARY)], partition=3)
    assert await house.stored() == 1
    (item,) = await house.quarantine()
    assert why in item["problem"]


async def test_texts_that_databases_dislike_can_be_quarantined(house: House):
    said = {"agreement": "hosting", "circumstance": "claim", "period": "2025-01"}
    first = stated("c1", JANUARY, "circumstance", **said, values={"note": "a\0b"})
    await house.send([first], [first.but(at=JANUARY + timedelta(days=1))])
    (item,) = await house.quarantine()
    assert json.loads(item["held"])["data"]["values"] == {"note": "a\0b"}


async def test_shuffled_repeated_and_recut_input_leaves_the_same_facts(house: House):
    chance = random.Random(5)
    events = [down(f"e{n}", JANUARY + timedelta(minutes=n)) for n in range(300)]
    sent = events * 3
    chance.shuffle(sent)
    place = 0
    while place < len(sent):
        cuts = [chance.randrange(1, 40) for _ in range(chance.randrange(1, 6))]
        batches = []
        for cut in cuts:
            if sent[place : place + cut]:
                batches.append(sent[place : place + cut])
            place += cut
        await house.send(*batches)
        if chance.random() < 0.2:
            await house.claim()
    async with house.connection.transaction():
        loaded = await load(house.connection, {0: EVER})
    assert Counter(loaded.facts.ids) == Counter(event.id for event in events)
    assert await house.connection.fetchval("select sum(n) from tally") == 300
    rows = await house.connection.fetch("select frame, ids, payloads from fact_frame where n > 0")
    for row in rows:
        given = columns.joined([read_batch(row["frame"])])
        assert columns.identities(given.high, given.low) == row["ids"]
        assert columns.identities(given.payload_high, given.payload_low) == row["payloads"]


async def test_stored_facts_can_be_neither_changed_nor_removed(house: House):
    await house.send(probes(2))
    for statement in (
        "update fact_frame set n = n",
        "delete from fact_frame",
        "update frame_day set day = day",
        "delete from frame_day",
        "truncate fact_frame cascade",
    ):
        with pytest.raises(Exception, match="append-only"):
            await house.connection.execute(statement)


@given(
    st.lists(
        st.tuples(
            st.integers(-1, 2),
            st.integers(-(10**15), 10**15),
            st.integers(-(2**62), 2**62),
            st.integers(0, 2**64 - 1),
        ),
        max_size=40,
    )
)
def test_the_sums_of_a_step_are_those_of_the_core_modulo_2_to_the_62(rows):
    metric, at_us, value, payload = (
        np.array([row[place] for row in rows], kind)
        for place, kind in enumerate((np.int32, np.int64, np.int64, np.uint64))
    )
    facts = Facts(
        ids=[""] * len(rows), id_high=payload, id_low=payload,
        payload_high=payload, payload_low=payload,
        kind=np.zeros(len(rows), np.int8), metric=metric, at_us=at_us,
        value=value, scale_or_total=value, source=metric, subject=metric,
        data=[""] * len(rows), sources=[], subjects=[],
    )  # fmt: skip
    given_columns = columns.Columns(
        (), payload, payload, payload, payload, facts.kind, metric, at_us, value, value
    )
    widths = {0: WINDOW_US["minute"], 1: WINDOW_US["hour"]}
    found = tallies(given_columns, np.ones(len(rows), np.bool_), widths)
    expected: dict[tuple[int, int], list[int]] = {}
    for number, at, said, digest in rows:
        width = widths.get(number, DAY_US)
        sums = expected.setdefault((number, at - at % width), [0] * 4)
        for place, added in enumerate((1, said, said, digest)):
            sums[place] += added
    keys = zip(found.metric, found.window_us, strict=True)
    sums = zip(found.n, found.value, found.scale_or_total, found.checksum, strict=True)
    assert dict(zip(keys, sums, strict=True)) == {
        key: (n, *(each % 2**62 for each in modular)) for key, (n, *modular) in expected.items()
    }
