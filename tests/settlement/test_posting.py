"""What the consumer leaves in the books, on a real database."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from schemas.finance import EntryBooked, StatementPosted
from schemas.ledger_entry import SettlementRun
from schemas.statement import SettlementStatement, canonical
from services.catalogue.store import apply
from services.core.books.ledger import content_digest, differences
from services.core.settling.settlement import settle_each
from services.settlement import balance_store, replay
from services.settlement.consumer import Settler, read
from services.settlement.finance_events import DECLARED, Posting
from services.settlement.parking import try_again
from services.settlement.recovery import PublishedRuns
from services.settlement.replay import news, postings
from services.settlement.store import (
    LatestRevision,
    Unprocessable,
    begin_run,
    post,
    posted,
    receive,
)
from services.shell.steps import Record
from tests.settlement.builders import a_record, an_agreement, an_evaluation
from tests.settlement.house import House, a_house

MARCH = datetime(2025, 3, 1, tzinfo=UTC)
BOOKS = ("statement", "statement_line", "ledger_entry", "settlement_run", "evaluation_received")


async def test_a_closed_period_is_posted_as_statement_and_entries(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        (statement,) = await house.rows("select * from statement")
        (entry,) = await house.rows("select * from ledger_entry")
        body = statement["body"].encode()
        assert canonical(SettlementStatement.model_validate_json(body)) == body
        assert statement["sha256"] == sha256(body).digest()
        assert (statement["total_minor"], statement["revision"]) == (20000, 1)
        assert (entry["debit_account"], entry["credit_account"]) == (
            "vendor:nimbus:owes",
            "buyer:town:service_credits",
        )
        assert (entry["minor_units"], entry["owed_minor"]) == (20000, 20000)


async def test_one_that_an_earlier_release_kept_with_fewer_fields_is_the_same(
    database: str,
) -> None:
    async with a_house(database) as house:
        evaluation = an_evaluation(9700)
        body = evaluation.model_dump(mode="json")
        del body["tzdata"]
        kept = msgspec.json.encode(body, order="sorted")
        async with house.pool.acquire() as connection:
            await connection.execute(
                "insert into evaluation_received"
                " (agreement, period, revision, programme, reason, body, sha256)"
                " values ('hosting', '2025-01', 1, 'campus', 'closed', $1, $2)",
                kept.decode(),
                sha256(kept).digest(),
            )
            assert not await receive(connection, evaluation)
            other = evaluation.model_copy(update={"charges": an_evaluation(1, charge="5").charges})
            with pytest.raises(Unprocessable, match="is kept with other content"):
                await receive(connection, other)


async def test_an_agreement_that_cannot_be_worked_out_is_parked_and_the_others_are_settled(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(histories: Any, *rest: Any, **given: Any) -> Any:
        if "hosting" in histories:
            raise AssertionError("by nothing")
        return settle_each(histories, *rest, **given)

    monkeypatch.setattr(replay, "settle_each", fails)
    async with a_house(database) as house:
        one, other = an_evaluation(9700), an_evaluation(9600, agreement="network")
        await house.apply(a_record(one), a_record(other, offset=1))
        (parked,) = await house.rows("select * from parked_work")
        assert (parked["what"], parked["agreement"], parked["period"]) == (
            "evaluation",
            "hosting",
            "2025-01",
        )
        assert (parked["vendor"], parked["buyer"], parked["programme"]) == (
            "nimbus",
            "town",
            "campus",
        )
        assert parked["reason"].startswith(
            "hosting cannot be settled: working it out failed (AssertionError: by nothing"
        )
        assert parked["reason"].endswith(
            "this is a defect of earnback: report it with the contract and the period"
        )
        assert parked["error"] == "AssertionError"
        assert re.fullmatch("evaluation-[0-9a-f]{16}", parked["trace_id"])
        assert parked["place"].endswith(" replayed")
        assert await house.owed("2025-01", "network") == 30000
        assert await house.rows("select * from settlement_run where agreement = 'hosting'") == []
        await house.settle(an_evaluation(9700, period="2025-02"))
        monkeypatch.undo()
        await house.settle(an_evaluation(9700, period="2025-02", revision=2))
        assert await house.owed("2025-01") == await house.owed("2025-02") == 20000
        assert await house.rows("select * from parked_work where resolved_at is null") == []
        assert await house.pool.fetchval("select count(*) from parked_work") == 2


async def test_what_breaks_a_rule_of_the_tables_is_parked_by_itself(database: str) -> None:
    """The rule is checked at the commit only, of a batch with other agreements' evaluations."""
    async with a_house(database) as house:
        await house.pool.execute(
            "create function refused() returns trigger language plpgsql as $$ begin"
            " raise exception 'refused' using errcode = 'integrity_constraint_violation'; end $$"
        )
        await house.pool.execute(
            "create constraint trigger refused after insert on statement deferrable initially"
            " deferred for each row when (new.agreement = 'hosting') execute function refused()"
        )
        one, other = an_evaluation(9700), an_evaluation(9600, agreement="network")
        await house.apply(a_record(one), a_record(other, offset=1))
        (parked,) = await house.rows("select * from parked_work")
        assert (parked["agreement"], parked["error"]) == (
            "hosting",
            "IntegrityConstraintViolationError",
        )
        assert (await house.owed("2025-01"), await house.owed("2025-01", "network")) == (0, 30000)


