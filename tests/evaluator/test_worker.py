"""The evaluator's process on real Kafka and Postgres, killed where it hurts most."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from confluent_kafka import Producer

from infra.processes import free_port
from services.catalogue import store as catalogue
from services.evaluator.topics import EvaluatorTopics
from services.shell.outbox import declare
from tests.evaluator.builders import (
    CIRRUS,
    NIMBUS,
    PARTITIONS,
    TOWN,
    Event,
    a_programme,
    an_agreement,
    down,
    frame,
    up,
)
from tests.forked import PATIENCE, Forked
from tests.ladder import Rung
from tests.shell.bench_of_workers import Bench

START = datetime(2025, 1, 1, tzinfo=UTC)
SOURCES = (NIMBUS, CIRRUS, TOWN)


class Stage:
    """Topics and a database of the test's own, and the processes it starts."""

    def __init__(self, bench: Bench, folder: Path, stack: ExitStack, connection: Any) -> None:
        self.bench, self.folder, self._stack = bench, folder, stack
        self.connection = connection
        self.topics = EvaluatorTopics(*(bench.topic(PARTITIONS) for _ in range(4)))
        self.children: list[Forked] = []
        self._producer = Producer({"bootstrap.servers": bench.kafka, "linger.ms": 5})

    def start(self, **environ: str) -> Forked:
        child = Forked(
            "tests.evaluator.worker",
            log=self.folder / f"evaluator-{len(self.children)}.log",
            env={
                **os.environ,
                "EARNBACK_KAFKA": self.bench.kafka,
                "EARNBACK_POSTGRES": self.bench.database,
                "EARNBACK_GROUP": self.bench.group,
                "EARNBACK_SESSION_TIMEOUT": "6",
                "EARNBACK_HEARTBEAT": "1",
                "EARNBACK_CLOSE_EVERY": "0.1",
                "EARNBACK_QUIET": "0.3",
                "TEST_TOPICS": ",".join(astuple(self.topics)),
                **environ,
            },
        )
        self._stack.callback(child.kill)
        self.children.append(child)
        return child

    def send(self, *batches: Sequence[Event] | bytes, partition: int = 0) -> None:
        for batch in batches:
            raw = isinstance(batch, bytes)
            self._producer.produce(
                self.topics.measurements,
                batch if raw else frame(batch),
                partition=partition if raw else batch[0].partition,
            )
        assert self._producer.flush(30) == 0

    async def until(
        self, what: str, ready: Callable[[], Awaitable[bool]], seconds: float = PATIENCE
    ):
        deadline = time.monotonic() + seconds
        while not await ready():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {each.log.name}\n{each.tail(30)}" for each in self.children)
                raise AssertionError(f"{what} did not happen in {seconds} s\n{logs}")
            await asyncio.sleep(0.05)

    async def ended(self, child: Forked, code: int) -> None:
        assert await asyncio.to_thread(child.wait) == code, child.tail(40)
        await self.bench.forget_members("evaluator")

    async def value(self, query: str, *values: Any) -> Any:
        return await self.connection.fetchval(query, *values)

    async def says(self, child: Forked, words: str) -> bool:
        return words in child.tail(200)

    async def stored_more_than(self, rows: int) -> bool:
        return int(await self.value("select count(*) from fact_frame")) > rows

    async def closed(self, count: int) -> bool:
        return int(await self.value("select count(*) from evaluation")) >= count

    async def counted(self, count: int) -> bool:
        return int(await self.value("select coalesce(sum(n), 0) from fact_frame")) >= count


@pytest.fixture
async def stage(servers: Rung, database: str, tmp_path: Path) -> AsyncIterator[Stage]:
    with ExitStack() as stack:
        bench = Bench(servers.kafka, database, tmp_path, stack)
        connection = await bench.connect()
        stage = Stage(bench, tmp_path, stack, connection)
        for document in (a_programme(), an_agreement()):
            await catalogue.apply(connection, document)
        topics = stage.topics
        for topic in (topics.evaluations, topics.quarantine, topics.refused):
            await declare(connection, topic, PARTITIONS)
        try:
            yield stage
        finally:
            await connection.close()


