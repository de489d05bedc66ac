"""The tables of linked facts: every statement that is sent to them, and nothing that decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.core.events.corrections import MOST_CHAINED
from services.shell.postgres import Connection


class MetricPlace(NamedTuple):
    """Where a fact of a metric lies, as it was sent or as a correction puts it."""

    programme: str
    metric: str
    at_us: int


class AgreementPlace(NamedTuple):
    """What a charge or a circumstance is for. ``name``: of the base or the circumstance.

    ``since``, ``until``: first day of the period, and the first one after it; ``date.max``: it may
    matter to all that follow.
    """

    agreement: str
    label: str
    since: date
    until: date
    name: str


LinkedPlace = MetricPlace | AgreementPlace


@dataclass(slots=True, eq=False)
class Link:
    """One row of `linked_fact`. ``row``: of the step that stores it, None where it is stored.

    ``metric``, ``at_us``: of an event of a metric. ``said``: JSON, what a correction puts in place
    of its event, or what was stated. ``kept``: whether it has a row or is to get one.
    """

    id128: bytes
    corrects: bytes | None
    said: str
    metric: int | None = None
    at_us: int | None = None
    number: int = -1
    place: int = -1
    root: bytes | None = None
    depth: int = 0
    row: int | None = None
    kept: bool = True


_AROUND = f"""
    with recursive up as (
        select id128, corrects, root, 0 as step from linked_fact
         where partition = $1 and id128 = any($2::bytea[])
        union
        select t.id128, t.corrects, t.root, step + 1
          from up join linked_fact t on t.partition = $1 and t.id128 = up.corrects
         where up.root is null and step < {MOST_CHAINED}
    ), down as (
        select id128, 0 as step from linked_fact
         where partition = $1 and root is null and corrects = any($3::bytea[])
        union
        select t.id128, step + 1
          from down join linked_fact t
            on t.partition = $1 and t.root is null and t.corrects = down.id128
         where step < {MOST_CHAINED}
    )
    select id128, corrects, said, metric, at_us, number, place, root, depth from linked_fact
     where partition = $1 and id128 in (
        select id128 from up union select root from up union select id128 from down)
"""  # noqa: S608 - the length of a chain is a constant


async def around(
    connection: Connection, partition: int, targets: Sequence[bytes], came: Sequence[bytes]
) -> list[Link]:
    """The links of these targets, of what they correct, and of what waits for those that came."""
    rows = await connection.fetch(_AROUND, partition, list(targets), list(came))
    return [Link(**dict(row)) for row in rows]


async def insert(connection: Connection, partition: int, links: Iterable[Link]) -> None:
    """Store links."""
    await connection.executemany(
        "insert into linked_fact (partition, id128, number, place, corrects, root, depth, metric,"
        " at_us, said) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            (
                partition,
                each.id128,
                each.number,
                each.place,
                each.corrects,
                each.root,
                each.depth,
                each.metric,
                each.at_us,
                each.said,
            )
            for each in links
        ],
    )


async def set_roots(connection: Connection, partition: int, links: Sequence[Link]) -> None:
    """Write down the event of corrections that waited for it."""
    if links:
        await connection.execute(
            "update linked_fact l set root = new.root, depth = new.depth"
            "  from unnest($2::bytea[], $3::bytea[], $4::int[]) as new(id128, root, depth)"
            " where l.partition = $1 and l.id128 = new.id128",
            partition,
            [each.id128 for each in links],
            [each.root for each in links],
            [each.depth for each in links],
        )


async def insert_places(
    connection: Connection, partition: int, places: Iterable[tuple[bytes, LinkedPlace]]
) -> None:
    """Store where facts lie, each with the identity of its event."""
    metrics, agreements = [], []
    for root, place in dict.fromkeys(places):
        if isinstance(place, MetricPlace):
            metrics.append((*place, partition, root))
        else:
            agreements.append((*place, partition, root))
    await connection.executemany(
        "insert into linked_metric (programme, metric, at_us, partition, root)"
        " values ($1, $2, $3, $4, $5) on conflict do nothing",
        metrics,
    )
    await connection.executemany(
        "insert into linked_agreement (agreement, label, since, until, name, partition, root)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        agreements,
    )


async def insert_answers(
    connection: Connection, partition: int, answers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Store what answers are given to, each with the identity of the answer."""
    await connection.executemany(
        "insert into linked_answer (of128, partition, root) values ($1, $2, $3)"
        " on conflict do nothing",
        [(of, partition, answer) for of, answer in answers],
    )


async def waiting(connection: Connection, partition: int) -> list[bytes]:
    """The identities that corrections of a partition wait for."""
    rows = await connection.fetch(
        "select distinct corrects from linked_fact where partition = $1 and root is null", partition
    )
    return [row["corrects"] for row in rows]