async def test_what_is_parked_is_tried_again_when_its_contract_changes_and_not_before(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = Counter[str]()

    def fails(histories: Any, *rest: Any, **given: Any) -> Any:
        tried.update(list(histories))
        assert len(histories["hosting"].versions) > 1, "by nothing"
        return settle_each(histories, *rest, **given)

    monkeypatch.setattr(replay, "settle_each", fails)
    async with a_house(database) as house, house.pool.acquire() as connection:
        await house.settle(an_evaluation(9700))
        for _ in range(3):
            await try_again(connection, house.settler.try_again)
        await apply(connection, an_agreement("network", vendor="cirrus", version=2))
        assert tried["hosting"] == 1
        await try_again(connection, house.settler.try_again)
        await try_again(connection, house.settler.try_again)
        (parked,) = await house.rows("select attempts, resolved_at from parked_work")
        assert parked == {"attempts": 2, "resolved_at": None}
        await apply(connection, an_agreement(version=2, effective_from="2025-02-01"))
        await try_again(connection, house.settler.try_again)
        assert await house.owed("2025-01") == 20000
        assert await house.rows("select * from parked_work where resolved_at is null") == []


async def test_charges_as_large_as_they_come_end_nothing(database: str) -> None:
    """25 charges, each as large as an amount may be, and all of it is owed: no sum of them can be
    kept in the books."""
    said = an_evaluation(0, charge="46116860184273879.00")
    (charge,) = said.charges
    charges = tuple(
        charge.model_copy(
            update={"charge": charge.charge.model_copy(update={"subject": f"part-{number}"})}
        )
        for number in range(25)
    )
    agreements = [
        an_agreement(needs_charge=True, per_point=percent, agreement=name)
        for name, percent in (("hosting", "1"), ("small", "0.01"), ("odd", "1/7"))
    ]
    async with a_house(database, [*agreements, an_agreement("network")]) as house:
        poisoned = [
            said.model_copy(update={"agreement": one.agreement, "charges": charges})
            for one in agreements
        ]
        honest = an_evaluation(9600, agreement="network")
        await house.apply(*(a_record(one, offset=n) for n, one in enumerate([*poisoned, honest])))
        settled = {row["agreement"] for row in await house.rows("select agreement from statement")}
        waits = await house.rows("select agreement from settlement_pending")
        waits += await house.rows("select agreement from parked_work")
        assert settled | {row["agreement"] for row in waits} == {
            "hosting",
            "small",
            "odd",
            "network",
        }
        assert await house.owed("2025-01", "network") == 30000


async def test_a_figure_of_more_digits_than_anybody_writes_is_settled(database: str) -> None:
    """As a composite of many parts comes out: once settled offline only, and refused here."""
    said = an_evaluation(9700)
    (figure,) = said.figures
    long = Fraction(97 * 3**60 + 1, 3**60)
    said = said.model_copy(update={"figures": (figure.model_copy(update={"value": long}),)})
    async with a_house(database) as house:
        await house.settle(said)
        assert await house.rows("select * from settlement_refused") == []
        (statement,) = await house.rows("select body from statement")
        read_back = SettlementStatement.model_validate_json(statement["body"])
        assert read_back.results[0].figure == long
        assert await house.owed("2025-01") == 20000


async def test_a_replayed_evaluation_posts_nothing(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700), an_evaluation(9700), an_evaluation(9700))
        for table in BOOKS:
            assert await house.pool.fetchval(f"select count(*) from {table}") == 1
        assert await house.pool.fetchval("select count(*) from outbox") == 2


