"""What must be true in the end. Each check raises AssertionError.

The plain count (`recount.py`) says what must have been counted and what is owed; settling the same
events from files says what each statement must be, byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import Any

import pyarrow as pa

from schemas.statement import SettlementStatement, canonical
from services.cli.files import read_contracts
from services.cli.offline import settle_files
from services.shell.clock import now_us
from tests.chaos.feed import BUYER, POISONED, Feed
from tests.chaos.installation import Installation, cloud_event, sequence
from tests.chaos.recount import recount

OUTPUTS = ("evaluations", "settlements", "ledger-entries")


@dataclass
class Expected:
    """What events come to. ``acknowledged``: source and id of those that HTTP has answered 202."""

    given: Feed
    acknowledged: set[tuple[str, str]]

    @cached_property
    def count(self) -> Any:
        """By a plain count."""
        return recount(self.given.events)

    def settle(self, made: Installation) -> None:
        """Settle the events from files."""
        through = date.fromisoformat("2025-04-30")
        contracts = read_contracts([made.contracts])
        offline = settle_files(contracts, self.given.batch(), through, now_us())
        told = (offline.counted, len(offline.set_aside), offline.waiting)
        assert told == (len(self.count.identities), 0, ())
        self.statements = {(each.agreement, each.period): each for each in offline.statements}


def assert_facts(made: Installation, expected: Expected) -> None:
    """Every event that counts is a stored fact, once, and nothing else is; what was acknowledged
    is among them."""
    stored: Counter[tuple[str, str]] = Counter()
    for row in made.rows("select frame from fact_frame"):
        frame = pa.ipc.open_stream(row["frame"]).read_all()
        stored.update(zip(frame["source"].to_pylist(), frame["id"].to_pylist(), strict=True))
    twice = [identity for identity, number in stored.items() if number > 1]
    assert not twice, f"{len(twice)} events are stored twice, such as {twice[:3]}"
    lost = expected.count.identities - stored.keys()
    assert not lost, f"{len(lost)} events are not stored, such as {sorted(lost)[:3]}"
    assert stored.keys() == expected.count.identities
    undone = expected.acknowledged - stored.keys()
    assert not undone, f"{len(undone)} acknowledged events are not stored: {sorted(undone)[:3]}"
    assert made.value("select sum(n) from fact_frame") == len(stored)


def assert_tallies(made: Installation, expected: Expected) -> None:
    """Running tallies are those of the plain count, and no close found them otherwise."""
    tallies = {
        (row["metric"] or "", row["start"]): [int(row[name]) for name in ("n", "a", "b")]
        for row in made.rows(
            "select m.metric, window_us / 1000000 as start, sum(n) as n, sum(a) as a, sum(b) as b"
            " from tally t left join metric_number m on m.number = t.metric group by 1, 2"
        )
    }
    assert tallies == expected.count.tallies
    assert made.value("select count(*) from close_alarm") == 0


def assert_set_aside(made: Installation, expected: Expected) -> None:
    """Every conflict is set aside and told, and nothing else."""
    aside = {
        (event["data"]["event_source"], event["data"]["event_id"])
        for topic in ("refused", "quarantine")
        for event in map(cloud_event, made.records(topic))
        if event["data"].get("reason") != "refused_correction"
    }
    assert aside == expected.given.conflicts
    kept = made.rows(
        "select q.reason, coalesce(newest.refused, true) as stands from quarantine_item q"
        " left join lateral (select refused from correction_verdict"
        "   where item = q.number order by number desc limit 1) newest on true"
    )
    # While an event's batch is sent again its correction may wait, and is told so; not at the end.
    assert {row["reason"] for row in kept if row["stands"]} == {"conflict"}
    assert {row["reason"] for row in kept} <= {"conflict", "refused_correction"}


def assert_figures(made: Installation, expected: Expected) -> None:
    """The newest evaluation of each period has the figures of the plain count."""
    for row in made.rows(
        "select distinct on (agreement, period) agreement, period, body from evaluation"
        " order by agreement, period, revision desc"
    ):
        for figure in json.loads(row["body"])["figures"]:
            told = int(figure["good"]), int(figure["total"])
            assert told == expected.count.figures[figure["metric"], row["period"]], figure


def assert_statements(made: Installation, expected: Expected) -> None:
    """Statements are byte for byte those of settling files, with the amounts of the plain count."""
    posted = made.rows("select agreement, period, body from latest_statement")
    assert {(row["agreement"], row["period"]): row["body"].encode() for row in posted} == {
        place: canonical(statement) for place, statement in expected.statements.items()
    }
    totals = {place: each.total_minor for place, each in expected.statements.items()}
    assert totals == expected.count.owed
    assert sum(totals.values()) > 0


def assert_booked(made: Installation, expected: Expected) -> None:
    """The ledger holds what the statements say, line by line."""
    booked = made.rows(
        "select agreement, period, line, sum(owed_minor)::bigint as owed from ledger_entry"
        " group by 1, 2, 3 having sum(owed_minor) <> 0"
    )
    assert {(r["agreement"], r["period"], r["line"]): r["owed"] for r in booked} == {
        (*place, line.line): line.minor_units
        for place, statement in expected.statements.items()
        for line in statement.lines
        if line.minor_units
    }


def assert_poison_is_parked(made: Installation, expected: Expected) -> None:
    """What nobody can work out is kept with its reason; all else was settled beside it."""
    parked = made.rows("select * from parked_work where resolved_at is null")
    assert {row["agreement"]: row["service"] for row in parked} == POISONED
    for row in parked:
        assert row["reason"], dict(row)
        assert len(row["trace_id"]) > 8, dict(row)
        assert (row["vendor"], row["buyer"]) == (made.vendors["alfa"], BUYER)


def assert_announced(made: Installation, expected: Expected) -> None:
    """A plain reader of committed records has exactly what the database holds: each once, numbered
    without holes."""
    read = {topic: made.records(topic) for topic in OUTPUTS}
    for topic, messages in read.items():
        _assert_dense(topic, messages)
        ids = [cloud_event(message)["id"] for message in messages]
        assert len(set(ids)) == len(ids) > 0, topic
        enqueued = made.rows("select event_id from outbox where topic = $1", made.topic(topic))
        assert sorted(ids) == sorted(row["event_id"] for row in enqueued), topic
        told = Counter(_TOLD[topic](cloud_event(message)["data"]) for message in messages)
        assert told == Counter(tuple(row) for row in made.rows(_KEPT[topic])), topic
    last: dict[tuple[str, str], int] = {}
    for message in read["settlements"]:
        data = cloud_event(message)["data"]
        last[data["agreement"], data["period"]] = data["total_minor"]
    assert last == {place: each.total_minor for place, each in expected.statements.items()}


_TOLD: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "evaluations": lambda data: (data["agreement"], data["period"], data["revision"]),
    "settlements": lambda data: (
        *(data[name] for name in ("agreement", "period", "revision", "total_minor")),
        data["statement_sha256"],
    ),
    "ledger-entries": lambda data: tuple(
        data[name]
        for name in (
            "position agreement period line debit_account credit_account minor_units".split()
        )
    ),
}
_KEPT = {
    "evaluations": "select agreement, period, revision from evaluation",
    "settlements": "select agreement, period, revision, total_minor, encode(sha256, 'hex')"
    " from statement",
    "ledger-entries": "select position, agreement, period, line, debit_account, credit_account,"
    " minor_units from ledger_entry",
}
"""What is told of a topic's records, and kept in the database."""


def _assert_dense(topic: str, messages: list[Any]) -> None:
    numbers: dict[int, list[int]] = {}
    for message in messages:
        numbers.setdefault(message.partition(), []).append(sequence(message))
    for partition, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), (topic, partition)


CHECKS: Mapping[str, Callable[[Installation, Expected], None]] = {
    "facts": assert_facts,
    "tallies": assert_tallies,
    "set aside": assert_set_aside,
    "figures": assert_figures,
    "statements": assert_statements,
    "ledger": assert_booked,
    "topics": assert_announced,
    "parked": assert_poison_is_parked,
}
"""All of them, by what each looks at."""


def digest(statements: Mapping[tuple[str, str], SettlementStatement]) -> str:
    """SHA-256 over the bytes of all statements, in order."""
    whole = b"".join(canonical(statements[place]) for place in sorted(statements))
    return sha256(whole).hexdigest()
