"""What is refused is kept once, with a record that tells of it, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from services.ingest.rejection import NOT_JSON, EventRejection
from services.ingest.rejection_store import MOST, TOLD_BYTES, RecordPosition, RejectedRecord, keep
from services.shell.outbox import declare
from services.shell.postgres import Connection, connect


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
    for statement in ("update intake_refusal set party = 'x'", "delete from intake_refusal"):
        with pytest.raises(Exception, match="append-only"):
            await connection.execute(statement)