async def test_a_late_revision_posts_only_the_difference(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700), an_evaluation(9750, revision=2))
        entries = await house.rows("select owed_minor, run_id from ledger_entry order by position")
        assert [entry["owed_minor"] for entry in entries] == [20000, -5000]
        statements = await house.rows("select * from statement order by revision")
        assert [(row["revision"], row["supersedes"], row["total_minor"]) for row in statements] == [
            (1, None, 20000),
            (2, 1, 15000),
        ]
        assert [row["run_id"] for row in statements] == [row["run_id"] for row in entries]


async def test_a_revision_that_takes_the_miss_away_books_all_of_it_back(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700), an_evaluation(9950, revision=2))
        assert await house.owed("2025-01") == 0
        assert await house.pool.fetchval("select count(*) from ledger_entry") == 2


async def test_runs_with_differences_come_to_what_one_run_from_scratch_does(database: str) -> None:
    history = [
        an_evaluation(9700),
        an_evaluation(9800, period="2025-02"),
        an_evaluation(9650, revision=2),
        an_evaluation(9900, period="2025-02", revision=2),
        an_evaluation(9720, revision=3),
    ]
    async with a_house(database) as house:
        await house.settle(*history)
        assert await house.owed("2025-01") == 18000
        assert await house.owed("2025-02") == 0


async def test_a_release_with_better_words_issues_nothing_anew(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        (row,) = await house.rows("select body, substance from statement")
        issued = SettlementStatement.model_validate_json(row["body"])
        reworded = tuple(
            line.model_copy(
                update={"steps": tuple(s.model_copy(update={"text": "Else."}) for s in line.steps)}
            )
            for line in issued.lines
        )
        run = SettlementRun(
            run_id=UUID(int=1),
            agreement="hosting",
            number=2,
            reason="closed",
            because_of="2025-02",
            revision=1,
        )
        standing = {"2025-01": LatestRevision(1, row["substance"])}
        later = issued.model_copy(update={"lines": reworded})
        assert canonical(later) != canonical(issued)
        assert news([later], standing) == []
        other = issued.model_copy(update={"facts_digest": "0" * 64})
        made = postings(run, news([other], standing), standing, {})
        assert [each.revision for each in made] == [2]


async def test_batching_changes_no_run_and_no_amount(database: str) -> None:
    async with a_house(database) as house:
        history = [an_evaluation(9700), an_evaluation(9750, revision=2)]
        await house.apply(*(a_record(each, offset=at) for at, each in enumerate(history)))
        runs = await house.rows("select number, revision from settlement_run order by number")
        assert runs == [{"number": 1, "revision": 1}, {"number": 2, "revision": 2}]
        assert await house.owed("2025-01") == 15000


async def test_a_period_without_its_charge_waits_and_says_why(database: str) -> None:
    async with a_house(database, [an_agreement(needs_charge=True, per_point="5")]) as house:
        await house.settle(an_evaluation(9700))
        (waiting,) = await house.rows("select * from settlement_pending")
        assert "monthly" in waiting["reasons"]
        assert await house.pool.fetchval("select count(*) from statement") == 0
        await house.settle(an_evaluation(9700, revision=2, charge="1000"))
        assert await house.rows("select * from settlement_pending") == []
        assert await house.owed("2025-01") == 10000


async def test_a_version_applied_later_never_reaches_back_into_settled_periods(
    database: str,
) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        async with house.pool.acquire() as connection:
            await apply(connection, an_agreement(version=2, per_point="500"))
        await house.settle(an_evaluation(9750, revision=2), an_evaluation(9700, period="2025-02"))
        assert await house.owed("2025-01") == 15000
        assert await house.owed("2025-02") == 100000


async def test_an_unknown_agreement_is_set_aside_and_the_stream_goes_on(database: str) -> None:
    async with a_house(database) as house:
        await house.apply(
            a_record(an_evaluation(9700, agreement="nobody"), offset=0),
            a_record(an_evaluation(9700), offset=1),
        )
        (refused,) = await house.rows("select * from settlement_refused")
        assert "agreement nobody is not applied; apply it" in refused["reason"]
        assert await house.owed("2025-01") == 20000


async def test_one_revision_with_two_contents_is_a_conflict_and_the_first_stands(
    database: str,
) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700), an_evaluation(9000))
        (refused,) = await house.rows("select * from settlement_refused")
        assert "is kept with other content" in refused["reason"]
        assert await house.owed("2025-01") == 20000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe", "not a CloudEvent in JSON"),
        (b"[]", "not a CloudEvent in JSON"),
        (b'{"type":"something.else.v1","data":{}}', "its type is something.else.v1"),
        (
            b'{"type":"earnback.period.evaluated.v1","data":{"programme":"x"}}',
            "not an evaluation: agreement",
        ),
    ],
)
def test_a_record_that_is_no_evaluation_says_what_is_wrong(value: bytes, reason: str) -> None:
    record = Record(0, 0, None, value, (("content-type", b"application/cloudevents+json"),))
    with pytest.raises(Unprocessable, match=reason.replace(".", r"\.")):
        read(record)


