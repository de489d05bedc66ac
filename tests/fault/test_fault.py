"""The whole chain under fire: workers of every service are killed and stopped while events flow.

Afterwards everything that was counted, settled, booked and announced equals what one plain count
over the same events comes to. EARNBACK_FAULT_SEED replays a schedule and its events.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from datetime import date
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from schemas.statement import SettlementStatement, canonical
from services.cli.files import read_contracts
from services.cli.offline import settle_files
from services.cli.stack import Stack
from services.shell.clock import now_us
from tests.fault.feed import BUYER, KINDS, MONTHS, POISONED, Feed, feed
from tests.fault.havoc import Havoc, schedule
from tests.fault.installation import (
    SESSION_TIMEOUT,
    Installation,
    cloud_event,
    installation,
    sequence,
)
from tests.fault.recount import Count, recount
from tests.fault.sending import Sending
from tests.ladder import Rung

SECONDS = 66.0
"""How long events flow; all blows fall in this time."""
QUIET_SECONDS = 180.0


def test_killed_and_stopped_at_random_moments_the_chain_ends_up_as_a_plain_count(
    servers: Rung, empty_database: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("EARNBACK_FAULT_SEED") or SystemRandom().randrange(10**6))
    blows = schedule(Random(seed), SECONDS, SESSION_TIMEOUT)
    given = feed(Random(seed))
    print(f"\nEARNBACK_FAULT_SEED={seed} on {servers}", *blows, sep="\n")
    assert given.sent >= 100_000
    with installation(servers, empty_database, tmp_path) as (made, running):
        havoc = Havoc(running.supervisor, blows)
        havoc.begin()
        send(made, running, given, seed)
        havoc.end(60)
        closed = made.value("select count(*) from evaluation")
        print(f"{closed} closes while the blows fell")
        try:
            until_quiet(made)
        except AssertionError:
            print(*_tails(running), sep="\n")
            raise
        assert closed > 0, "no period was closed while the blows fell"
        struck = Counter(blow.what for blow in havoc.struck)
        assert struck["kill"] >= 10
        assert struck["stop"] >= 1
        for name in running.supervisor.names():
            assert running.supervisor.restarts(name) >= 2, f"{name} was not started again"
            assert running.supervisor.pid(name)
        expected = recount(given.events)
        assert_counted_once(made, given, expected)
        statements = assert_settled_as_offline(made, given, expected)
        assert_booked(made, statements)
        assert_poison_is_parked(made)
        assert_announced(made, statements)


def send(made: Installation, running: Stack, given: Feed, seed: int) -> None:
    """Every stream in its own thread, until the last event is acknowledged."""
    sending = Sending(SECONDS, given.conflicts)
    for number, ((sender, door), items) in enumerate(given.streams.items()):
        if door == "http":
            sending.over_http(sender, running.ingest_urls, made.keys[sender], items, seed + number)
        else:
            topic = made.topic(f"intake.{made.vendors[sender]}")
            sending.over_kafka(sender, made.kafka, topic, items)
    sending.wait(SECONDS + 120)
    print(f"{given.sent} events sent, {sending.repeated} requests made again")


def until_quiet(made: Installation) -> None:
    """Wait until nothing is left to do: twice in a row, a moment apart."""
    began, calm = time.monotonic(), 0
    while calm < 2:
        left = unfinished(made)
        calm = 0 if left else calm + 1
        assert time.monotonic() - began < QUIET_SECONDS, f"not done: {left}"
        time.sleep(1.0)
    closed, again = made.rows(
        "select count(*), count(*) filter (where revision > 1) from evaluation"
    )[0]
    print(f"quiet {time.monotonic() - began:.0f} s later; {closed} closes, {again} of them again")


def unfinished(made: Installation) -> list[str]:
    """What is still to be done, in words."""
    intake = [f"intake.{vendor}" for vendor in made.vendors.values()]
    applied = {
        ("measurements", row["partition"]): row["next_offset"]
        for row in made.rows(
            "select partition, next_offset from progress where topic like '%.measurements'"
        )
    }
    read = {
        "intake is not read": made.read_by("ingest-intake", intake) == made.ends(*intake),
        "facts are not applied": applied == made.ends("measurements"),
    }
    asked = {
        "frames looked at for touched periods": "select count(*) from"
        " (select partition, max(number) as number from fact_frame group by 1) f"
        " left join touch_scan s using (partition) where s.number is distinct from f.number",
        "periods to count again": "select count(*) from touched",
        "periods not closed": f"select {len(KINDS) * len(MONTHS)} - count(distinct"
        " (agreement, period)) from evaluation where agreement like '%-deal'",
        "evaluations not settled": "select (select count(*) from evaluation)"
        " - (select count(*) from evaluation_received)",
        "periods not settled": "select count(*) from settlement_pending",
        "records not published": "select coalesce(sum(head.next_seq - 1"
        " - coalesce(at.published_seq, head.next_seq - 1 - n.rows)), 0) from outbox_head head"
        " left join relay_position at using (topic, partition) cross join lateral"
        " (select count(*) as rows from outbox o where (o.topic, o.partition)"
        " = (head.topic, head.partition)) n",
    }
    left = [what for what, done in read.items() if not done]
    for what, query in asked.items():
        number = made.value(query)
        if number:
            left.append(f"{number} {what}")
    return left


def assert_counted_once(made: Installation, given: Feed, expected: Count) -> None:
    """Facts and running tallies are those of a plain count, and every conflict is set aside."""
    assert made.value("select sum(n) from fact_frame") == expected.events
    tallies = {
        (row["metric"] or "", row["start"]): [int(row[name]) for name in ("n", "a", "b")]
        for row in made.rows(
            "select m.metric, window_us / 1000000 as start, sum(n) as n, sum(a) as a, sum(b) as b"
            " from tally t left join metric_number m on m.number = t.metric group by 1, 2"
        )
    }
    assert tallies == expected.tallies
    assert made.value("select count(*) from close_alarm") == 0
    aside = {
        (event["data"]["event_source"], event["data"]["event_id"])
        for topic in ("refused", "quarantine")
        for event in map(cloud_event, made.records(topic))
        if event["data"].get("reason") != "refused_correction"
    }
    assert aside == given.conflicts
    kept = made.rows(
        "select q.reason, coalesce(newest.refused, true) as stands from quarantine_item q"
        " left join lateral (select refused from correction_verdict"
        "   where item = q.number order by number desc limit 1) newest on true"
    )
    # While an event's batch is sent again its correction may wait, and is told so; not at the end.
    assert {row["reason"] for row in kept if row["stands"]} == {"conflict"}
    assert {row["reason"] for row in kept} <= {"conflict", "refused_correction"}


def assert_settled_as_offline(
    made: Installation, given: Feed, expected: Count
) -> dict[tuple[str, str], SettlementStatement]:
    """Figures are those of the plain count; statements, byte for byte, those of settling files."""
    for row in made.rows(
        "select distinct on (agreement, period) agreement, period, body from evaluation"
        " order by agreement, period, revision desc"
    ):
        for figure in json.loads(row["body"])["figures"]:
            good, total = int(figure["good"]), int(figure["total"])
            assert (good, total) == expected.figures[figure["metric"], row["period"]], figure
    offline = settle_files(
        read_contracts([made.contracts]), given.batch(), date.fromisoformat("2025-04-30"), now_us()
    )
    assert (offline.counted, len(offline.set_aside), offline.waiting) == (expected.events, 0, ())
    statements = {(each.agreement, each.period): each for each in offline.statements}
    posted = made.rows("select agreement, period, body from latest_statement")
    assert {(row["agreement"], row["period"]): row["body"].encode() for row in posted} == {
        place: canonical(statement) for place, statement in statements.items()
    }
    totals = {place: statement.total_minor for place, statement in statements.items()}
    assert totals == expected.owed
    assert sum(totals.values()) > 0
    return statements


def assert_booked(
    made: Installation, statements: dict[tuple[str, str], SettlementStatement]
) -> None:
    """The ledger holds what the statements say, line by line."""
    booked = made.rows(
        "select agreement, period, line, sum(owed_minor)::bigint as owed from ledger_entry"
        " group by 1, 2, 3 having sum(owed_minor) <> 0"
    )
    assert {(r["agreement"], r["period"], r["line"]): r["owed"] for r in booked} == {
        (*place, line.line): line.minor_units
        for place, statement in statements.items()
        for line in statement.lines
        if line.minor_units
    }


def assert_poison_is_parked(made: Installation) -> None:
    """What nobody can work out is kept with its reason; all else was settled beside it."""
    parked = made.rows("select * from parked_work where resolved_at is null")
    assert {row["agreement"]: row["service"] for row in parked} == POISONED
    for row in parked:
        assert row["reason"], dict(row)
        assert len(row["trace_id"]) > 8, dict(row)
        assert (row["vendor"], row["buyer"]) == (made.vendors["alfa"], BUYER)


def assert_announced(
    made: Installation, statements: dict[tuple[str, str], SettlementStatement]
) -> None:
    """A plain reader of committed records sees each id once, numbered without holes."""
    read = {
        topic: made.records(topic) for topic in ("evaluations", "settlements", "ledger-entries")
    }
    for topic, messages in read.items():
        _assert_dense(messages)
        ids = [cloud_event(message)["id"] for message in messages]
        enqueued = made.rows("select event_id from outbox where topic = $1", made.topic(topic))
        assert sorted(ids) == sorted(row["event_id"] for row in enqueued), topic
        assert len(set(ids)) == len(ids) > 0, topic
    kept = {
        "evaluations": "select count(*) from evaluation",
        "settlements": "select count(*) from statement",
        "ledger-entries": "select count(*) from ledger_entry",
    }
    for topic, query in kept.items():
        assert len(read[topic]) == made.value(query), topic
    last: dict[tuple[str, str], int] = {}
    for message in read["settlements"]:
        told = cloud_event(message)["data"]
        last[told["agreement"], told["period"]] = told["total_minor"]
    assert last == {place: statement.total_minor for place, statement in statements.items()}


def _assert_dense(messages: list[Any]) -> None:
    numbers: dict[int, list[int]] = {}
    for message in messages:
        numbers.setdefault(message.partition(), []).append(sequence(message))
    for partition, found in numbers.items():
        assert found == list(range(found[0], found[0] + len(found))), partition


def _tails(running: Stack) -> list[str]:
    """The last words of every worker, for whoever has to find out."""
    supervisor = running.supervisor
    return [
        f"--- {name} ({supervisor.restarts(name)} restarts)\n"
        + "\n".join(supervisor.log(name).read_text(errors="replace").splitlines()[-15:])
        for name in supervisor.names()
    ]
