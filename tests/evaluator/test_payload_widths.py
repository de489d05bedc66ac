"""Facts of the release before, with hashes of 64 bits, and the same events sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.core.events.facts import columns
from services.ingest import accepted_lookup
from services.shell.frames import encode
from tests.evaluator.bench import House
from tests.evaluator.builders import Event, as_version_1, down, of_release_before, up

START = datetime(2025, 1, 10, 12, tzinfo=UTC)
EVENTS = [up(f"e{place}", START + timedelta(hours=place)) for place in range(4)]


def old_frame(*events: Event) -> bytes:
    return as_version_1(encode(columns([of_release_before(each) for each in events])))


async def test_a_repeat_of_an_old_event_is_a_duplicate_and_a_changed_one_a_conflict(
    house: House,
) -> None:
    place = EVENTS[0].partition
    await house.send(old_frame(*EVENTS[:2]), partition=place)
    # One step: a frame of the release before that was under way, and newer ones that repeat it.
    await house.send(old_frame(EVENTS[2]), [EVENTS[2], EVENTS[0], EVENTS[3]], partition=place)
    assert await house.stored() == 4
    assert await house.quarantine() == []
    await house.claim()
    await house.send([*EVENTS, down("e1", EVENTS[1].at), down("e3", EVENTS[3].at)])
    assert await house.stored() == 4
    assert [item["event_id"] for item in await house.quarantine()] == ["e1", "e3"]
    halves = await house.connection.fetch("select n, ids, payloads from fact_frame where n > 0")
    assert all(len(row["payloads"]) == 16 * row["n"] for row in halves)


async def test_what_was_set_aside_under_the_older_hash_is_the_same_item(house: House) -> None:
    await house.send(old_frame(EVENTS[0]), partition=EVENTS[0].partition)
    changed = down("e0", EVENTS[0].at)
    await house.send(old_frame(changed), partition=changed.partition)
    await house.send([changed])
    (item,) = await house.quarantine()
    assert item["times"] == 2
    assert item["payload"] == of_release_before(changed).payload


async def test_ingest_knows_a_repeat_of_an_old_event(house: House) -> None:
    await house.send(old_frame(EVENTS[0]), partition=EVENTS[0].partition)
    same, other = EVENTS[0].row(), down("e0", EVENTS[0].at).row()
    names = house.copy.current.metrics
    found = await accepted_lookup.accepted(house.connection, [same, other], names)
    assert found == {same.identity + same.payload}
