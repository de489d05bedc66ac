"""A backup is restored after more was published: the books go on where finance is."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.embedded.postgres import programs
from infra.topics import topic_partitions
from services.cli.stack import stack
from tests.cli.conftest import Shell
from tests.conftest import a_database
from tests.integration.living import QUICK, Living, entered, wait_for
from tests.ladder import Rung

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"
AGREEMENT = "campus-network"
FINANCE = ("settlements", "ledger-entries")


@dataclass(frozen=True)
class Site:
    """Where the drill takes place: servers, and the prefix of this installation."""

    kafka: str
    server: str
    prefix: str
    folder: Path

    @contextmanager
    def running(self, database: str) -> Iterator[Living]:
        """The installation over a database."""
        with ExitStack() as held:
            patch = held.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("EARNBACK_KAFKA", self.kafka)
            patch.setenv("EARNBACK_POSTGRES", database)
            told = {**QUICK, "EARNBACK_PREFIX": self.prefix}
            yield held.enter_context(
                entered(held.enter_context(stack(self.folder, environment=told)))
            )

    def shell(self, database: str) -> Shell:
        """Who restores it."""
        told = {"KAFKA": self.kafka, "POSTGRES": database, "PREFIX": self.prefix}
        return Shell(self.folder, {f"EARNBACK_{name}": value for name, value in told.items()})

    def read(self, topic: str) -> list[tuple[int, int, dict[str, Any]]]:
        """Partition, sequence and content of every committed record."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": f"finance-{token_hex(4)}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        name, partitions = f"{self.prefix}.{topic}", topic_partitions(topic)
        consumer.assign([TopicPartition(name, each, 0) for each in range(partitions)])
        found, ended = [], 0
        while ended < partitions:
            message = consumer.poll(20)
            assert message is not None, "the broker does not answer"
            if message.error() is not None:
                ended += 1
                continue
            sequence = int(dict(message.headers())["sequence"])
            found.append((message.partition(), sequence, json.loads(message.value())))
        consumer.close()
        return sorted(found, key=lambda each: each[:2])


@pytest.fixture
def site(servers: Rung, tmp_path: Path) -> Site:
    """Topics of this drill's own on the session's servers."""
    return Site(servers.kafka, servers.postgres, f"d{token_hex(4)}", tmp_path)


