"""Every second worked contract meets events with values at the ends of what is accepted, through
the real consumer, the real closer and settlement: nothing ends, all is evaluated or parked. Every
one of them does without the evaluator's half, in `tests.settlement.test_extremes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter

import pytest

from schemas.event import CloudEvent
from schemas.period import label_of
from services.catalogue.store import NotApplicable, apply
from services.core.calendar.windows import microseconds
from services.core.events.acceptance import accept
from services.core.events.facts import Row, columns
from services.core.events.rejections import Rejection
from services.core.events.rules import Rules, rules_of
from services.settlement.consumer import Settler
from services.settlement.finance_events import DECLARED
from services.shell.frames import encode, partition_of
from services.shell.logs import configure
from services.shell.outbox import declare
from services.shell.steps import Record
from tests.core.golden.production import Contracts, Event, load, numbers
from tests.evaluator.bench import TOPICS, House
from tests.evaluator.builders import PARTITIONS
from tests.extremes import altered, stories

RECORDS = 16
"""Evaluations in a transaction of settlement."""


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    configure("test", "critical")


def corrections(events: Sequence[Event], number: int) -> Iterator[Event]:
    """A correction of each event that puts an extreme in the place of one of its values."""
    for place, found in groupby(altered(events, number), key=itemgetter(0)):
        of, choices = events[place], [event for _, event in found]
        yield {
            **of,
            "id": f"{of['id']}-extreme",
            "type": "earnback.correction.v1",
            "data": {
                "corrects": of["id"],
                "reason": "an extreme",
                "data": choices[(number + place) % len(choices)]["data"],
            },
        }


def taken(rules: Rules, events: Iterable[Event], became: Counter[str]) -> list[Row]:
    """The events that ingest accepts, each judged by itself."""
    found: list[Row] = []
    for raw in events:
        one = CloudEvent.model_validate(raw)
        at_us = microseconds(one.time)
        verdict = accept(rules, one.source, one.id, one.type, at_us, one.data, None, None)
        if isinstance(verdict, Rejection):
            became["refused by ingest"] += 1
        else:
            found.append(verdict)
    became["accepted"] += len(found)
    return found


async def send(house: House, accepted: Sequence[Row]) -> None:
    """As ingest publishes them: frames of the partition of their source."""
    by_partition: dict[int, list[Row]] = {}
    for row in accepted:
        by_partition.setdefault(partition_of(row.source, PARTITIONS), []).append(row)
    for partition, own in by_partition.items():
        await house.send(encode(columns(own)), partition=partition)


async def order(house: House, contracts: Contracts, names: Sequence[str]) -> int:
    """Have the first period of each of these agreements closed; how many were ordered."""
    for name in names:
        first = contracts.versions(name)[0]
        await house.ask_to_close(name, label_of(first.effective_from, first.settled))
    return len(names)


async def ended(house: House, became: Counter[str], ordered: int) -> None:
    """Everything that was ordered is evaluated, or refused and parked with its reason."""
    told = await house.connection.fetch("select * from close_request")
    assert len(told) == ordered
    parked = {
        (row["agreement"], row["period"])
        for row in await house.connection.fetch(
            "select agreement, period from parked_work where resolved_at is null"
        )
    }
    for row in told:
        assert row["outcome"] in ("closed", "revised", "unchanged", "refused"), dict(row)
        became[row["outcome"]] += 1
        if row["outcome"] == "refused":
            assert (row["agreement"], row["period"]) in parked, dict(row)


async def settled(house: House) -> None:
    """Hand what was announced to settlement: all of it is settled, waits, or is parked."""
    for topic in (DECLARED.settlements, DECLARED.ledger_entries):
        await declare(house.connection, topic, 1)
    settler = Settler()
    rows = await house.connection.fetch(
        "select body from outbox where topic = $1 order by partition, seq", TOPICS.evaluations
    )
    structured = (("content-type", b"application/cloudevents+json"),)
    for place in range(0, len(rows), RECORDS):
        records = [
            Record(place + n, 0, None, row["body"], structured)
            for n, row in enumerate(rows[place : place + RECORDS])
        ]
        while records:
            taken = await settler.prepare(house.pool, records)
            async with house.connection.transaction():
                await settler.apply(house.connection, 0, records[:taken])
            records = records[taken:]
    unknown = await house.connection.fetch(
        "select agreement, period from evaluation except"
        " (select agreement, period from statement"
        " union select agreement, period from settlement_pending"
        " union select agreement, period from parked_work)"
    )
    assert unknown == []
    assert await house.connection.fetchval("select count(*) from settlement_refused") == 0


async def apply_all(house: House, contracts: Contracts) -> list[str]:
    """Apply a file's agreements; the worked cases use a name for two contracts now and then."""
    names = []
    for name in contracts.names():
        try:
            for version in contracts.versions(name):
                await apply(house.connection, version)
            names.append(name)
        except NotApplicable:
            continue
    return names


def rules_for(contracts: Contracts) -> Rules:
    """What ingest judges the events of a file's agreements by."""
    return rules_of([contracts.programme], contracts.agreements, numbers(contracts.programme))


async def test_extreme_events_end_nothing_from_frames_to_statements(database: str) -> None:
    told = [(load(file), events) for file, _, events in islice(stories(), 0, None, 2)]
    rules = [rules_for(contracts) for contracts, _ in told]
    became: Counter[str] = Counter()
    first: list[Row] = []
    then: list[Row] = []
    for number, (own, (_, events)) in enumerate(zip(rules, told, strict=True)):
        first += taken(own, events, became)
        then += taken(own, corrections(events, number), became)
    house = await House.open(database, told[0][0].programme)
    try:
        house.ends = None
        names = [(contracts, await apply_all(house, contracts)) for contracts, _ in told]
        await house.claim()
        await send(house, first)
        ordered = sum([await order(house, *each) for each in names])
        await house.look()
        await send(house, then)
        await house.look()
        await ended(house, became, ordered)
        await settled(house)
    finally:
        await house.close()
    assert became["accepted"] > 2 * became["refused by ingest"] > 0, became