def test_an_evaluation_in_binary_mode_is_read_too() -> None:
    evaluation = an_evaluation(9700)
    record = Record(
        0, 0, None, canonical(evaluation), (("ce_type", b"earnback.period.evaluated.v1"),)
    )
    assert read(record) == evaluation


@pytest.mark.parametrize("table", [*BOOKS, "version_taken_up"])
async def test_the_books_refuse_update_delete_and_truncate(database: str, table: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        for statement in (
            f"update {table} set agreement = 'other'",
            f"delete from {table}",
            f"truncate {table} cascade",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await house.pool.execute(statement)


async def test_an_entry_that_no_statement_asks_for_cannot_be_committed(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="differ on line"):
            await house.pool.execute(
                "insert into ledger_entry (entry_id, position, run_id, programme, agreement,"
                " version, vendor, buyer, period, line, kind, debit_account, credit_account,"
                " minor_units, currency, facts_digest)"
                " select gen_random_uuid(), 1000, run_id, programme, agreement, version, vendor,"
                " buyer, period, line, kind, debit_account, credit_account, 1, currency,"
                " facts_digest from ledger_entry"
            )
        assert await house.owed("2025-01") == 20000


async def test_a_statement_without_its_entries_cannot_be_committed(database: str) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        async with house.pool.acquire() as connection:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="differ on line"):
                async with connection.transaction():
                    await _second_revision(connection)


async def test_a_line_that_changes_currency_is_booked_back_in_the_one_and_anew_in_the_other(
    database: str,
) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700))
        (row,) = await house.rows("select body from statement")
        issued = SettlementStatement.model_validate_json(row["body"])
        dearer = issued.model_copy(update={"currency": "JPY"})
        async with house.pool.acquire() as connection, connection.transaction():
            late = an_evaluation(9700, revision=2)
            await receive(connection, late)
            run = (await begin_run(connection, "hosting", late, at=MARCH)).run_id
            booked = await posted(connection, "hosting", ["2025-01"])
            posting = Posting(
                statement=dearer,
                body=canonical(dearer),
                content_digest=content_digest(dearer),
                revision=2,
                run_id=run,
                entries=differences(booked["2025-01"], dearer, run=run),
            )
            await post(connection, [posting], topics=DECLARED, at=MARCH)
        sums = await house.rows(
            "select currency, sum(owed_minor)::bigint as owed from ledger_entry"
            " group by 1 order by 1"
        )
        assert [tuple(each.values()) for each in sums] == [("EUR", 0), ("JPY", 20000)]


