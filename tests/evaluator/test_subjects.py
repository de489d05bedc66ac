"""A party has so many subjects where each is judged by itself; a further one is set aside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.evaluator.apply import Frames
from services.evaluator.subjects import KnownSubjects
from services.shell.refusals import RefusalQuota
from tests.evaluator.bench import House
from tests.evaluator.builders import (
    NIMBUS,
    TOWN,
    Event,
    a_programme,
    an_agreement,
    correction,
    up,
)

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
OTHER = "urn:nimbus:probe/3"
"""A second source of the same vendor, in another partition."""


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    """One level that is judged for each subject, and three subjects of each party."""
    sources = [
        *a_programme().model_dump(mode="json")["sources"],
        {"source": OTHER, "reports_for": "nimbus"},
    ]
    (level,) = an_agreement().model_dump(mode="json")["levels"]
    judged = an_agreement(levels=[level | {"each_subject": True}])
    house = await House.open(database, a_programme(sources=sources), judged)
    await limited(house, 3)
    try:
        yield house
    finally:
        await house.close()


async def limited(house: House, subjects: int, held: KnownSubjects | None = None) -> None:
    """As a worker that has just been started with this setting."""
    quota = RefusalQuota(subjects=subjects)
    house.frames = Frames(lambda: house.copy, quota=quota, subjects=held)
    await house.frames.load(house.connection, house.claims)


def of(subject: str, name: str = "", source: str = NIMBUS, **changes: Any) -> Event:
    return up(name or subject, JANUARY, source).but(subject=subject, **changes)


async def set_aside(house: House) -> list[tuple[str, int]]:
    found = await house.quarantine()
    assert {one["reason"] for one in found} <= {"too_many_subjects"}
    return sorted((one["event_id"], one["times"]) for one in found)


def test_who_has_the_most_subjects_is_forgotten_first() -> None:
    known = KnownSubjects(most=5)
    known.add({("a", 1): {"x"}, ("b", 1): set("pqrs"), ("b", 2): {"y", "z"}})
    known.forget()
    assert known.of == {("a", 1): {"x"}, ("b", 2): {"y", "z"}}
    known.forget()
    assert len(known.of) == 2, "within the bound nothing is forgotten"


@pytest.mark.parametrize("most", [0, 2])
async def test_what_was_forgotten_is_read_again_and_counts_as_before(
    house: House, most: int
) -> None:
    held = KnownSubjects(most=most)
    await limited(house, 3, held)
    for step in ("ab", "c", "da", "be"):
        await house.send([of(each, f"{each}-{step}") for each in step])
        assert sum(map(len, held.of.values())) <= most
    assert await set_aside(house) == [("d-da", 1), ("e-be", 1)]


async def test_a_subject_too_many_is_set_aside_and_counts_when_there_may_be_more(
    house: House,
) -> None:
    await house.send([of("a"), of("b")], [of("c"), of("d"), of("d", "again"), of("a", "a2")])
    await house.send([of("c", "c2"), of("d"), of("d").but(value=0), of("e")])
    assert await set_aside(house) == [("again", 1), ("d", 1), ("d", 2), ("e", 1)]
    (first, *_) = await house.quarantine()
    assert "this event names another one" in first["problem"]
    assert "EARNBACK_MOST_SUBJECTS" in first["problem"]
    used = "select party, code, kept from refusal_count"
    assert [tuple(row) for row in await house.connection.fetch(used)] == [
        ("nimbus", "too_many_subjects", 4)
    ]
    assert await house.stored() == 5
    await limited(house, 4)
    await house.send([of("d")], [of("e")])
    assert await house.stored() == 6
    assert (await set_aside(house))[-1] == ("e", 2)


async def test_the_sources_of_a_party_share_its_subjects_and_others_have_their_own(
    house: House,
) -> None:
    assert of("a").partition != of("a", source=OTHER).partition
    await house.send([of("a"), of("b")])
    await house.send([of("c", source=OTHER), of("a", "a2", OTHER), of("d", source=OTHER)])
    await house.send([of("d")], [of("c", "c2")])
    await house.send([of(name, f"t-{name}", TOWN) for name in "xyz"])
    assert await set_aside(house) == [("d", 1), ("d", 1)]
    assert await house.stored() == 8
    counts = await house.connection.fetch("select party, metric, subjects from subject_count")
    assert {tuple(row) for row in counts} == {("nimbus", 0, 3), ("town", 0, 3)}


async def test_a_correction_gives_no_subject_too_many(house: House) -> None:
    sample = of("a")
    await house.send([sample, of("b"), of("c")])
    said = {"metric": "availability", "up": True}
    new = correction("new", JANUARY, sample, said | {"subject": "d"})
    await house.send([new, correction("known", JANUARY, sample, said | {"subject": "b"})])
    assert await set_aside(house) == [("new", 1)]


async def test_metrics_that_are_not_judged_by_subject_have_no_limit(house: House) -> None:
    events = [of(f"s{number}", metric="incidents") for number in range(5)]
    await house.send([event.but(metric="latency", type=LATENCY, value=5) for event in events])
    await house.send([up("no-subject", JANUARY)])
    assert await house.quarantine() == []


LATENCY = "earnback.response.v1"
