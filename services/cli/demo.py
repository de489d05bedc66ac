"""The demo: the story of `services/cli/story`, through the real chain, told as it happens."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from confluent_kafka import Consumer, TopicPartition

from infra.supervisor import stop_on_signals
from schemas.money import amount_text
from schemas.statement import SettlementStatement
from services.cli import show
from services.cli.applying import apply_files
from services.cli.client import Client
from services.cli.stack import Addresses, Interrupted, stack
from services.cli.story import events as story
from services.cli.terminal import styled
from services.shell.broker import for_librdkafka
from services.shell.prefix import beginning
from services.shell.settings import read_prefix, read_security

STORY = Path(__file__).parent / "story"
MONTHS = ("2025-01", "2025-02", "2025-03")
AGREEMENTS = ("cloudhaus-hosting", "deskline-desk", "northnet-wan")
EXPLAINED = ("cloudhaus-hosting", "2025-02", "portal-reachable/credit")
FINANCE = ("settlements", "ledger-entries")
PATIENCE_SECONDS = 60.0


def run(*, keep: bool) -> None:
    """Start everything in a folder of its own, tell the story, stop everything."""
    asked = stop_on_signals()

    def check() -> None:
        if asked.is_set():
            raise Interrupted

    with tempfile.TemporaryDirectory(prefix="earnback-demo-") as folder:
        try:
            with ExitStack() as running:
                with show.bars() as report:
                    started = stack(Path(folder), progress=report, asked=asked)
                    where = running.enter_context(started).addresses
                _tell(where, check)
                if keep:
                    show.out.print(f"settlement API  {where.settlement}/openapi.json")
                    show.out.print(f"key             {where.key}   Ctrl-C stops everything.")
                    asked.wait()
        except Interrupted:
            show.out.print("Stopped.")


def _tell(where: Addresses, check: Callable[[], None]) -> None:
    client = Client(ingest=where.ingest, settlement=where.settlement, key=where.key)
    try:
        _heading("Three agreements of one programme are applied")
        for line in asyncio.run(apply_files(where, [STORY])):
            show.out.print(f"  {line}")
        _heading("A quarter of measurements, tickets and invoices is submitted")
        show.out.print("  One night's count comes twice, one again with other figures: see below.")
        _submit(client, list(story.first_delivery()), check)
        _first_close(client, check)
        _correction(client, check)
        _heading("Statements")
        for agreement in AGREEMENTS:
            for month in MONTHS:
                body = client.document(agreement, month)
                show.statement(SettlementStatement.model_validate_json(body))
        _explain(client)
        _finance(where, client, check)
        _owed(client)
    finally:
        client.close()


def _submit(client: Client, events: Sequence[story.StoryEvent], check: Callable[[], None]) -> None:
    counted = {"accepted": 0, "duplicate": 0, "rejected": 0}
    with show.bars() as report:
        done = 0
        for results in client.submit([msgspec.json.encode(event) for event in events]):
            check()
            done += len(results)
            report("Submitting events", done, len(events))
            for result in results:
                counted[result["status"]] += 1
                if result["status"] != "accepted":
                    problem = result.get("problem", {}).get("detail", "counted once")
                    show.out.print(f"  {result['status']}: {result['id']} ({problem})")
    show.out.print(f"  {counted['accepted']} events accepted: each is on the broker's disk")


def _first_close(client: Client, check: Callable[[], None]) -> None:
    _heading("January and February close by event time, March by command")
    for month in MONTHS[:2]:
        for agreement in AGREEMENTS:
            _wait(check, f"{agreement} {month}", partial(_posted, client, agreement, month))
            _posted_line(client, agreement, month)
    _wait(check, "the last events", lambda: _seen_last(client))
    for agreement in AGREEMENTS:
        client.close_period(agreement, MONTHS[2])
        _wait(check, f"{agreement} {MONTHS[2]}", partial(_posted, client, agreement, MONTHS[2]))
        _posted_line(client, agreement, MONTHS[2])


def _correction(client: Client, check: Callable[[], None]) -> None:
    _heading("In March the probe's owner takes back 30 failures of January")
    _submit(client, list(story.false_alarms()), check)
    for month in MONTHS[:2]:
        _wait(check, f"the second run of {month}", partial(_revised, client, EXPLAINED[0], month))
        _adjusted_lines(client, month)
    show.out.print("  January owes less, which leaves more of the quarter's cap to February.")
    # The network's statement of January states another figure, and owes the same.
    _wait(check, "the network's second run", partial(_revised, client, AGREEMENTS[2], MONTHS[0]))


def _explain(client: Client) -> None:
    _heading("Why that amount?")
    agreement, month, line = EXPLAINED
    show.explanation(client.get(f"/v1/statements/{agreement}/{month}/lines/{line}/explanation"))


def _finance(where: Addresses, client: Client, check: Callable[[], None]) -> None:
    _heading("What finance reads from Kafka, committed records only")
    posted = {
        "settlements": client.items("/v1/statements", all_revisions="true"),
        "ledger-entries": client.items("/v1/ledger-entries"),
    }
    for topic in FINANCE:
        rows = []
        number = sum(1 for _ in posted[topic])
        for record in _published(where, beginning(read_prefix()) + topic, number, check):
            data = record["data"]
            if topic == "settlements":
                booked = amount_text(data["difference_minor"], data["currency"])
                what = f"{data['agreement']} {data['period']}: {data['total']}, booked {booked}"
            else:
                side = "credit" if data["credit_account"].startswith("vendor:") else "debit"
                what = f"{data['period']} {data['line']}: {side} {data['vendor']} {data['amount']}"
            rows.append((record["place"], record["type"].removeprefix("earnback."), what))
        show.out.print(styled(topic, "bold"))
        show.table(("partition/sequence", "type", "what"), rows)


def _published(
    where: Addresses, topic: str, number: int, check: Callable[[], None]
) -> list[dict[str, Any]]:
    """All records of a topic. What is booked is published a moment later: so many must be there."""
    found: list[dict[str, Any]] = []

    def all_are_there() -> bool:
        found[:] = read_committed(where.kafka, topic)
        return len(found) >= number

    _wait(check, f"{number} records of {topic}", all_are_there)
    return found


def read_committed(kafka: str, topic: str) -> list[dict[str, Any]]:
    """Every committed record of a topic, as any consumer of finance would read it."""
    consumer = Consumer(
        {
            **for_librdkafka(kafka, read_security()),
            "group.id": "finance-demo",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, 0) for each in sorted(partitions)])
        records, at_end = [], 0
        while at_end < len(partitions):
            message = consumer.poll(10)
            if message is None:
                raise RuntimeError(f"topic {topic}: no answer from the broker within 10 s")
            if message.error() is not None:
                at_end += 1
                continue
            headers = dict(message.headers() or ())
            record = msgspec.json.decode(message.value())
            record["place"] = f"{message.partition()}/{headers['sequence'].decode()}"
            records.append(record)
        return sorted(records, key=lambda each: [int(part) for part in each["place"].split("/")])
    finally:
        consumer.close()


def _owed(client: Client) -> None:
    _heading("Who owes what")
    for balance in client.get("/v1/balances")["items"]:
        show.out.print(f"  {show.owed_between(balance)}")


def _heading(text: str) -> None:
    show.out.print()
    show.out.print(styled(text, "bold cyan"))


def _wait(check: Callable[[], None], what: str, happened: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        check()
        if time.monotonic() > until:
            raise RuntimeError(f"{what}: not there after {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.1)


def _seen_last(client: Client) -> bool:
    """Whether the evaluator has applied the last event of each source."""
    last: dict[str, str] = {event["source"]: event["id"] for event in story.first_delivery()}
    return all(_is_seen(client, source, identity) for source, identity in last.items())


def _is_seen(client: Client, source: str, identity: str) -> bool:
    found = client.get(f"/v1/events/{quote(source, safe='')}/{quote(identity, safe='')}")
    return bool(found["standing"] != "not_seen")


def _posted(client: Client, agreement: str, month: str) -> bool:
    return any(True for _ in client.items("/v1/statements", agreement=agreement, period=month))


def _revised(client: Client, agreement: str, month: str) -> bool:
    rows = client.items("/v1/statements", agreement=agreement, period=month)
    return any(row["revision"] > 1 for row in rows)


def _posted_line(client: Client, agreement: str, month: str) -> None:
    row = next(iter(client.items("/v1/statements", agreement=agreement, period=month)))
    total = row["total"]
    show.out.print(f"  {agreement} {month} is posted: {total['amount']} {total['currency']}")


def _adjusted_lines(client: Client, month: str) -> None:
    """The total before and after, and every entry that makes the difference."""
    path = f"/v1/statements/{EXPLAINED[0]}/{month}"
    before, after = client.get(path, revision=1), client.get(path)
    totals = " is now ".join(row["total"]["amount"] for row in (before, after))
    show.out.print(f"  {EXPLAINED[0]} {month} is adjusted: {totals} {after['total']['currency']}")
    for entry in client.items("/v1/ledger-entries", agreement=EXPLAINED[0], period=month):
        if entry["run_id"] == after["run_id"]:
            sign = "-" if entry["credit_account"].startswith("vendor:") else "+"
            show.out.print(f"    {entry['line']}: {sign}{entry['amount']}")
