"""What the statements of the protocol do, by their text.

A statement that is not known here is refused by its text: whoever changes one in the product comes
here, and to `test_database`, which holds each against a real Postgres. The conditions of those that
guard something are read from the text, so that a guard can be taken out of the product's own code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import asyncpg

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement answers: rows, and the tag with the number of those it changed."""

    rows: Sequence[Row] = ()
    tag: str = ""


_KNOWN: list[tuple[re.Pattern[str], Callable[..., Result]]] = []


class UnknownStatement(Exception):
    """The stand-in does not know it: teach it here, and to `test_database`."""


@cache
def statement(sql: str) -> Callable[..., Result]:
    """What a text does: a function of a transaction and the arguments."""
    text = " ".join(sql.split())
    for pattern, function in _KNOWN:
        if found := pattern.fullmatch(text):
            return partial(_with_named, function, found.groupdict())
    raise UnknownStatement(text)


def _with_named(function: Any, named: dict[str, Any], tx: Any, *args: Any) -> Result:
    result: Result = function(tx, *args, **named)
    return result


def _known(text: str, **parts: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Say what a text does. ``parts``: by name, what stands where the text says `{name}`."""
    written = re.escape(" ".join(text.split()))
    for name, pattern in parts.items():
        written = written.replace(re.escape("{" + name + "}"), f"(?P<{name}>{pattern})")

    def keep(function: Callable[..., Result]) -> Callable[..., Result]:
        _KNOWN.append((re.compile(written), function))
        return function

    return keep


_CONDITION = r"[a-z_]+ = \$\d+(?: and [a-z_]+ = \$\d+)*"


def _fits(row: Row | None, where: str, args: Sequence[Any]) -> bool:
    return row is not None and all(
        row[column] == args[int(number) - 1]
        for column, number in re.findall(r"([a-z_]+) = \$(\d+)", where)
    )


# progress.py


@_known("""insert into progress as p (app, topic, partition, epoch, next_offset, last_sequence)
    select $1, $2, c.partition, 1, c.first, case when c.first = 0 then 0 end
    from unnest($3::int[], $4::bigint[]) as c(partition, first) order by c.partition
    on conflict (app, topic, partition) do update set epoch = p.epoch + 1
    returning partition, epoch, next_offset, last_sequence, max_event_us""")
def _claim(tx: Any, app: str, topic: str, partitions: list[int], first: list[int]) -> Result:
    wanted = sorted(zip(partitions, first, strict=True))
    for partition, _ in wanted:
        tx.lock("progress", app, topic, partition)
    rows = []
    for partition, offset in wanted:
        row = tx.row("progress", app, topic, partition)
        if row is None:
            row = {"app": app, "topic": topic, "partition": partition, "epoch": 0}
            row |= {"next_offset": offset, "last_sequence": 0 if offset == 0 else None}
            row["max_event_us"] = None
        row = row | {"epoch": row["epoch"] + 1}
        tx.put("progress", (app, topic, partition), row)
        rows.append(_only(row, "partition epoch next_offset last_sequence max_event_us"))
    return Result(rows, f"INSERT 0 {len(rows)}")


@_known("select true from progress where {where} for no key update", where=_CONDITION)
def _hold(tx: Any, *args: Any, where: str) -> Result:
    key = args[:3]
    if not _fits(tx.row("progress", *key), where, args):
        return Result((), "SELECT 0")
    tx.lock("progress", *key)
    held = _fits(tx.row("progress", *key), where, args)
    return Result([{"?column?": True}] if held else (), f"SELECT {int(held)}")


@_known(
    """update progress set next_offset = $6, max_event_us = greatest(max_event_us, $7),
    last_sequence = coalesce($8, last_sequence), last_advanced_at = clock_timestamp()
    where {where}""",
    where=_CONDITION,
)
def _advance(tx: Any, *args: Any, where: str) -> Result:
    key, (new, latest, sequence) = args[:3], args[5:]
    if not _fits(tx.row("progress", *key), where, args):
        return Result((), "UPDATE 0")
    tx.lock("progress", *key)
    row = tx.row("progress", *key)
    if not _fits(row, where, args):
        return Result((), "UPDATE 0")
    times = [each for each in (row["max_event_us"], latest) if each is not None]
    row = row | {"next_offset": new, "max_event_us": max(times, default=None)}
    if sequence is not None:
        row["last_sequence"] = sequence
    tx.put("progress", key, row)
    return Result((), "UPDATE 1")


@_known("select next_offset from progress where {where}", where=_CONDITION)
def _next_offset(tx: Any, *args: Any, where: str) -> Result:
    row = tx.row("progress", *args[:3])
    return _selected([_only(row, "next_offset")] if _fits(row, where, args) else [])


@_known("select topic, partition, next_offset from progress where app = $1")
def _positions(tx: Any, app: str) -> Result:
    found = [row for _, row in tx.rows("progress") if row["app"] == app]
    return _selected([_only(row, "topic partition next_offset") for row in found])


# outbox.py


def _heads(tx: Any, topic: str) -> list[Row]:
    found = [row for _, row in tx.rows("outbox_head") if row["topic"] == topic]
    return sorted(found, key=lambda row: row["partition"])


@_known("select count(*) from outbox_head where topic = $1")
def _partitions(tx: Any, topic: str) -> Result:
    return _selected([{"count": len(_heads(tx, topic))}])


@_known("""insert into outbox_head (topic, partition) select $1, generate_series(0, $2 - 1)
    on conflict do nothing""")
def _declare(tx: Any, topic: str, partitions: int) -> Result:
    new = [each for each in range(partitions) if tx.row("outbox_head", topic, each) is None]
    for each in new:
        tx.lock("outbox_head", topic, each)
    new = [each for each in new if tx.row("outbox_head", topic, each) is None]
    for each in new:
        row = {"topic": topic, "partition": each, "next_seq": 1}
        tx.put("outbox_head", (topic, each), row)
    return Result((), f"INSERT 0 {len(new)}")


@_known("select topic, count(*) from outbox_head group by topic")
def _topics(tx: Any) -> Result:
    counts: dict[str, int] = {}
    for _, row in tx.rows("outbox_head"):
        counts[row["topic"]] = counts.get(row["topic"], 0) + 1
    return _selected([{"topic": topic, "count": count} for topic, count in counts.items()])


@_known("""select partition from outbox_head where topic = $1 and partition = any($2::int[])
    order by partition for no key update""")
def _lock_heads(tx: Any, topic: str, partitions: list[int]) -> Result:
    found = [row["partition"] for row in _heads(tx, topic) if row["partition"] in partitions]
    for partition in found:
        tx.lock("outbox_head", topic, partition)
    return _selected([{"partition": partition} for partition in found])


@_known("""with taken as ( update outbox_head head set next_seq = head.next_seq + wanted.rows
    from unnest($2::int[], $3::bigint[]) as wanted(partition, rows)
    where head.topic = $1 and head.partition = wanted.partition
    returning head.partition, head.next_seq - wanted.rows as first )
    insert into outbox (topic, partition, seq, key, event_id, headers, body)
    select $1, row.partition, taken.first + row.place, row.key, row.event_id, row.headers, row.body
    from unnest($4::int[], $5::bigint[], $6::text[], $7::text[], $8::jsonb[], $9::bytea[])
    as row(partition, place, key, event_id, headers, body)
    join taken on taken.partition = row.partition""")
def _take(tx: Any, topic: str, wanted: list[int], counts: list[int], *columns: Any) -> Result:
    for partition in wanted:
        if tx.row("outbox_head", topic, partition) is not None:
            tx.lock("outbox_head", topic, partition)
    first = {}
    for partition, count in zip(wanted, counts, strict=True):
        head = tx.row("outbox_head", topic, partition)
        if head is not None:
            first[partition] = head["next_seq"]
            after = head | {"next_seq": head["next_seq"] + count}
            tx.put("outbox_head", (topic, partition), after)
    rows = [row for row in zip(*columns, strict=True) if row[0] in first]
    for partition, place, *said in rows:
        _put_outbox(tx, topic, partition, first[partition] + place, *said)
    return Result((), f"INSERT 0 {len(rows)}")


def _put_outbox(
    tx: Any,
    topic: str,
    partition: int,
    seq: int,
    key: str,
    event_id: str,
    headers: str,
    body: bytes,
) -> None:
    place = topic, partition, seq
    if tx.row("outbox", *place) is not None:
        raise asyncpg.UniqueViolationError(f"outbox has {place}")
    row = {"topic": topic, "partition": partition, "seq": seq, "key": key, "event_id": event_id}
    tx.put("outbox", place, row | {"headers": headers, "body": body, "recorded_at": tx.now})


@_known("""select (select count(*) from outbox_head where topic = $1),
    exists (select from outbox_taken_over where topic = $1 and reproduced_at is null)""")
def _topic(tx: Any, topic: str) -> Result:
    open_ones = any(
        row["topic"] == topic and row["reproduced_at"] is None
        for _, row in tx.rows("outbox_taken_over")
    )
    return _selected([{"count": len(_heads(tx, topic)), "exists": open_ones}])


@_known("""update outbox_taken_over set reproduced_at = clock_timestamp()
    where topic = $1 and event_id = any($2::text[]) and reproduced_at is null
    returning event_id, digest""")
def _reproduce(tx: Any, topic: str, ids: list[str]) -> Result:
    def found() -> list[tuple[Any, Row]]:
        return [
            (key, row)
            for key, row in sorted(tx.rows("outbox_taken_over"), key=lambda each: each[0])
            if row["topic"] == topic and row["event_id"] in ids and row["reproduced_at"] is None
        ]

    for key, _ in found():
        tx.lock("outbox_taken_over", *key)
    rows = found()
    for key, row in rows:
        tx.put("outbox_taken_over", key, row | {"reproduced_at": tx.now})
    said = [_only(row, "event_id digest") for _, row in rows]
    return Result(said, f"UPDATE {len(rows)}")


# relay.py


@_known("""select head.partition, head.next_seq, coalesce(at.published_seq, 0) as published
    from outbox_head head left join relay_position at using (topic, partition)
    where topic = $1""")
def _published(tx: Any, topic: str) -> Result:
    rows = [_only(row, "partition next_seq") for row in _heads(tx, topic)]
    for row in rows:
        row["published"] = _noted(tx, topic, row["partition"])
    return _selected(rows)


def _noted(tx: Any, topic: str, partition: int) -> int:
    at = tx.row("relay_position", topic, partition)
    return at["published_seq"] if at else 0


_UNLESS_HELD = r" where held\.expires_at < clock_timestamp\(\) or held\.holder = excluded\.holder|"


@_known(
    """insert into relay_lease as held (topic, holder, expires_at)
    values ($1, $2, clock_timestamp() + make_interval(secs => $3))
    on conflict (topic) do update set holder = excluded.holder,
    expires_at = excluded.expires_at{unless} returning true""",
    unless=_UNLESS_HELD,
)
def _take_lease(tx: Any, topic: str, holder: str, seconds: float, unless: str) -> Result:
    tx.lock("relay_lease", topic)
    held = tx.row("relay_lease", topic)
    if unless and held and not (held["expires_at"] < tx.now or held["holder"] == holder):
        return Result((), "INSERT 0 0")
    row = {"topic": topic, "holder": holder, "expires_at": tx.now + seconds}
    tx.put("relay_lease", (topic,), row)
    return Result([{"?column?": True}], "INSERT 0 1")


@_known("""update relay_lease set expires_at = clock_timestamp() + make_interval(secs => $3)
    where topic = $1 and holder = $2""")
def _renew(tx: Any, topic: str, holder: str, seconds: float) -> Result:
    if not _is_holder(tx, topic, holder):
        return Result((), "UPDATE 0")
    held = tx.row("relay_lease", topic)
    tx.put("relay_lease", (topic,), held | {"expires_at": tx.now + seconds})
    return Result((), "UPDATE 1")


def _is_holder(tx: Any, topic: str, holder: str) -> bool:
    """Whether the row fits, and then with its lock; one that does not fit is not waited for."""
    held = tx.row("relay_lease", topic)
    if held is None or held["holder"] != holder:
        return False
    tx.lock("relay_lease", topic)
    held = tx.row("relay_lease", topic)
    return held is not None and held["holder"] == holder


@_known("delete from relay_lease where topic = $1 and holder = $2")
def _give_back(tx: Any, topic: str, holder: str) -> Result:
    if not _is_holder(tx, topic, holder):
        return Result((), "DELETE 0")
    tx.remove("relay_lease", (topic,))
    return Result((), "DELETE 1")


@_known("""with next as (
    select at.partition, o.seq, o.place, o.recorded_at, octet_length(o.body) as bytes
    from unnest($2::int[], $3::bigint[]) as at(partition, seq) cross join lateral (
    select seq, body, recorded_at, row_number() over (order by seq) as place from outbox
    where topic = $1 and partition = at.partition and seq > at.seq order by seq limit $4) o
    ), taken as ( select partition, seq, bytes,
    sum(bytes) over (order by place, recorded_at, partition) - bytes as before from next )
    select o.* from (select partition, seq from taken
    where before = 0 or before + bytes <= $5) taken cross join lateral ( select * from outbox
    where topic = $1 and partition = taken.partition and seq = taken.seq offset 0) o
    order by o.partition, o.seq""")
def _next(
    tx: Any, topic: str, partitions: list[int], after: list[int], most: int, most_bytes: int
) -> Result:
    at = dict(zip(partitions, after, strict=True))
    waiting: dict[int, list[Row]] = {partition: [] for partition in at}
    for (name, partition, seq), row in tx.rows("outbox"):
        if name == topic and partition in at and seq > at[partition]:
            waiting[partition].append(row)
    placed = [
        (place, row["recorded_at"], row["partition"], row)
        for rows in waiting.values()
        for place, row in enumerate(sorted(rows, key=lambda each: each["seq"])[:most])
    ]
    taken, before = [], 0
    for *_, row in sorted(placed, key=lambda each: each[:3]):
        size = len(row["body"])
        if before == 0 or before + size <= most_bytes:
            taken.append(row)
        before += size
    return _selected(sorted(taken, key=lambda row: (row["partition"], row["seq"])))


@_known("""with noted as ( insert into relay_position (topic, partition, published_seq)
    select $1, n.partition, n.seq from unnest($2::int[], $3::bigint[]) as n(partition, seq)
    on conflict (topic, partition) do update set published_seq = excluded.published_seq
    where relay_position.published_seq <> excluded.published_seq )
    select sum(head.next_seq - 1 - n.seq)::bigint
    from outbox_head head join unnest($2::int[], $3::bigint[]) as n(partition, seq)
    on head.topic = $1 and head.partition = n.partition""")
def _note(tx: Any, topic: str, partitions: list[int], published: list[int]) -> Result:
    noted = dict(zip(partitions, published, strict=True))
    for partition in noted:
        tx.lock("relay_position", topic, partition)
    waiting = [
        head["next_seq"] - 1 - noted[head["partition"]]
        for head in _heads(tx, topic)
        if head["partition"] in noted
    ]
    for partition, seq in noted.items():
        row = {"topic": topic, "partition": partition, "published_seq": seq}
        tx.put("relay_position", (topic, partition), row)
    return _selected([{"sum": sum(waiting) if waiting else None}])


@_known("""delete from outbox o using (select o.topic, o.partition, o.seq
    from outbox o join relay_position at using (topic, partition)
    where o.topic = $1 and o.seq <= at.published_seq
    and o.recorded_at < clock_timestamp() - make_interval(hours => $2)
    order by o.partition, o.seq limit $3) old
    where o.topic = old.topic and o.partition = old.partition and o.seq = old.seq""")
def _clean(tx: Any, topic: str, hours: int, most: int) -> Result:
    old = [
        key
        for key, row in sorted(tx.rows("outbox"), key=lambda each: each[0])
        if row["topic"] == topic
        and row["seq"] <= _noted(tx, topic, row["partition"])
        and row["recorded_at"] < tx.now - hours * 3600
    ][:most]
    for key in old:
        tx.lock("outbox", *key)
    for key in old:
        tx.remove("outbox", key)
    return Result((), f"DELETE {len(old)}")


# taken_over.py


@_known("""select head.topic, head.partition, head.next_seq - 1 as given_out,
    coalesce(at.published_seq, 0) as noted,
    (select min(seq) from outbox o where o.topic = head.topic
    and o.partition = head.partition) as kept_from
    from outbox_head head left join relay_position at using (topic, partition)
    where head.topic = any($1::text[]) order by head.topic, head.partition""")
def _compare(tx: Any, topics: list[str]) -> Result:
    rows = []
    for head in sorted((row for topic in set(topics) for row in _heads(tx, topic)), key=_place):
        kept = [
            seq
            for (topic, partition, seq), _ in tx.rows("outbox")
            if (topic, partition) == _place(head)
        ]
        row = _only(head, "topic partition") | {"given_out": head["next_seq"] - 1}
        row |= {"noted": _noted(tx, *_place(head)), "kept_from": min(kept, default=None)}
        rows.append(row)
    return _selected(rows)


@_known("""insert into outbox (topic, partition, seq, key, event_id, headers, body)
    values ($1, $2, $3, $4, $5, $6, $7)""")
def _insert_outbox(tx: Any, *args: Any) -> Result:
    tx.lock("outbox", *args[:3])
    _put_outbox(tx, *args)
    return Result((), "INSERT 0 1")


@_known("""insert into outbox_taken_over (topic, event_id, partition, seq, digest)
    values ($1, $2, $3, $4, $5)""")
def _insert_taken_over(
    tx: Any, topic: str, event_id: str, partition: int, seq: int, digest: bytes | None
) -> Result:
    tx.lock("outbox_taken_over", topic, event_id)
    if tx.row("outbox_taken_over", topic, event_id) is not None:
        raise asyncpg.UniqueViolationError(f"outbox_taken_over has {topic} {event_id}")
    row = {"topic": topic, "event_id": event_id, "partition": partition, "seq": seq}
    key = topic, event_id
    tx.put("outbox_taken_over", key, row | {"digest": digest, "reproduced_at": None})
    return Result((), "INSERT 0 1")


@_known("""update outbox_head set next_seq = $3 where topic = $1 and partition = $2
    and next_seq = $4""")
def _go_on(tx: Any, topic: str, partition: int, new: int, old: int) -> Result:
    head = tx.row("outbox_head", topic, partition)
    if head is None or head["next_seq"] != old:
        return Result((), "UPDATE 0")
    tx.lock("outbox_head", topic, partition)
    head = tx.row("outbox_head", topic, partition)
    if head["next_seq"] != old:
        return Result((), "UPDATE 0")
    tx.put("outbox_head", (topic, partition), head | {"next_seq": new})
    return Result((), "UPDATE 1")


@_known("""insert into relay_position (topic, partition, published_seq) values ($1, $2, $3)
    on conflict (topic, partition) do update set published_seq = excluded.published_seq""")
def _note_one(tx: Any, topic: str, partition: int, seq: int) -> Result:
    row = {"topic": topic, "partition": partition, "published_seq": seq}
    tx.put("relay_position", (topic, partition), row)
    return Result((), "INSERT 0 1")


@_known("""select t.topic, t.partition, t.seq as sequence, t.event_id, o.headers, o.body
    from outbox_taken_over t join outbox o using (topic, partition, seq)
    where t.topic = any($1::text[]) and t.reproduced_at is null
    order by t.topic, t.partition, t.seq""")
def _not_reproduced(tx: Any, topics: list[str]) -> Result:
    rows = []
    for _, row in tx.rows("outbox_taken_over"):
        kept = tx.row("outbox", row["topic"], row["partition"], row["seq"])
        if row["topic"] in topics and row["reproduced_at"] is None and kept is not None:
            said = _only(row, "topic partition event_id") | {"sequence": row["seq"]}
            rows.append(said | _only(kept, "headers body"))
    return _selected(sorted(rows, key=lambda row: (*_place(row), row["sequence"])))


# handlers.py of the simulation


@_known("select partition, total from simulated_total where topic = $1 and partition = any($2)")
def _totals(tx: Any, topic: str, partitions: list[int]) -> Result:
    found = [
        row
        for _, row in tx.rows("simulated_total")
        if row["topic"] == topic and row["partition"] in partitions
    ]
    return _selected([_only(row, "partition total") for row in found])


@_known("""insert into simulated_total values ($1, $2, $3)
    on conflict (topic, partition) do update set total = excluded.total""")
def _set_total(tx: Any, topic: str, partition: int, total: int) -> Result:
    row = {"topic": topic, "partition": partition, "total": total}
    tx.put("simulated_total", (topic, partition), row)
    return Result((), "INSERT 0 1")


@_known("""insert into simulated_applied select $1::text, $2::int, a.at, a.value
    from unnest($3::bigint[], $4::bigint[]) as a(at, value)""")
def _applied(tx: Any, topic: str, partition: int, at: list[int], values: list[int]) -> Result:
    for offset, value in zip(at, values, strict=True):
        row = {"topic": topic, "partition": partition, "at": offset, "value": value}
        tx.put("simulated_applied", (tx.number(),), row)
    return Result((), f"INSERT 0 {len(at)}")


def _only(row: Row, names: str) -> Row:
    return {name: row[name] for name in names.split()}


def _place(row: Row) -> tuple[str, int]:
    return row["topic"], row["partition"]


def _selected(rows: Sequence[Row]) -> Result:
    return Result(rows, f"SELECT {len(rows)}")


def texts() -> Iterator[str]:
    """The statements that are known, by what is written here."""
    return (pattern.pattern for pattern, _ in _KNOWN)
