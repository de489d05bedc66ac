"""What counts already is told as a repeat, whichever door it comes to and however late."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Producer

from services.cli.client import Client
from services.cli.stack import Stack
from tests.integration.conftest import Chain
from tests.integration.living import Living, wait_for
from tests.shown import shown

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"
PROBE, DESK = "https://probe.example/net-1", "urn:desk:tickets"
OUTCOMES = ("rejected", "duplicate", "accepted")


@pytest.fixture(scope="module")
def running(chain: Chain) -> Stack:
    """An installation with two doors."""
    chain.living.apply(EXAMPLES)
    return chain.living.stack


def _through(running: Stack, door: int) -> Living:
    """The installation as it looks from one of its doors."""
    where = running.addresses
    client = Client(ingest=running.ingest_urls[door], settlement=where.settlement, key=where.key)
    return Living(running, client)


def _sample(
    identity: str, *, up: bool = True, time: str = "2025-01-10T12:00:00Z"
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": PROBE,
        "type": "earnback.sample.v1",
        "time": time,
        "data": {"metric": "uptime", "up": up},
    }


def _opened(identity: str, time: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": DESK,
        "type": "earnback.ticket.v1",
        "time": time,
        "data": {"metric": "tickets-in-time", "ticket": identity, "state": "opened"},
    }


def _told(living: Living, *events: dict[str, Any]) -> list[str]:
    """What the door says to each: its status, or the code of the problem."""
    results = living.submit(living.client, events)
    return [each["problem"]["code"] if "problem" in each else each["status"] for each in results]


def test_the_version_that_counts_is_a_repeat_at_a_door_that_took_the_other_version(
    running: Stack,
) -> None:
    one, two = _through(running, 0), _through(running, 1)
    first, second = _sample("torn"), _sample("torn", up=False)
    assert _told(one, first) == ["accepted"]
    one.wait_until_seen()
    assert _told(two, second) == ["accepted"], "this door cannot know of the first"
    path = f"/v1/events/{PROBE.replace('/', '%2F')}/torn"
    wait_for("the conflict", lambda: bool(one.client.get(path)["quarantined"]))
    assert _told(two, first) == ["duplicate"]
    assert _told(two, second) == ["conflict"], "by now it knows which one counts"
    assert _told(two, second, first) == ["conflict", "duplicate"]
    assert one.client.get(path)["standing"] == "accepted"


def test_a_repeat_that_is_older_than_the_horizon_is_a_repeat_and_nothing_to_review(
    running: Stack,
) -> None:
    door, later = _through(running, 0), _through(running, 1)
    history = _opened("old", "2001-01-01T12:00:00Z")
    assert _told(door, history) == ["accepted"], "the source has come no further yet"
    door.wait_until_seen()
    assert _told(door, _opened("new", "2025-01-10T12:00:00Z")) == ["accepted"]
    door.wait_until_seen()
    never = {**history, "id": "never"}
    # A new one each time: one that the door still takes is a repeat from then on. Both have to
    # hear how far, because either may be the one that reads the intake topic.
    tries = ({**history, "id": f"try-{number}"} for number in count())
    for each in (door, later):
        wait_for(
            "the door to hear how far",
            lambda each=each: _told(each, next(tries)) == ["beyond-horizon"],
        )
    assert _told(later, history) == ["duplicate"]
    assert _told(later, history, never) == ["duplicate", "beyond-horizon"]

    before = {outcome: _at_the_intake(running, outcome) for outcome in OUTCOMES}
    producer = Producer({"bootstrap.servers": running.addresses.kafka})
    for event in (history, {**history, "id": "late"}):
        producer.produce("intake.desk", json.dumps(event), partition=0)
    assert producer.flush(20) == 0
    wait_for("the late one to be kept", lambda: "late" in _kept_from_topics(running))
    assert _kept_from_topics(running) == ["late"]
    wait_for(
        "the intake to have counted it",
        lambda: _at_the_intake(running, "rejected") > before["rejected"],
    )
    after = {outcome: _at_the_intake(running, outcome) for outcome in OUTCOMES}
    assert [after[each] - before[each] for each in OUTCOMES] == [1, 1, 0]


def _at_the_intake(running: Stack, outcome: str) -> float:
    """Events with this outcome, of both readers together."""
    name = "earnback_events_total"
    return sum(
        sum(shown(door, name, service="intake", outcome=outcome)) for door in running.ingest_urls
    )


def _kept_from_topics(running: Stack) -> list[str]:
    async def ask() -> list[str]:
        connection = await asyncpg.connect(running.addresses.postgres)
        try:
            rows = await connection.fetch(
                "select event_id from intake_refusal where topic is not null and source = $1", DESK
            )
            return [row["event_id"] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(ask())