def a_quarter(seed: int) -> list[Event]:
    """January to March of three sources, every third of an hour or so, a tenth unanswered."""
    chance = random.Random(seed)
    events = []
    for source in SOURCES:
        for n in range(6480):
            at = START + timedelta(minutes=20 * n, seconds=chance.randrange(1200))
            events.append((down if chance.random() < 0.1 else up)(f"{seed}-{n}", at, source))
    return events


def in_frames(events: list[Event], chance: random.Random) -> list[list[Event]]:
    """The events of each source in frames of uneven size, frames of all sources mixed by time."""
    frames = []
    for source in SOURCES:
        own = sorted((e for e in events if e.source == source), key=lambda e: e.at)
        while own:
            size = chance.randrange(20, 400)
            frames.append(own[:size])
            own = own[size:]
    return sorted(frames, key=lambda each: each[0].at)


def recounted(events: list[Event], first: datetime, past: datetime) -> tuple[int, int]:
    """Good and total by plain counting of distinct events."""
    inside = {(e.source, e.id): e.value for e in events if first <= e.at < past}
    return sum(inside.values()), len(inside)


BERLIN = [datetime(2024, 12, 31, 23, tzinfo=UTC), datetime(2025, 1, 31, 23, tzinfo=UTC)]


async def test_killed_at_every_step_it_counts_and_closes_exactly_once(stage: Stage):
    chance = random.Random(7)
    events = a_quarter(1)
    frames = in_frames(events, chance)
    repeated = [chance.choice(frames) for _ in range(len(frames) // 3)]
    sent = frames + repeated
    cut = len(sent) // 4
    points = [
        "step.before-commit:2",
        "step.after-commit:2",
        "close.counted:1",
        "close.before-commit:1",
        "close.after-commit:1",
        "relay.before-commit:1",
        "relay.after-publish:1",
    ]
    for number, point in enumerate(points):
        stage.send(*sent[number * cut // 2 : (number + 1) * cut // 2])
        if point == "close.counted:1":
            stage.send(*sent[(number + 1) * cut // 2 :])
            cut = len(sent) * 2  # all is sent
        await stage.ended(stage.start(EARNBACK_FAULTPOINT=point), 137)
    worker = stage.start()
    await stage.until("a claim", lambda: stage.says(worker, "claimed"))
    await stage.until("all facts counted", lambda: stage.counted(len(events)))
    await stage.until("two closes", lambda: stage.closed(2))
    rows = await stage.connection.fetch("select * from evaluation order by period, revision")
    assert [(row["period"], row["revision"]) for row in rows] == [("2025-01", 1), ("2025-02", 1)]
    figure = json.loads(rows[0]["body"])["figures"][0]
    good, total = recounted(events, *BERLIN)
    assert (figure["good"], figure["total"]) == (str(good), str(total))
    assert await stage.value("select sum(n) from tally") == len(events)
    assert await stage.value("select count(*) from close_alarm") == 0

    def published() -> list[str]:
        read = stage.bench.read_committed(stage.topics.evaluations, PARTITIONS)
        return sorted(event for each in read.values() for _, event in each)

    async def two_are_out() -> bool:
        return len(await asyncio.to_thread(published)) >= 2

    await stage.until("both announced", two_are_out)
    assert published() == ["hosting/2025-01/1", "hosting/2025-02/1"]
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0, worker.tail(40)


async def test_random_kills_of_two_workers_leave_exact_counts(stage: Stage):
    chance = random.Random(11)
    events = a_quarter(2)
    frames = in_frames(events, chance)
    workers = [stage.start(), stage.start()]
    sent = 0
    for _ in range(6):
        step = len(frames) // 6 + 1
        before = await stage.value("select count(*) from fact_frame")
        stage.send(*frames[sent : sent + step], *frames[max(0, sent - 5) : sent])
        sent += step
        await stage.until("a step", lambda at=before: stage.stored_more_than(at))
        await asyncio.sleep(chance.uniform(0.0, 0.2))
        victim = chance.randrange(2)
        workers[victim].kill()
        await stage.bench.forget_members("evaluator")
        workers[victim] = stage.start()
    await stage.until("all facts counted", lambda: stage.counted(len(events)))
    await stage.until("two closes", lambda: stage.closed(2))
    assert await stage.value("select sum(n) from fact_frame") == len(events)
    assert await stage.value("select sum(n) from tally") == len(events)
    assert await stage.value("select count(*) from evaluation where revision > 1") == 0


async def test_poison_and_conflicts_never_stop_a_partition(stage: Stage):
    event = up("p1", START)
    stage.send([event], b"poison", [event.but(value=0)], b"", [event], partition=event.partition)
    stage.send([up("p2", START)])
    stage.start()
    await stage.until("both facts", lambda: stage.counted(2))
    items = await stage.connection.fetch("select reason from quarantine_item order by number")
    assert sorted(row["reason"] for row in items) == ["conflict", "unreadable", "unreadable"]


async def test_three_processes_apply_close_and_answer(stage: Stage):
    """One each, so that a question or a count never keeps a commit waiting."""
    port = free_port()
    doors = free_port(taken=(port,))
    events = [up(f"p/{n}", START + timedelta(hours=n + 1)) for n in range(12)]
    stage.send(events, events[:1])
    stage.start(EARNBACK_EVALUATOR_PARTS="apply", EARNBACK_METRICS_PORT=str(doors))
    closer = stage.start(EARNBACK_EVALUATOR_PARTS="close", EARNBACK_HTTP_PORT=str(port))
    answerer = stage.start(EARNBACK_EVALUATOR_PARTS="answer", EARNBACK_HTTP_PORT=str(port))
    await stage.until("all facts counted", lambda: stage.counted(12))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await stage.until("the API", answers)
        previewed = await client.get("/v1/previews/hosting/2025-01")
        assert previewed.json()["figures"][0]["total"] == "12"
        assert (await client.get("/v1/previews/hosting/2025-Q1")).status_code == 404
        name = f"/v1/events/{quote(NIMBUS, safe='')}/{quote('p/0', safe='')}"
        found = (await client.get(name)).json()
        assert (found["standing"], found["duplicates"]) == ("accepted", 1)
        query = {"agreement": "hosting", "metric": "availability", "period": "2025-01", "limit": 8}
        page = (await client.get("/v1/facts", params=query)).json()
        rest = (await client.get("/v1/facts", params={**query, "cursor": page["next"]})).json()
        ids = [item["id"] for item in page["items"] + rest["items"]]
        assert ids == [event.id for event in events]
        assert rest["next"] is None
        order = {"agreement": "hosting", "period": "2025-01"}
        key = {"idempotency-key": "k1", "x-requested-by": "town"}
        ordered = await client.post("/v1/closes", json=order, headers=key)
        again = await client.post("/v1/closes", json=order, headers=key)
        assert (ordered.status_code, again.json()) == (202, ordered.json())
        await stage.until("the close", lambda: stage.closed(1))
        done = (await client.get(ordered.headers["location"])).json()
        assert (done["outcome"], done["revision"]) == ("closed", 1)
        wrong = {"agreement": "hosting", "period": "2025-Q1"}
        refused = await client.post("/v1/closes", json=wrong, headers={"idempotency-key": "k2"})
        assert refused.status_code == 422
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{doors}", timeout=30) as door:
            shown = (await door.get("/metrics")).text
        assert 'earnback_events_total{outcome="accepted",service="evaluator"} 12.0' in shown
        assert 'earnback_events_total{outcome="duplicate",service="evaluator"} 1.0' in shown
    for child in (closer, answerer):
        assert "claimed" not in child.tail(200)
        child.send(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait) == 0, child.tail(40)


async def test_a_stop_while_its_api_answers_is_clean_and_leaves_no_trace_in_the_log(stage: Stage):
    port = free_port()
    worker = stage.start(EARNBACK_HTTP_PORT=str(port))
    await stage.until("a claim", lambda: stage.says(worker, "claimed"))

    async def ready() -> bool:
        try:
            return (await stage.bench.get(port, "/readyz"))[0] == 200
        except httpx.TransportError:
            return False

    await stage.until("the api", ready)
    before = len(worker.log.read_text())
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0, worker.tail(40)
    said = worker.log.read_text()[before:]
    assert "Traceback" not in said
    assert "CancelledError" not in said
    levels = {json.loads(line)["level"] for line in said.splitlines() if line.startswith("{")}
    assert levels <= {"info", "warning"}, said