class Located(NamedTuple):
    """Where a linked fact is stored."""

    partition: int
    number: int
    place: int
    id128: bytes


_ROOTS = """
    with own as (
        select m.partition, m.root
          from linked_metric m
          join unnest($2::text[], $3::bigint[], $4::bigint[]) as need(metric, first, past)
            on m.programme = $1 and m.metric = need.metric
               and m.at_us >= need.first and m.at_us < need.past
        union
        select partition, root from linked_agreement
         where agreement = $5 and since < $7 and until > $6
    )
"""
_OWN = f"""{_ROOTS}, answered as (
        select a.partition, a.root
          from own
          join linked_fact c on c.partition = own.partition and c.root = own.root
                            and c.corrects is not null
          join linked_answer a on a.of128 = c.id128)
    select l.partition, l.number, l.place, l.id128
      from (select * from own union select * from answered) every
      join linked_fact l on l.partition = every.partition and l.root = every.root
     order by l.partition, l.number, l.place
"""  # noqa: S608 - a constant of this file


class CorrectionPlace(NamedTuple):
    """Where a correction is stored, and where the event at the end of its chain is."""

    partition: int
    number: int
    place: int
    event_number: int
    event_place: int
    stored_at: datetime


_OWN_CORRECTIONS = f"""{_ROOTS}
    select l.partition, l.number, l.place, e.number, e.place, f.stored_at
      from own
      join linked_fact l using (partition, root)
      join linked_fact e on e.partition = l.partition and e.id128 = l.root
      join fact_frame f on f.partition = l.partition and f.number = l.number
     where l.corrects is not null and (l.partition, l.number, l.place) > ($8, $9, $10)
     order by l.partition, l.number, l.place limit $11
"""  # noqa: S608 - a constant of this file


async def own_corrections(
    connection: Connection,
    programme: str,
    spans: Mapping[str, tuple[int, int]],
    agreement: str,
    days: tuple[date, date],
    after: tuple[int, int, int],
    limit: int,
) -> list[CorrectionPlace]:
    """The corrections among what `own` finds, in the order in which they were stored."""
    names = sorted(spans)
    rows = await connection.fetch(
        _OWN_CORRECTIONS,
        programme,
        names,
        [spans[name][0] for name in names],
        [spans[name][1] for name in names],
        agreement,
        *days,
        *after,
        limit,
    )
    return [CorrectionPlace(*row) for row in rows]


async def own(
    connection: Connection,
    programme: str,
    spans: Mapping[str, tuple[int, int]],
    agreement: str,
    days: tuple[date, date],
) -> list[Located]:
    """All that may lie in these spans of a programme's metrics or be for these days of an
    agreement, before or after its corrections, with the corrections and the answers to these."""
    names = sorted(spans)
    rows = await connection.fetch(
        _OWN,
        programme,
        names,
        [spans[name][0] for name in names],
        [spans[name][1] for name in names],
        agreement,
        *days,
    )
    return [Located(*row) for row in rows]


async def offsets(
    connection: Connection, partition: int, identities: Sequence[bytes]
) -> dict[bytes, int]:
    """The first offset of the frame that holds each of these linked facts."""
    rows = await connection.fetch(
        "select l.id128, f.first_offset"
        "  from linked_fact l join fact_frame f using (partition, number)"
        " where l.partition = $1 and l.id128 = any($2::bytea[])",
        partition,
        list(identities),
    )
    return {row["id128"]: row["first_offset"] for row in rows}


class Untold(NamedTuple):
    """A correction whose event is not there, and the frame that holds it."""

    partition: int
    id128: bytes
    place: int
    number: int
    first_offset: int


async def to_tell(connection: Connection, seconds: float, most: int) -> list[Untold]:
    """Corrections that have waited for their event so long and were not told yet."""
    rows = await connection.fetch(
        "select l.partition, l.id128, l.place, l.number, f.first_offset"
        "  from linked_fact l join fact_frame f using (partition, number)"
        " where l.root is null and not l.told"
        "   and f.stored_at <= clock_timestamp() - make_interval(secs => $1)"
        " order by l.partition, l.number, l.place limit $2",
        seconds,
        most,
    )
    return [Untold(*row) for row in rows]


async def note_told(connection: Connection, untold: Sequence[Untold]) -> None:
    """Remember that these were told."""
    await connection.execute(
        "update linked_fact l set told = true"
        "  from unnest($1::int[], $2::bytea[]) as now(partition, id128)"
        " where l.partition = now.partition and l.id128 = now.id128",
        [each.partition for each in untold],
        [each.id128 for each in untold],
    )


