"""What is refused is kept once, with a record that tells of it, whatever it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.ingest import rejection_store
from services.ingest.rejection import NOT_JSON, EventRejection
from services.ingest.rejection_store import (
    MOST,
    TOLD_BYTES,
    KeptRecords,
    RecordPosition,
    RejectedRecord,
)
from services.shell.outbox import declare
from services.shell.postgres import Connection, connect
from services.shell.refusals import MOST_RAW, RefusalQuota, chained, remove_old

ROOM = RefusalQuota(events=10_000, size=64 * 1024 * 1024)


async def keep(connection: Connection, items: list[RejectedRecord]) -> int:
    """How many are new, where there is room for all."""
    kept = await rejection_store.keep(connection, items, ROOM, "refused")
    assert kept.beyond == frozenset()
    return kept.new


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    found = await connect(database, name="test")
    await declare(found, "refused", 4)
    yield found
    await found.close()


def refused(offset: int | None, raw: bytes = b"{", source: str | None = None) -> RejectedRecord:
    refusal = EventRejection(
        NOT_JSON, "", "it ends early", "send all of it", source=source, id="e-1"
    )
    place = None if offset is None else RecordPosition("intake.north", 0, offset)
    return RejectedRecord(place, "north", raw, refusal, 1_700_000_000_000_000, {"a": "b"})


async def told(connection: Connection) -> list[dict[str, object]]:
    rows = await connection.fetch("select body from outbox order by partition, seq")
    return [json.loads(row["body"]) for row in rows]


async def test_a_record_that_is_read_again_is_kept_and_told_once(connection: Connection) -> None:
    assert await keep(connection, [refused(1), refused(2), refused(1)]) == 2
    assert await keep(connection, [refused(2), refused(3)]) == 1
    assert [event["id"] for event in await told(connection)] == [
        f"intake.north-0-{offset}" for offset in (1, 2, 3)
    ]
    rows = await connection.fetch("select kafka_offset, raw, party from intake_refusal order by 1")
    assert [tuple(row) for row in rows] == [(offset, b"{", "north") for offset in (1, 2, 3)]


async def test_what_comes_over_http_is_the_same_where_sender_and_bytes_are(
    connection: Connection,
) -> None:
    assert await keep(connection, [refused(None), refused(None, b"["), refused(None)]) == 2
    assert await keep(connection, [refused(None)]) == 0
    assert len(await told(connection)) == 2


async def test_kept_and_told_are_one_or_neither(connection: Connection) -> None:
    await connection.execute("delete from outbox_head")
    with pytest.raises(LookupError, match="declare"):
        await keep(connection, [refused(1)])
    assert await connection.fetchval("select count(*) from intake_refusal") == 0


async def test_a_flood_is_kept_whole_and_in_order(connection: Connection) -> None:
    many = [refused(offset) for offset in range(2 * MOST + 7)]
    assert await keep(connection, many) == len(many)
    assert [event["id"] for event in await told(connection)] == [each.name for each in many]


async def test_long_bytes_are_kept_and_not_repeated(connection: Connection) -> None:
    long = b"x" * (TOLD_BYTES + 1)
    await keep(connection, [refused(1, long), refused(2, long[1:])])
    first, second = (event["data"] for event in await told(connection))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["raw_base64"], first["size"]) == (None, len(long))
    assert second["raw_base64"] is not None
    assert (
        await connection.fetchval("select raw from intake_refusal where kafka_offset = 1") == long
    )


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "\U0001f600", "é"])
async def test_texts_that_databases_dislike_do_not_stop_the_door(
    connection: Connection, odd: str
) -> None:
    refusal = EventRejection(NOT_JSON, odd, odd, odd, source=odd, id=odd, more=((odd, odd),))
    item = RejectedRecord(
        RecordPosition("intake.north", 0, 1), "north", b"\0\xff", refusal, 0, {odd: odd}
    )
    assert await keep(connection, [item]) == 1
    row = await connection.fetchrow("select * from intake_refusal")
    assert row["raw"] == b"\0\xff"
    assert json.loads(row["problem"])["detail"] == odd
    assert len(await told(connection)) == 1


async def test_what_is_kept_can_be_neither_changed_nor_removed(connection: Connection) -> None:
    await keep(connection, [refused(1)])
    for statement, why in (
        ("update intake_refusal set party = 'x'", "append-only"),
        ("delete from intake_refusal", "seven days"),
    ):
        with pytest.raises(Exception, match=why):
            await connection.execute(statement)


FEW = RefusalQuota(events=3, size=1_000_000)


async def counts(connection: Connection) -> list[tuple[object, ...]]:
    rows = await connection.fetch(
        "select party, part, code, kept, beyond, beyond_bytes > 0, digest, sample"
        "  from refusal_count order by 1, 2, 3"
    )
    return [tuple(row) for row in rows]


async def test_what_is_beyond_the_quota_is_counted_once_with_a_digest_and_a_sample(
    connection: Connection,
) -> None:
    raws = [b"rubbish %d" % number for number in range(8)]
    flood = [refused(number, raw) for number, raw in enumerate(raws)]
    first = await rejection_store.keep(connection, flood[:5], FEW, "refused")
    assert first == KeptRecords(3, frozenset({"intake.north-0-3", "intake.north-0-4"}))
    # Read again after a crash, the first five are neither kept nor counted another time.
    again = await rejection_store.keep(connection, flood, FEW, "refused")
    assert (again.new, len(again.beyond)) == (0, 3)
    digest = chained(b"", raws[3:])
    expected = ("north", "intake.north/0", "not-json", 3, 5, True, digest, raws[3])
    assert await counts(connection) == [expected]
    assert await connection.fetchval("select count(*) from intake_refusal") == 3
    assert len(await told(connection)) == 3


async def test_a_quota_is_a_party_s_own_over_all_its_ways_in_and_of_a_day(
    connection: Connection,
) -> None:
    await rejection_store.keep(connection, [refused(1), refused(2)], FEW, "refused")
    over_http = [refused(None, b"a"), refused(None, b"b"), refused(None, b"a")]
    kept = await rejection_store.keep(connection, over_http, FEW, "refused")
    assert kept == KeptRecords(1, frozenset({over_http[1].name}))
    # What is kept already is a repeat, and takes no room.
    assert await rejection_store.keep(connection, [over_http[0]], FEW, "refused") == KeptRecords()
    other = replace(refused(None, b"c"), party="desk")
    assert (await rejection_store.keep(connection, [other], FEW, "refused")).new == 1
    tomorrow = replace(refused(None, b"d"), at_us=other.at_us + 86_400_000_000)
    assert (await rejection_store.keep(connection, [tomorrow], FEW, "refused")).new == 1


async def test_a_long_event_is_kept_in_part_with_its_size_and_digest(
    connection: Connection,
) -> None:
    long = b"x" * (MOST_RAW + 1)
    await keep(connection, [refused(1, long)])
    row = await connection.fetchrow("select raw, problem from intake_refusal")
    assert row["raw"] == long[:MOST_RAW]
    problem = json.loads(row["problem"])
    assert (problem["size"], problem["sha256"]) == (len(long), hashlib.sha256(long).hexdigest())


async def test_refused_events_go_after_their_time_and_no_sooner(connection: Connection) -> None:
    await keep(connection, [refused(1), refused(2)])
    await connection.execute("alter table intake_refusal disable trigger user")
    await connection.execute(
        "update intake_refusal set refused_at = refused_at - interval '91 days'"
        " where kafka_offset = 1"
    )
    await connection.execute("alter table intake_refusal enable trigger user")
    await connection.execute("update refusal_count set day = current_date")
    assert await remove_old(connection, 90) == 1
    assert await remove_old(connection, 1) == 0
    assert await connection.fetchval("select kafka_offset from intake_refusal") == 2
    await connection.execute("update refusal_count set day = current_date - 91")
    assert await remove_old(connection, 90) == 1
