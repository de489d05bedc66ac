"""The settlement process on real Kafka and Postgres: killed at the worst moments, it posts once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from infra.processes import free_port
from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement
from services.catalogue.keys import create
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from services.settlement.consumer import Settler
from services.settlement.finance_events import SettlementTopics
from services.shell.outbox import partition_of
from tests.forked import PATIENCE, Forked
from tests.ladder import Rung
from tests.settlement.builders import an_agreement, an_envelope, an_evaluation
from tests.settlement.house import House, a_house
from tests.shell.bench_of_workers import Bench

PARTITIONS = 2
AGREEMENTS = {"hosting": "nimbus", "network": "cirrus", "desk": "fractus", "lines": "cirrus"}
POINTS = (
    "step.before-commit:2",
    "step.after-commit:1",
    "relay.before-commit:1",
    "relay.after-publish:1",
    "step.before-commit:1",
    "step.after-commit:3",
)


def a_year_with_late_facts(agreement: str, chance: random.Random) -> list[PeriodEvaluation]:
    """Twelve months; some are evaluated again later, up to three times."""
    history: list[PeriodEvaluation] = []
    revisions: dict[str, int] = {}
    for month in range(1, 13):
        for label in sorted({f"2025-{month:02d}", f"2025-{chance.randint(1, month):02d}"}):
            revisions[label] = revisions.get(label, 0) + 1
            history.append(
                an_evaluation(
                    chance.randint(9400, 10_000),
                    agreement=agreement,
                    period=label,
                    revision=revisions[label],
                )
            )
    return history


@dataclass
class Stage:
    """Topics of the test's own, a house, and what it takes to start and kill the process."""

    bench: Bench
    house: House
    topics: SettlementTopics
    folder: Path
    sent: dict[int, int] = field(default_factory=dict)
    started: list[Forked] = field(default_factory=list)

    def start(self, **environ: str) -> Forked:
        """Start the settlement process."""
        child = Forked(
            "tests.settlement.worker",
            log=self.folder / f"settlement-{len(self.started)}.log",
            env={
                **os.environ,
                "EARNBACK_KAFKA": self.bench.kafka,
                "EARNBACK_POSTGRES": self.bench.database,
                "EARNBACK_GROUP": self.bench.group,
                "EARNBACK_SESSION_TIMEOUT": "6",
                "EARNBACK_HEARTBEAT": "1",
                "TEST_EVALUATIONS": self.topics.evaluations,
                "TEST_SETTLEMENTS": self.topics.settlements,
                "TEST_LEDGER_ENTRIES": self.topics.ledger_entries,
                **environ,
            },
        )
        self.started.append(child)
        return child

    def send(self, evaluations: Sequence[PeriodEvaluation]) -> None:
        """Write evaluations as the relay does: by key, numbered without holes."""
        producer = Producer({"bootstrap.servers": self.bench.kafka})
        for evaluation in evaluations:
            partition = partition_of(evaluation.agreement, PARTITIONS)
            self.sent[partition] = self.sent.get(partition, 0) + 1
            producer.produce(
                self.topics.evaluations,
                an_envelope(evaluation),
                key=evaluation.agreement,
                partition=partition,
                headers=[
                    ("content-type", b"application/cloudevents+json"),
                    ("sequence", str(self.sent[partition]).encode()),
                ],
            )
        assert producer.flush(30) == 0

    async def until_published(self, worker: Forked, runs: int, seconds: float = PATIENCE) -> None:
        """Wait until all runs are made and all of the outbox is in Kafka."""
        deadline = time.monotonic() + seconds
        query = (
            "select (select count(*) from settlement_run),"
            " (select coalesce(sum(next_seq - 1), 0) from outbox_head)::bigint,"
            " (select coalesce(sum(published_seq), 0) from relay_position)::bigint"
        )
        while True:
            made, enqueued, published = await self.house.pool.fetchrow(query)
            if made == runs and enqueued == published:
                return
            assert time.monotonic() < deadline, worker.tail(40)
            assert worker.returncode is None, worker.tail(40)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def a_stage(servers: Rung, database: str, folder: Path) -> AsyncIterator[Stage]:
    """A stage over a fresh database."""
    agreements = [an_agreement(name, vendor=vendor) for name, vendor in AGREEMENTS.items()]
    with ExitStack() as stack:
        bench = Bench(servers.kafka, database, folder, stack)
        topics = SettlementTopics(*(bench.topic(PARTITIONS) for _ in range(3)))
        async with a_house(database, agreements, topics=topics) as house:
            stage = Stage(bench, house, topics, folder)
            try:
                yield stage
            finally:
                for child in stage.started:
                    child.kill()