async def clear_told(connection: Connection, reason: str, most: int) -> None:
    """Say of corrections that were told to wait that their event is there now."""
    await connection.execute(
        "with come as (select partition, id128 from linked_fact where root is not null and told"
        "               order by partition, id128 limit $2 for update),"
        " cleared as (update linked_fact l set told = false from come"
        "              where l.partition = come.partition and l.id128 = come.id128)"
        " insert into correction_verdict (item, refused)"
        " select q.number, false from come"
        "   join quarantine_item q on q.id128 = come.id128 and q.reason = $1",
        reason,
        most,
    )


class FramePlace(NamedTuple):
    """A place of an event that a frame says something of."""

    partition: int
    number: int
    place: LinkedPlace


_FRAMES = """
    with held as (
        select distinct l.partition, l.number, l.id128, l.root
          from unnest($1::int[], $2::int[]) as frame(partition, number)
          join linked_fact l using (partition, number)
         where l.root is not null
    ), touched as (
        select partition, number, partition as event_partition, root from held
        union
        select h.partition, h.number, c.partition, c.root
          from held h
          join linked_answer a on a.partition = h.partition and a.root = h.root
          join linked_fact c on c.id128 = a.of128 and c.corrects is not null
         where c.root is not null)
"""
_METRIC_PLACES = f"""{_FRAMES}
    select distinct t.partition, t.number, m.programme, m.metric, m.at_us
      from touched t join linked_metric m on m.partition = t.event_partition and m.root = t.root
"""  # noqa: S608 - joined from constants of this file
_AGREEMENT_PLACES = f"""{_FRAMES}
    select distinct t.partition, t.number, a.agreement, a.label, a.since, a.until, a.name
      from touched t join linked_agreement a on a.partition = t.event_partition and a.root = t.root
"""  # noqa: S608 - joined from constants of this file


async def places_of_frames(
    connection: Connection, frames: Sequence[tuple[int, int]]
) -> list[FramePlace]:
    """All places of the events that some frames hold, hold corrections of, or hold answers to
    corrections of."""
    which = [partition for partition, _ in frames], [number for _, number in frames]
    metrics = await connection.fetch(_METRIC_PLACES, *which)
    agreements = await connection.fetch(_AGREEMENT_PLACES, *which)
    found = [FramePlace(row[0], row[1], MetricPlace(*row[2:])) for row in metrics]
    return found + [FramePlace(row[0], row[1], AgreementPlace(*row[2:])) for row in agreements]


class AnsweredEvent(NamedTuple):
    """An answer that may matter to all periods from its own on, and what it answers.

    ``is_linked``: that is a correction, whose places the links know.
    """

    partition: int
    number: int
    agreement: str
    label: str
    since: date
    until: date
    name: str
    of128: bytes
    is_linked: bool

    @property
    def place(self) -> AgreementPlace:
        """Where the answer lies."""
        return AgreementPlace(self.agreement, self.label, self.since, self.until, self.name)


_ANSWERED = """
    select distinct l.partition, l.number, g.agreement, g.label, g.since, g.until, g.name, a.of128,
           exists (select from linked_fact c where c.id128 = a.of128 and c.corrects is not null)
      from unnest($1::int[], $2::int[]) as frame(partition, number)
      join linked_fact l using (partition, number)
      join linked_answer a on a.partition = l.partition and a.root = l.root
      join linked_agreement g on g.partition = l.partition and g.root = l.root and g.until = $3
"""


async def answered_in_frames(
    connection: Connection, frames: Sequence[tuple[int, int]]
) -> list[AnsweredEvent]:
    """The answers in some frames, and corrections of such, that may matter to all later periods."""
    which = [partition for partition, _ in frames], [number for _, number in frames]
    return [AnsweredEvent(*row) for row in await connection.fetch(_ANSWERED, *which, date.max)]


async def is_behind(connection: Connection) -> bool:
    """Whether frames from before the links are not linked yet."""
    return bool(await connection.fetchval("select exists (select from link_backlog)"))


async def frames_to_link(connection: Connection, partition: int) -> list[int]:
    """Numbers of the frames that hold facts without a metric, in order."""
    rows = await connection.fetch(
        "select number from fact_frame where partition = $1 and -1 = any(metrics) order by number",
        partition,
    )
    return [row["number"] for row in rows]


async def is_unlinked(connection: Connection, partition: int) -> bool:
    """Whether a partition is to be linked; locks its place in the queue."""
    row = await connection.fetchrow(
        "select from link_backlog where partition = $1 for update", partition
    )
    return row is not None


async def is_linked_now(connection: Connection, partition: int) -> None:
    """Take a partition off the queue."""
    await connection.execute("delete from link_backlog where partition = $1", partition)
