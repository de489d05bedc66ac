"""Facts that belong together: a count reads its agreement's own, whatever else has come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from services.catalogue import store as catalogue
from services.core.counting.evaluation import evaluate, ready
from services.core.events.corrections import MOST_CHAINED
from services.core.events.facts import columns
from services.evaluator import links, recount
from services.evaluator.recount import RecountTarget, Snapshot
from tests.evaluator.bench import TOPICS, House
from tests.evaluator.builders import (
    CIRRUS,
    NIMBUS,
    Event,
    accepts,
    an_agreement,
    correction,
    stated,
    up,
)

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
LATER = datetime(2025, 2, 20, tzinfo=UTC)
UP, DOWN = ({"metric": "availability", "up": up} for up in (True, False))


async def taken(house: House, agreement: str, period: str) -> tuple[RecountTarget, Snapshot, int]:
    """What a close would look at, and in how many statements it was read."""
    await house.copy.refresh()
    target = recount.target_of(house.copy.current, agreement, period)
    sent: list[Any] = []
    house.connection.add_query_logger(sent.append)
    snapshot = await recount.take(house.connection, target)
    house.connection.remove_query_logger(sent.append)
    return target, snapshot, len(sent)


def a_chain(of: Event, length: int) -> list[Event]:
    """Corrections of an event, each of the one before."""
    found = [of]
    for number in range(length):
        found.append(correction(f"{of.id}-c{number}", LATER, found[-1]))
    return found[1:]


async def test_anothers_corrections_change_nothing_of_what_a_close_reads(house: House) -> None:
    await catalogue.apply(house.connection, an_agreement("other", "latency"))
    mine, theirs = up("mine", JANUARY), up("theirs", JANUARY, CIRRUS).but(metric="incidents")
    charge = {"agreement": "other", "base": "fee", "period": "2025-01"}
    charge |= {"amount": "1.00", "currency": "EUR"}
    await house.send([mine, correction("own", LATER, mine, DOWN)], [theirs])
    _, before, statements = await taken(house, "hosting", "2025-01")
    assert len(before.linked.facts) == 1
    await house.send(a_chain(theirs, 4000))
    flood = [correction(f"w{number}", LATER, theirs) for number in range(4000)]
    await house.send(flood, [stated(f"s{n}", LATER, "charge", CIRRUS, **charge) for n in range(99)])
    _, after, again = await taken(house, "hosting", "2025-01")
    assert again == statements
    assert list(after.linked.facts.ids) == list(before.linked.facts.ids) == ["own"]
    assert list(after.loaded.facts.ids) == ["mine"]


@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_a_chain_beyond_its_length_is_refused_with_the_reason(house: House, cut: int) -> None:
    event = up("e", JANUARY)
    events = [event, *a_chain(event, MOST_CHAINED + 3)]
    for start in range(0, len(events), cut):
        await house.send(events[start : start + cut])
    held = await house.quarantine()
    assert [item["event_id"] for item in held] == [f"e-c{MOST_CHAINED}"]
    assert held[0]["reason"] == "refused_correction"
    assert "correct the original event itself" in held[0]["problem"]
    _, snapshot, _ = await taken(house, "hosting", "2025-01")
    assert len(snapshot.linked.facts) == MOST_CHAINED


async def test_a_chain_that_came_before_its_event_counts_as_far_as_it_may(house: House) -> None:
    event = up("e", JANUARY)
    for each in reversed([event, *a_chain(event, MOST_CHAINED + 3)]):
        await house.send([each])
    target, snapshot, _ = await taken(house, "hosting", "2025-01")
    assert len(snapshot.linked.facts) == MOST_CHAINED + 1
    made, refused = recount.evaluation(target, snapshot, 1, "commanded")
    assert [each.correction.id for each in refused] == [f"e-c{MOST_CHAINED}"]
    assert made.figures[0].total == 1  # an even number of them take each other back


async def test_a_circle_is_refused_by_the_correction_that_closes_it(house: House) -> None:
    event = up("e", JANUARY)
    first = correction("c1", LATER, event.but(id="c3"))
    second = correction("c2", LATER, first)
    await house.send([event, first], [second], [correction("c3", LATER, second)])
    await house.send([correction("c4", LATER, event.but(id="c4"))])
    assert [item["event_id"] for item in await house.quarantine()] == ["c3", "c4"]


async def test_a_refused_identity_is_free_for_what_comes_after_it(house: House) -> None:
    event = up("e", JANUARY)
    circle = correction("c", LATER, event.but(id="c"))
    fits = correction("c", LATER, event, DOWN)
    await house.send([event, circle, circle, fits])
    assert [item["times"] for item in await house.quarantine()] == [2]
    target, snapshot, _ = await taken(house, "hosting", "2025-01")
    made, _ = recount.evaluation(target, snapshot, 1, "commanded")
    assert made.figures[0].good == 0


def a_mix(random: Random, size: int) -> list[Event]:
    """Samples, circumstances, corrections of any of them, and answers to these, in any order."""
    events: list[Event] = []
    for number in range(size):
        source, at = random.choice([NIMBUS, CIRRUS]), JANUARY + timedelta(days=number % 60)
        own = [each for each in events if each.source == source]
        if not own or random.random() < 0.4:
            events.append(up(f"e{number}", at, source))
        elif random.random() < 0.2:
            events.append(stated(f"e{number}", at, "circumstance", source, **a_time(random)))
        else:
            events.append(a_correction(random, f"e{number}", random.choice(own), own))
            if random.random() < 0.5:
                about = {"agreement": random.choice(["hosting", "other"])}
                events.append(accepts(events[-1], random.choice(["2025-01", "2025-02"]), **about))
    random.shuffle(events)
    return events


def a_time(random: Random) -> dict[str, Any]:
    agreement, period = random.choice(["hosting", "other"]), random.choice(["2025-01", "2025-Q2"])
    return {"agreement": agreement, "circumstance": "storm", "period": period}


def a_correction(random: Random, name: str, of: Event, own: Sequence[Event]) -> Event:
    time = JANUARY + timedelta(days=random.randrange(60)) if random.random() < 0.5 else None
    data: dict[str, Any] | None = random.choice([UP, DOWN, None])
    if of.type.endswith("circumstance.v1") and data:
        data = a_time(random)
    if of.type.endswith("correction.v1") and data:
        inner = json.loads(of.data)
        data = {**inner, "data": random.choice([UP, DOWN, a_time(random)])}
    at = LATER + timedelta(hours=random.randrange(200))
    return correction(name, at, of, data, time)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_looked_up_counts_as_all_facts_would(house: House, seed: int) -> None:
    await catalogue.apply(house.connection, an_agreement("other"))
    random = Random(seed)
    events = a_mix(random, 300)
    for start in range(0, 200, 40):
        await house.send(*([each] for each in events[start : start + 40]))
    places = [(name, f"2025-0{n}") for name in ("hosting", "other") for n in (1, 2, 3, 4)]
    for place in places[:3]:
        await house.ask_to_close(*place)
    await house.look()
    await house.send(*([each] for each in events[200:]))
    await house.look()
    await asyncio.sleep(0.05)
    await house.look()
    everything = columns([each.row() for each in events])
    for place in places:
        target, snapshot, _ = await taken(house, *place)
        assert snapshot.astray == ()
        made, _ = recount.evaluation(target, snapshot, 1, "commanded")
        stock = ready(target.programmes, everything, target.numbers, None, target.agreements)
        whole = evaluate(
            target.programmes,
            target.agreements,
            place[1],
            stock.of(target.agreements, snapshot.stored_after),
            target.numbers,
            1,
            "commanded",
        )
        assert made == whole
        closed = [one for one in await house.evaluations(place[0]) if one.period == place[1]]
        if closed:
            same = {"revision": 1, "reason": "commanded"}
            assert closed[-1].model_copy(update=same) == whole


async def test_facts_of_before_are_linked_by_whoever_owns_the_partition_next(house: House) -> None:
    events = a_mix(Random(7), 150)
    await house.send(*([each] for each in events))
    tables = {
        "linked_fact": "partition, id128, number, place, corrects, root, depth, metric, at_us",
        "linked_metric": "programme, metric, at_us, partition, root",
        "linked_agreement": "agreement, label, since, until, name, partition, root",
    }
    queries = [f"select {names} from {name} order by {names}" for name, names in tables.items()]
    before = [await house.connection.fetch(each) for each in queries]
    await house.connection.execute("truncate linked_fact, linked_metric, linked_agreement")
    await house.connection.execute(
        "insert into link_backlog select distinct partition from fact_frame where -1 = any(metrics)"
    )
    with pytest.raises(ValueError, match="earlier release"):
        await taken(house, "hosting", "2025-01")
    await house.claim()
    assert [await house.connection.fetch(each) for each in queries] == before
    assert await house.connection.fetchval("select count(*) from link_backlog") == 0


async def test_a_chain_of_before_that_is_too_long_is_told_when_it_is_linked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier release stored it whole; it counts as far as it may, and says so."""
    event = up("e", JANUARY)
    with monkeypatch.context() as before:
        before.setattr(links, "MOST_CHAINED", 100)
        await house.send(*([each] for each in [event, *a_chain(event, MOST_CHAINED + 3)]))
    assert await house.quarantine() == []
    await house.connection.execute("truncate linked_fact, linked_metric, linked_agreement")
    await house.connection.execute(
        "insert into link_backlog select distinct partition from fact_frame where -1 = any(metrics)"
    )
    await house.claim()
    (held,) = await house.quarantine()
    assert (held["event_id"], held["reason"]) == (f"e-c{MOST_CHAINED}", "refused_correction")
    assert f"more than {MOST_CHAINED} corrections hang on each other" in held["problem"]
    assert [one["data"]["event_id"] for one in await house.announced(TOPICS.quarantine)] == [
        f"e-c{MOST_CHAINED}"
    ]
    await house.claim()
    assert [item["times"] for item in await house.quarantine()] == [1]
    _, snapshot, _ = await taken(house, "hosting", "2025-01")
    assert len(snapshot.linked.facts) == MOST_CHAINED


async def test_a_link_to_a_fact_that_is_not_there_is_an_alarm(house: House) -> None:
    event = up("e", JANUARY)
    await house.send([event, up("f", JANUARY), correction("c", LATER, event, DOWN)])
    await house.connection.execute("update linked_fact set place = 1 where depth = 1")
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert await house.evaluations() == []
    (found,) = await house.connection.fetch("select found from close_alarm")
    assert "another fact, or none" in found["found"]
