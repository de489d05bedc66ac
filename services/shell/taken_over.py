"""After a restore: what the topics of the outbox hold that the database does not know.

Their readers have acted on it, so it stays. It is written into the outbox as published, the
sequence goes on after it, and what the services then come to again is not published twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.shell.log_reader import LogReader
from services.shell.outbox import EVENT_ID, content_digest
from services.shell.postgres import Connection
from services.shell.steps import SEQUENCE, InputLost, Record, sequence_of

_FIRST_LOOK = 256


@dataclass(frozen=True, slots=True)
class OutputState:
    """One partition of a topic, and what the outbox knows of it.

    ``given_out``: the last number that the outbox gave. ``noted``: the last that it knows to be
    published. ``kept_from``: the first that it still has a row of; None: it has none.
    ``published``: the last that the topic holds, or held before retention removed it.
    """

    topic: str
    partition: int
    given_out: int
    noted: int
    kept_from: int | None
    published: int
    further: tuple[Record, ...]
    """The records beyond ``given_out``, in order."""

    @property
    def lost(self) -> tuple[int, int] | None:
        """The first and last number that neither the topic nor the outbox has, or None."""
        if self.published >= self.given_out:
            return None
        last = self.given_out if self.kept_from is None else self.kept_from - 1
        return (self.published + 1, last) if last > self.published else None


async def compare(
    connection: Connection, reader: LogReader, topics: Sequence[str]
) -> list[OutputState]:
    """Hold the topics against the outbox; changes nothing.

    Raises:
        InputLost: a topic has records without a number, or lacks some between those it has.
    """
    rows = await connection.fetch(
        "select head.topic, head.partition, head.next_seq - 1 as given_out,"
        "       coalesce(at.published_seq, 0) as noted,"
        "       (select min(seq) from outbox o where o.topic = head.topic"
        "         and o.partition = head.partition) as kept_from"
        "  from outbox_head head left join relay_position at using (topic, partition)"
        " where head.topic = any($1::text[]) order by head.topic, head.partition",
        list(topics),
    )
    states = []
    for row in rows:
        last, further = await _after(reader, row["topic"], row["partition"], row["given_out"])
        # Where retention has left nothing, the relay goes on after what it has noted, too.
        published = row["noted"] if last is None else last
        states.append(OutputState(**dict(row), published=published, further=further))
    return states


async def _after(
    reader: LogReader, topic: str, partition: int, number: int
) -> tuple[int | None, tuple[Record, ...]]:
    """The last number that a partition holds, None where it holds no record, and its records
    beyond a number.

    Looks at the end, then further and further back: markers and aborted records may be any number.
    """
    first, end = (await reader.bounds(topic, [partition]))[partition]
    back = _FIRST_LOOK
    while True:
        start = max(first, end - back)
        found = [
            record
            async for batch in reader.records(topic, partition, start, end)
            for record in batch
        ]
        numbers = [sequence_of(record) for record in found]
        if start == first or (numbers and numbers[0] <= number + 1):
            break
        back *= 8
    further = [record for record, each in zip(found, numbers, strict=True) if each > number]
    last = numbers[-1] if numbers else None
    if [sequence_of(each) for each in further] != list(
        range(number + 1, max(number, last or 0) + 1)
    ):
        raise InputLost(
            f"{topic}-{partition} lacks records after sequence {number}: what it holds cannot be "
            "taken over whole; restore the database to a later point"
        )
    return last, tuple(further)


async def take_over(
    connection: Connection, states: Sequence[OutputState], exact: Collection[str]
) -> int:
    """Write what the topics hold beyond the outbox into it, as published; how many records.

    ``exact``: topics of which nothing else may be published under the same id. One transaction;
    the numbers go on after what was published.
    """
    taken = 0
    async with connection.transaction():
        for state in states:
            for record in state.further:
                await _insert(connection, state, record, state.topic in exact)
            if state.further:
                await _go_on(connection, state)
            taken += len(state.further)
    return taken


async def _insert(connection: Connection, state: OutputState, record: Record, exact: bool) -> None:
    headers = {name: value.decode("utf-8") for name, value in record.headers}
    number, event_id = int(headers.pop(SEQUENCE)), headers.pop(EVENT_ID)
    await connection.execute(
        "insert into outbox (topic, partition, seq, key, event_id, headers, body)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        state.topic,
        state.partition,
        number,
        (record.key or b"").decode("utf-8"),
        event_id,
        json.dumps(headers),
        record.value,
    )
    await connection.execute(
        "insert into outbox_taken_over (topic, event_id, partition, seq, digest)"
        " values ($1, $2, $3, $4, $5)",
        state.topic,
        event_id,
        state.partition,
        number,
        content_digest(record.value) if exact else None,
    )


async def _go_on(connection: Connection, state: OutputState) -> None:
    moved = await connection.execute(
        "update outbox_head set next_seq = $3 where topic = $1 and partition = $2"
        " and next_seq = $4",
        state.topic,
        state.partition,
        state.published + 1,
        state.given_out + 1,
    )
    if moved != "UPDATE 1":
        raise RuntimeError(
            f"{state.topic}-{state.partition}: a process has written to the outbox meanwhile; stop "
            "all processes, then run this again"
        )
    await connection.execute(
        "insert into relay_position (topic, partition, published_seq) values ($1, $2, $3)"
        " on conflict (topic, partition) do update set published_seq = excluded.published_seq",
        state.topic,
        state.partition,
        state.published,
    )


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A record that was taken over and to which the services have not come again."""

    topic: str
    partition: int
    sequence: int
    event_id: str
    headers: dict[str, str]
    body: bytes


async def not_reproduced(connection: Connection, topics: Sequence[str]) -> list[TakenOver]:
    """What was taken over and is not said by the database yet, by topic, partition and number."""
    rows = await connection.fetch(
        "select t.topic, t.partition, t.seq as sequence, t.event_id, o.headers, o.body"
        "  from outbox_taken_over t join outbox o using (topic, partition, seq)"
        " where t.topic = any($1::text[]) and t.reproduced_at is null"
        " order by t.topic, t.partition, t.seq",
        list(topics),
    )
    return [TakenOver(**{**row, "headers": json.loads(row["headers"])}) for row in rows]