def _run(program: str, *arguments: str) -> None:
    command = [str(programs() / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _ask(database: str, query: str) -> list[asyncpg.Record]:
    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    return asyncio.run(ask())


def _month(month: str, failures: int) -> list[dict[str, Any]]:
    """Probes of a month, the first so many of them failed, and its invoice."""
    probe = json.loads((EXAMPLES / "first-month.ndjson").read_text().splitlines()[0])
    samples = [
        {
            **probe,
            "id": f"{month}-{day}",
            "time": f"{month}-{day:02}T12:00:00Z",
            "data": {"metric": "uptime", "up": day > failures},
        }
        for day in range(1, 11)
    ]
    fee = {"agreement": AGREEMENT, "base": "fee", "period": month, "currency": "EUR"}
    bill = {"source": "urn:town:books", "id": f"{month}-fee", "type": "earnback.charge.v1"}
    time = f"{month}-28T09:00:00Z"
    return [
        *samples,
        {"specversion": "1.0", **bill, "time": time, "data": {**fee, "amount": "12500.00"}},
    ]


def _corrected_fee(month: str, amount: str) -> dict[str, Any]:
    (fee,) = _month(month, 0)[-1:]
    return {
        **fee,
        "id": f"{month}-fee-corrected",
        "type": "earnback.correction.v1",
        "time": f"{month}-28T10:00:00Z",
        "data": {
            "corrects": fee["id"],
            "reason": "the invoice was wrong",
            "data": {**fee["data"], "amount": amount},
        },
    }


def _sent(living: Living, events: list[dict[str, Any]]) -> None:
    assert {each["status"] for each in living.submit(living.client, events)} == {"accepted"}
    living.wait_until_seen()


def _revised(living: Living, month: str, revision: int) -> None:
    path = f"/v1/agreements/{AGREEMENT}/evaluations/{month}"
    wait_for(
        f"revision {revision} of {month}",
        lambda: living.client.get(path)["revision"] >= revision,
    )


def _pending(living: Living) -> list[dict[str, Any]]:
    """What waits, but since when: that is when this database was told."""
    items = living.client.get("/v1/pending")["items"]
    return [{name: value for name, value in each.items() if name != "since"} for each in items]


def _all_published(database: str) -> None:
    """Wait until the topics hold all that the outbox gave out."""
    waiting = (
        "select from outbox_head head left join relay_position at using (topic, partition)"
        " where head.next_seq - 1 > coalesce(at.published_seq, 0)"
    )
    wait_for("the relay", lambda: not _ask(database, waiting))


def test_a_restored_database_goes_on_where_finance_is(site: Site, empty_database: str) -> None:
    dump = str(site.folder / "backup")
    with site.running(empty_database) as living:
        living.apply(EXAMPLES)
        _sent(living, _month("2025-01", 2))
        living.close([(AGREEMENT, "2025-01")])
        _all_published(empty_database)
        _run("pg_dump", "--format=custom", f"--file={dump}", empty_database)
        _sent(living, [_corrected_fee("2025-01", "13000.00")])
        _revised(living, "2025-01", 2)
        _sent(living, _month("2025-02", 1)[1:])
        living.close([(AGREEMENT, "2025-02")])
        _sent(living, _month("2025-02", 1)[:1])  # a failure told after the close: a proposal
        _revised(living, "2025-02", 2)
        _all_published(empty_database)
        documents = living.documents(AGREEMENT)
        pending = _pending(living)
        assert [each["state"] for each in pending] == ["proposed"]
    told = {topic: site.read(topic) for topic in FINANCE}
    books = "select * from ledger_entry order by position"
    booked = _ask(empty_database, books)

    with a_database(site.server) as restored:
        _run("pg_restore", f"--dbname={restored}", dump)
        assert len(_ask(restored, books)) < len(booked), "the backup is older"
        shell = site.shell(restored)
        dry = shell.run("recover", "--dry-run")
        assert (dry.code, dry.err) == (0, "")
        assert f"{site.prefix}.ledger-entries-" in dry.out
        assert "to be taken over; the next is" in dry.out
        done = shell.run("recover")
        assert (done.code, done.err) == (0, ""), f"{done.out}\n{done.err}"
        assert "published records are worked out again, as they were" in done.out
        assert _ask(restored, books) == booked
        assert shell.run("recover").code == 0, "it may be repeated"

        with site.running(restored) as living:
            assert living.documents(AGREEMENT) == documents
            _sent(living, _month("2025-03", 1))
            living.close([(AGREEMENT, "2025-03")])
            _all_published(restored)
            assert _pending(living) == pending
        for topic in FINANCE:
            _assert_goes_on(told[topic], site.read(topic))
        owed = sum(_signed(each) for _, _, each in site.read("ledger-entries"))
        stated = "select sum(total_minor)::bigint as total from latest_statement"
        assert owed == _ask(restored, stated)[0]["total"] > 0


def _assert_goes_on(before: list[Any], after: list[Any]) -> None:
    """What was read stays, more follows, no id comes twice and no number is left out."""
    assert [each for each in after if each in before] == before
    assert len(after) > len(before) > 0
    ids = [event["id"] for _, _, event in after]
    assert len(set(ids)) == len(ids)
    for partition in {each[0] for each in after}:
        numbers = [number for place, number, _ in after if place == partition]
        assert numbers == list(range(1, len(numbers) + 1))


def _signed(event: dict[str, Any]) -> int:
    entry = event["data"]
    owes = entry["debit_account"] == f"vendor:{entry['vendor']}:owes"
    return int(entry["minor_units"] if owes else -entry["minor_units"])