async def test_killed_at_every_point_it_posts_each_thing_once(
    servers: Rung, database: str, other_database: str, tmp_path: Path
) -> None:
    chance = random.Random(20261124)
    histories = {name: a_year_with_late_facts(name, chance) for name in AGREEMENTS}
    everything = in_turn(histories)
    async with a_stage(servers, database, tmp_path) as stage:
        share = len(everything) // (len(POINTS) + 1) + 1
        for number, point in enumerate(POINTS):
            stage.send(everything[number * share : (number + 1) * share])
            worker = stage.start(EARNBACK_FAULTPOINT=point)
            assert await asyncio.to_thread(worker.wait) == 137, worker.tail(40)
            await stage.bench.forget_members("settlement")
        stage.send(everything[len(POINTS) * share :])
        worker = stage.start()
        await asyncio.sleep(chance.random() * 2 + 2)
        worker.kill()
        await stage.bench.forget_members("settlement")
        worker = stage.start()
        await stage.until_published(worker, len(everything))
        await assert_books_are_those_of_a_batch(stage.house, histories)
        await assert_finance_hears_each_once(stage, other_database, everything)


def in_turn(histories: dict[str, list[PeriodEvaluation]]) -> list[PeriodEvaluation]:
    """One of each agreement after the other; each agreement's own in their order."""
    rounds = zip_longest(*histories.values())
    return [each for evaluations in rounds for each in evaluations if each is not None]


async def assert_books_are_those_of_a_batch(
    house: House, histories: dict[str, list[PeriodEvaluation]]
) -> None:
    """Per line and period the ledger holds what one settlement of the last facts comes to."""
    expected = {}
    for name, history in histories.items():
        for statement in settle(
            [an_agreement(name, vendor=AGREEMENTS[name])],
            history,
            parties=Parties("town"),
            time_zone="Europe/Berlin",
        ):
            assert isinstance(statement, SettlementStatement)
            for line in statement.lines:
                expected[(name, statement.period, line.line)] = line.minor_units
    booked = {
        (row["agreement"], row["period"], row["line"]): row["owed"]
        for row in await house.rows(
            "select agreement, period, line, sum(owed_minor)::bigint as owed from ledger_entry"
            " group by 1, 2, 3"
        )
    }
    assert {key: owed for key, owed in booked.items() if owed} == {
        key: owed for key, owed in expected.items() if owed
    }
    assert sum(expected.values()) > 0


async def assert_finance_hears_each_once(
    stage: Stage, other_database: str, everything: Sequence[PeriodEvaluation]
) -> None:
    """Its topics hold the ids that an undisturbed settlement makes, numbered without holes."""
    agreements = [an_agreement(name, vendor=vendor) for name, vendor in AGREEMENTS.items()]
    async with a_house(other_database, agreements, topics=stage.topics) as undisturbed:
        await undisturbed.settle(*everything)
        for topic in (stage.topics.settlements, stage.topics.ledger_entries):
            found = stage.bench.read_committed(topic, PARTITIONS)
            for records in found.values():
                assert [number for number, _ in records] == list(range(1, len(records) + 1))
            ids = sorted(event for records in found.values() for _, event in records)
            expected = await undisturbed.rows(
                "select event_id from outbox where topic = $1 order by event_id", topic
            )
            assert ids == sorted(row["event_id"] for row in expected)
            assert len(ids) > len(everything) // 2


async def test_late_facts_reach_finance_as_a_difference_and_the_api_tells_the_same(
    servers: Rung, database: str, tmp_path: Path
) -> None:
    async with a_stage(servers, database, tmp_path) as stage:
        async with stage.house.pool.acquire() as connection:
            key = await create(connection, party="town", role="finance", label="books")
        port = free_port()
        worker = stage.start(EARNBACK_HTTP_PORT=str(port))
        stage.send([an_evaluation(9700)])
        await stage.until_published(worker, 1)
        stage.send([an_evaluation(9750, revision=2)])
        await stage.until_published(worker, 2)
        entries = stage.bench.read_committed(stage.topics.ledger_entries, PARTITIONS)
        assert sorted(len(records) for records in entries.values()) == [0, 2]
        assert [
            row["owed_minor"]
            for row in await stage.house.rows(
                "select owed_minor from ledger_entry order by position"
            )
        ] == [20000, -5000]
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:
            assert (await client.get("/readyz")).status_code == 200
            answer = await client.get("/v1/balances", headers={"Authorization": f"Bearer {key}"})
            assert answer.json()["items"][0]["owed"]["amount"] == "150.00"
            metrics = (await client.get("/metrics")).text
        assert 'earnback_statements_total{outcome="adjusted"} 1.0' in metrics
        worker.send(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait) == 0, worker.tail(40)


async def test_a_settler_of_its_own_topics_tells_finance_there(database: str) -> None:
    topics = SettlementTopics("in", "statements-of-mine", "entries-of-mine")
    async with a_house(database, topics=topics) as house:
        assert isinstance(house.settler, Settler)
        await house.settle(an_evaluation(9700))
        rows: list[dict[str, Any]] = await house.rows("select topic from outbox order by topic")
        assert [row["topic"] for row in rows] == ["entries-of-mine", "statements-of-mine"]