async def _second_revision(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "insert into statement (position, agreement, period, revision, run_id, programme, version,"
        " vendor, buyer, currency, total_minor, body, sha256, substance, supersedes)"
        " select 1000, agreement,"
        " period, 2, run_id, programme, version, vendor, buyer, currency, 1, body, sha256,"
        " substance, 1"
        " from statement"
    )
    await connection.execute(
        "insert into statement_line (agreement, period, revision, line, ordinal, kind, for_period,"
        " minor_units, version) select agreement, period, 2, line, 0, kind, for_period, 1, version"
        " from statement_line"
    )


async def test_finance_is_told_of_each_posting_with_ids_that_a_replay_would_repeat(
    database: str,
) -> None:
    async with a_house(database) as house:
        await house.settle(an_evaluation(9700), an_evaluation(9750, revision=2))
        told = await house.rows("select * from outbox order by topic, partition, seq")
    events = [msgspec.json.decode(row["body"]) for row in told]
    assert [event["type"] for event in events] == [
        "earnback.ledger.entry.v1",
        "earnback.ledger.entry.v1",
        "earnback.statement.posted.v1",
        "earnback.statement.adjusted.v1",
    ]
    assert [event["id"] for event in events] == [row["event_id"] for row in told]
    assert {row["key"] for row in told} == {"nimbus"}
    booked = [EntryBooked.model_validate(event["data"]) for event in events[:2]]
    stated = [StatementPosted.model_validate(event["data"]) for event in events[2:]]
    assert [entry.amount for entry in booked] == ["200.00", "50.00"]
    assert [(each.total, each.difference_minor) for each in stated] == [
        ("200.00", 20000),
        ("150.00", -5000),
    ]


async def test_after_a_restore_a_statement_that_books_nothing_keeps_its_place_in_the_book(
    database: str,
) -> None:
    evaluations = [
        an_evaluation(9700),
        an_evaluation(9600, agreement="network"),
        an_evaluation(9700, revision=2, source="urn:nimbus:probe/2"),
        an_evaluation(9750, revision=3),
    ]
    async with a_house(database) as house:
        await house.settle(*evaluations)
        placed = await house.rows("select agreement, period, run_id, position from statement")
        told = await house.rows("select headers::text as headers, body from outbox order by seq")
    runs = PublishedRuns()
    for row in told:
        runs.add(json.loads(row["headers"]), row["body"])
    assert runs.positions == {row["run_id"]: row["position"] for row in placed}
    assert [runs.position(each) for each in evaluations] == [1, 3, 5, 6], "the third books nothing"


async def test_two_databases_that_see_the_same_make_the_same_ids(
    database: str, other_database: str
) -> None:
    ids = []
    for dsn in (database, other_database):
        async with a_house(dsn) as house:
            await house.settle(an_evaluation(9700), an_evaluation(9750, revision=2))
            ids.append(await house.rows("select event_id from outbox order by event_id"))
    assert ids[0] == ids[1]
    assert len(ids[0]) == 4


async def test_positions_have_no_holes_when_agreements_settle_at_the_same_time(
    database: str,
) -> None:
    async with a_house(database) as house:
        houses = [House(house.pool, Settler(), offset) for offset in (0, 100)]
        for month in range(1, 7):
            period = f"2025-{month:02d}"
            await asyncio.gather(
                houses[0].settle(an_evaluation(9700, period=period)),
                houses[1].settle(an_evaluation(9600, agreement="network", period=period)),
            )
        positions = await house.rows(
            "select position from statement union all select position from ledger_entry order by 1"
        )
        assert [row["position"] for row in positions] == list(range(1, 25))
        assert await balance_store.unlike_the_ledger(house.pool) is None
