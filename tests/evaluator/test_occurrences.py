"""A count of occurrences reads what matters to its windows, and misses nothing by that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.programme import Programme
from services.evaluator import occurrences, recount
from tests.evaluator.bench import House
from tests.evaluator.builders import (
    CIRRUS,
    NIMBUS,
    TOWN,
    Event,
    a_programme,
    accepts,
    an_agreement,
    correction,
)

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
MONTHS = [f"2025-{month:02}" for month in range(1, 8)]
OUTAGE = {"silence": "up", "incomplete": "left_out"}
OF_OUTAGES: dict[str, dict[str, Any]] = {
    "reachable": {"kind": "availability_by_outages", "silence": "up", "incomplete": "wait"},
    "begun": {"kind": "outage_count", "across_periods": "begins", **OUTAGE},
    "ended": {"kind": "outage_count", "across_periods": "ends", **OUTAGE},
    "down": {"kind": "outage_time", "overlap": "merged", "part": "exact", **OUTAGE},
    "stretches": {
        "kind": "outage_time",
        "overlap": "merged",
        "part": "exact",
        "across_periods": "ends",
        **OUTAGE,
    },
}
MEASURES = OF_OUTAGES | {
    "tickets": {
        "kind": "tickets_in_time",
        "nothing_to_count": "no_data",
        "incomplete": "from_first_change",
        "limit_minutes": 3000,
        "equal_is_in_time": True,
        "stops_in": ["waiting"],
        "open_past_limit": "late",
        "across_periods": "ends",
        "late_counts": "once",
    },
    "begun-tickets": {
        "kind": "tickets_in_time",
        "nothing_to_count": "no_data",
        "incomplete": "wait",
        "limit_minutes": 3000,
        "equal_is_in_time": True,
        "stops_in": [],
        "open_past_limit": "late",
        "across_periods": "begins",
    },
    "deliveries": {
        "kind": "delivery_delay",
        "nothing_to_count": "no_data",
        "across_periods": "split",
    },
}
FIELDS = {"tickets_in_time": "ticket", "delivery_delay": "delivery"} | dict.fromkeys(
    ("availability_by_outages", "outage_count", "outage_time"), "outage"
)
NUMBERS = {name: number for number, name in enumerate(MEASURES)}


def of_occurrences() -> Programme:
    return a_programme(
        metrics=[
            {
                "metric": name,
                "name": name,
                "unit": {"availability_by_outages": "percent", "tickets_in_time": "percent"}.get(
                    measure["kind"], "minutes" if measure["kind"] == "outage_time" else "count"
                ),
                "better": "lower",
                "measure": measure,
            }
            for name, measure in MEASURES.items()
        ]
    )


def judged() -> Agreement:
    (level,) = an_agreement().model_dump(mode="json", exclude_none=True)["levels"]
    return an_agreement(
        levels=[
            {
                **level,
                "level": name,
                "metric": name,
                "expected": {"at_most": "10"},
                "each_subject": name == "reachable",
            }
            for name in MEASURES
        ]
    )


class World:
    """Events of some months, some of them late, corrected, or at the edge of a month."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._number = 0

    def events(self) -> Iterator[Event]:
        for each in range(14 * len(MONTHS)):
            begin = BEGIN + timedelta(hours=self._random.randrange(24 * 30 * len(MONTHS)))
            if each % 5 == 0:
                begin = BEGIN + timedelta(days=30.4 * (each // 14), minutes=-each)
            metric = self._random.choice(list(MEASURES))
            field = FIELDS[MEASURES[metric]["kind"]]
            of = {"outage": self._outage, "ticket": self._ticket, "delivery": self._delivery}
            source = self._random.choice([NIMBUS, NIMBUS, TOWN, CIRRUS])
            told = [
                self._event(source, metric, at, {field: f"{field}-{each}", **said})
                for at, said in of[field](begin)
            ]
            yield from told
            if each % 9 == 0:
                yield from self._corrected(told[-1])

    def _outage(self, begin: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        end = begin + timedelta(hours=self._random.choice([1, 3, 30, 900]))
        phases = [(begin, {"phase": "open"}), (end, {"phase": "close"})]
        if self._random.random() < 0.2:
            said = self._random.choice([{"void": True}, {"ended_at": _text(begin)}])
            phases.append((end + timedelta(days=20), {"phase": "correct", **said}))
        yield from phases if self._random.random() < 0.9 else phases[:1]

    def _ticket(self, begin: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        states = [*self._random.sample(["waiting", "working"], 1), "resolved"]
        states += self._random.choice([[], [], ["reopened"], ["noted"], ["reopened", "resolved"]])
        yield begin, {"state": "opened", "assigned_to": "nimbus"}
        for state in states:
            begin += timedelta(hours=self._random.choice([2, 40, 700]))
            yield begin, {"state": state}

    def _delivery(self, begin: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        due = begin + timedelta(days=self._random.choice([2, 50]))
        done = due + timedelta(days=self._random.choice([-1, 3, 60]))
        yield begin, {"due_at": _text(due)}
        which = self._random.choice(["delivered_at", "delivered_at", "called_off_at"])
        yield done + timedelta(hours=1), {"due_at": _text(due), which: _text(done)}

    def _event(self, source: str, metric: str, at: datetime, said: dict[str, Any]) -> Event:
        self._number += 1
        subject = self._random.choice(["north", "south", None])
        data = {"metric": metric, **said} | ({"subject": subject} if subject else {})
        return Event(
            f"e-{self._number}",
            at,
            source,
            f"earnback.{next(iter(said))}.v1",
            metric,
            0,
            0,
            subject,
            json.dumps(data, sort_keys=True),
            NUMBERS[metric],
        )

    def _corrected(self, event: Event) -> Iterator[Event]:
        at = event.at + timedelta(days=self._random.choice([1, 40]))
        data = json.loads(event.data)
        for field in ("outage", "ticket", "delivery"):
            if field in data and self._random.random() < 0.5:
                data[field] = "another"
        changes = [{}, {"data": data}, {"data": data, "time": event.at - timedelta(days=33)}]
        made = correction(f"c-{event.id}", at, event, **self._random.choice(changes))
        yield made
        if self._random.random() < 0.5:
            yield accepts(made, f"{event.at:%Y-%m}", name=event.metric)


def _text(at: datetime) -> str:
    return at.isoformat()


def arrivals(world: World, random: Random) -> list[tuple[datetime, Event]]:
    """When each event comes: mostly soon, sometimes months later."""
    found = [
        (event.at + timedelta(days=random.choice([0, 0, 0, 1, 8, 40, 90])), event)
        for event in world.events()
    ]
    return sorted(found, key=lambda each: each[0])


async def both(house: House, period: str) -> tuple[int, int, PeriodEvaluation]:
    """How many facts a count reads, and all of them; both come to the same."""
    target = recount.target_of(house.copy.current, "hosting", period)
    read, made = [], []
    for whole in (False, True):
        snapshot = await recount.take(house.connection, target, whole=whole)
        assert recount.differences(snapshot) == []
        made.append(recount.evaluation(target, snapshot, 1, "closed"))
        read.append(len(snapshot.loaded.facts) + len(snapshot.linked.facts))
    assert made[0] == made[1], period
    return read[0], read[1], made[0][0]


async def told_by(house: House, waiting: list[tuple[datetime, Event]], until: datetime) -> None:
    """Apply what has come until then, some events at a step."""
    events = []
    while waiting and waiting[0][0] <= until:
        events.append(waiting.pop(0)[1])
    for start in range(0, len(events), 8):
        await house.send(*([event] for event in events[start : start + 8]))


async def noted(house: House) -> list[tuple[Any, ...]]:
    rows = await house.connection.fetch(
        "select partition, metric, named, first_us, last_us, ended_us, reopened_us, past_us,"
        "       last_number, (select array_agg(e order by e) from unnest(times, numbers, places) e)"
        "  from occurrence order by partition, metric, named"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_a_count_leaves_out_changes_nothing(database: str, seed: int) -> None:
    house = await House.open(database, of_occurrences(), judged())
    try:
        waiting = arrivals(World(seed), Random(seed))
        for number, month in enumerate(MONTHS):
            await told_by(house, waiting, BEGIN + timedelta(days=30.5 * (number + 1) + 3))
            await house.ask_to_close("hosting", month)
            await house.look()
        assert len(await house.evaluations()) >= len(MONTHS)
        found = [await both(house, month) for month in MONTHS]
        assert all(some < every for some, every, _ in found[1:])
        assert any(made.proposals for _, _, made in found)
        await told_by(house, waiting, datetime.max.replace(tzinfo=UTC))
        for month in MONTHS:
            await both(house, month)
    finally:
        await house.close()


async def test_what_was_stored_before_is_noted_in_passes_and_read_whole_until_then(
    database: str,
) -> None:
    house = await House.open(database, of_occurrences(), judged())
    try:
        await told_by(house, arrivals(World(3), Random(3)), datetime.max.replace(tzinfo=UTC))
        before = await noted(house)
        await house.connection.execute("delete from occurrence")
        await house.connection.execute(
            "insert into occurrence_backlog"
            " select partition, 0, max(number) + 1 from fact_frame group by partition"
        )
        await house.copy.refresh()
        some, every, _ = await both(house, MONTHS[3])
        assert some == every
        while await occurrences.fill(house.connection, house.copy.current):
            pass
        assert await noted(house) == before
        some, every, _ = await both(house, MONTHS[3])
        assert some < every
    finally:
        await house.close()
