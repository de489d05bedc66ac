"""What comes too late, over any cut of the input into steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.catalogue.snapshot import Catalogue, SourceOwner
from services.core.calendar.windows import microseconds
from services.core.events.acceptance import accept
from services.core.events.horizon import Latest
from services.core.events.rejections import Rejection
from services.core.events.rules import rules_of
from services.evaluator import columns as cols
from services.evaluator.horizon import REVIEW, Horizons, moved
from services.evaluator.identity_index import CONFLICT, NEW, Seen, settle
from services.evaluator.payloads import Payloads
from services.shell.frames import read_batch
from tests.evaluator.bench import House
from tests.evaluator.builders import (
    CIRRUS,
    NIMBUS,
    NUMBERS,
    SOURCES,
    Event,
    a_programme,
    an_agreement,
    frame,
    stated,
    up,
)

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
CHARGE = {"agreement": "hosting", "base": "monthly", "amount": "1", "currency": "EUR"}


def a_catalogue() -> Catalogue:
    numbers = {("campus", metric): number for metric, number in NUMBERS.items()}
    return Catalogue(
        revision=1,
        programmes=MappingProxyType({"campus": (a_programme(),)}),
        agreements=MappingProxyType({"hosting": (an_agreement(),)}),
        numbers=MappingProxyType(numbers),
        metrics=MappingProxyType({number: name for name, number in numbers.items()}),
        sources=MappingProxyType(
            {source: SourceOwner("campus", party) for source, party in SOURCES.items()}
        ),
    )


CATALOGUE = a_catalogue()
HORIZONS = Horizons(CATALOGUE)


def verdicts(steps: Sequence[Sequence[Event]]) -> list[int]:
    """What becomes of each event, step by step, as one partition sees it."""
    seen, latest = Seen(), Latest()
    accepted: dict[tuple[int, int], bytes] = {}
    found: list[int] = []
    for step in steps:
        given = cols.joined([read_batch(frame(step))])
        judged = seen.judge(given.high, given.low, given.payload_high, given.payload_low).verdict
        payloads = Payloads(given, CATALOGUE.metrics)
        judged = settle(judged, given.high, given.low, payloads, accepted)
        verdict = HORIZONS.judge(given, judged, latest)
        for source, at_us in moved(given, verdict, latest).items():
            latest.accepted(source, at_us)
        new = verdict == NEW
        seen.add(
            given.high[new],
            given.payload_high[new],
            given.payload_low[new],
            np.zeros(int(new.sum()), np.uint32),
        )
        for row in np.flatnonzero(new).tolist():
            accepted[int(given.high[row]), int(given.low[row])] = payloads.of(row)
        found += verdict.tolist()
    return found


EVENTS = st.builds(
    lambda name, days, source, value, charge: (
        stated(f"c{name}", JANUARY + timedelta(days=days), "charge", period=charge, **CHARGE)
        if charge
        else Event(f"p{name}", JANUARY + timedelta(days=days), source, value=value)
    ),
    st.integers(0, 9),
    st.sampled_from([0, 1, 60, 119, 120, 125, 200, 400]),
    st.sampled_from([NIMBUS, CIRRUS]),
    st.integers(0, 1),
    st.sampled_from([None, None, None, "2025-01", "2025-04"]),
)


@given(st.lists(EVENTS, min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_how_events_are_cut_into_steps_changes_no_verdict(
    events: list[Event], cuts: list[int]
) -> None:
    one_by_one = verdicts([[event] for event in events])
    bounds = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})
    steps = [events[a:b] for a, b in pairwise(bounds)]
    assert verdicts(steps) == one_by_one
    assert verdicts([events]) == one_by_one


@given(st.lists(EVENTS, min_size=1, max_size=30, unique_by=lambda event: event.id))
def test_the_evaluator_and_the_core_agree_on_what_is_too_late(events: list[Event]) -> None:
    rules = rules_of([a_programme()], None, dict(a_catalogue().numbers))
    latest = Latest()
    said = []
    for event in events:
        data = (
            json.loads(event.data)
            if event.data
            else {"metric": event.metric, "up": bool(event.value)}
        )
        at_us = microseconds(event.at)
        found = accept(
            rules, event.source, event.id, event.type, at_us, data, None, None,
            latest.of(event.source),
        )  # fmt: skip
        said.append(isinstance(found, Rejection))
        if isinstance(found, Rejection):
            assert found.for_review, found
        else:
            latest.accepted(event.source, at_us)
    assert [verdict == REVIEW for verdict in verdicts([events])] == said


def test_a_repetition_in_the_same_step_of_what_was_in_time_stays_one() -> None:
    old, beyond = up("old", JANUARY), up("beyond", JANUARY + timedelta(days=125))
    assert verdicts([[old, beyond, old, old.but(value=0)]]) == [0, 0, 1, CONFLICT]


def test_what_conflicts_with_something_that_went_to_review_may_still_count() -> None:
    beyond, late = up("beyond", JANUARY + timedelta(days=125)), up("late", JANUARY)
    corrected = late.but(at=JANUARY + timedelta(days=100))
    assert verdicts([[beyond, late, late, corrected, late]]) == [0, REVIEW, REVIEW, 0, CONFLICT]


async def test_a_source_is_held_against_its_own_events_and_no_others(house: House) -> None:
    await house.send([up("now", JANUARY + timedelta(days=400), NIMBUS)])
    await house.send([up("c1", JANUARY, CIRRUS)], [up("c2", JANUARY + timedelta(1), CIRRUS)])
    assert await house.quarantine() == []
    await house.send([up("late", JANUARY, NIMBUS)])
    (item,) = await house.quarantine()
    assert item["event_id"] == "late"


async def test_a_new_owner_of_the_partition_knows_how_far_a_source_has_come(house: House) -> None:
    await house.send([up("now", JANUARY + timedelta(days=400))])
    await house.claim()
    await house.send([up("late", JANUARY)])
    assert await house.stored() == 1
    rows = await house.connection.fetch("select source, latest_us from source_latest")
    at_us = microseconds(JANUARY + timedelta(days=400))
    assert [tuple(row) for row in rows] == [(NIMBUS, at_us)]


async def test_a_conflict_and_a_late_event_do_not_move_a_source(house: House) -> None:
    first = up("p1", JANUARY)
    await house.send([first], [first.but(at=JANUARY + timedelta(days=400))])
    june = stated("now", datetime(2025, 6, 20, tzinfo=UTC), "charge", period="2025-06", **CHARGE)
    await house.send([june])
    late = stated("late", datetime(2025, 9, 1, tzinfo=UTC), "charge", period="2025-01", **CHARGE)
    await house.send([late])
    reached = await house.connection.fetchval("select max(latest_us) from source_latest")
    assert reached == microseconds(june.at)
