"""The SQL of disputes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from uuid import UUID

import msgspec

from schemas.dispute import (
    CONTESTED,
    Contested,
    Dispute,
    DisputeAct,
    DisputeEvent,
    DisputeSide,
    DisputeState,
)
from schemas.money import MoneyAmount
from services.settlement.not_found import readable
from services.settlement.queries import DatabaseRow
from services.shell.postgres import Connection

OPEN = (DisputeState.RAISED, DisputeState.UNDER_REVIEW)
_DISPUTE = """
    select d.dispute_id, d.position, d.agreement, d.vendor, d.period, d.revision, d.line, d.about,
           d.metric, d.effect, d.error, d.raised_by, d.currency,
           case when d.withholds_minor is not null then coalesce(
             (select w.withheld_minor from withholding w where w.dispute_id = d.dispute_id
               order by w.number desc limit 1), 0) end as withheld_minor,
           (select json_agg(json_build_object('act', e.act, 'state', e.state, 'actor', e.actor,
                            'comment', e.comment, 'at', e.recorded_at) order by e.number)
              from dispute_event e where e.dispute_id = d.dispute_id) as history,
           (select e.state from dispute_event e where e.dispute_id = d.dispute_id
             order by e.number desc limit 1) as state
      from dispute d
     where ($1::text is null or d.vendor = $1) and ($2::text is null or d.buyer = $2)
"""
_PLAIN = "dispute_id agreement vendor period revision line metric effect error raised_by".split()


@dataclass(frozen=True, slots=True)
class Withholds:
    """What a dispute withholds of its line at most, and what that came to in the revision that it
    disputes; in minor units."""

    at_most: int
    disputed: int
    currency: str


@dataclass(frozen=True, slots=True)
class NewDispute:
    """What is written down of a dispute. ``metric``: which it concerns, where that can be told."""

    dispute_id: UUID
    agreement: str
    vendor: str
    buyer: str
    period: str
    revision: int | None
    contested: Contested
    metric: str | None
    effect: str | None
    error: bool | None
    raised_by: DisputeSide
    withholds: Withholds | None


def from_row(row: DatabaseRow) -> Dispute:
    """A dispute with its history."""
    history = tuple(DisputeEvent.model_validate(each) for each in json.loads(row["history"]))
    about = json.loads(row["about"]) if row["about"] is not None else {}
    plain = {name: row[name] for name in _PLAIN}
    withheld = row["withheld_minor"]
    amount = None if withheld is None else MoneyAmount.of(withheld, row["currency"])
    own = {"history": history, "state": row["state"], "withheld": amount}
    return Dispute.model_validate({**plain, **about, **own})


def _about(contested: Contested) -> str:
    return msgspec.json.encode(
        contested.model_dump(mode="json", exclude_none=True), order="sorted"
    ).decode()


def thing(contested: Contested) -> str:
    """What a dispute is about, as one text."""
    return f"line {contested.line}" if contested.line is not None else _about(contested)


def in_words(contested: Contested) -> str:
    """What a dispute is about, for people."""
    kind = next(name for name in CONTESTED if getattr(contested, name) is not None)
    said = contested.model_dump(mode="json", exclude_none=True)[kind]
    if isinstance(said, str):
        return f"line {said}"
    if kind == "measurement":
        return f"measurement {said['id']} of {said['source']}"
    of = " of ".join(said[name] for name in ("metric", "subject") if name in said)
    if kind == "figure":
        return f"figure {of}"
    return f"absence of {of} from {said['window']['start']} to {said['window']['end']}"


async def amount_of(connection: Connection, statement: DatabaseRow, line: str) -> int | None:
    """What a line of a statement comes to, in minor units; None: it has no line of that name."""
    found: int | None = await connection.fetchval(
        "select minor_units from statement_line"
        " where agreement = $1 and period = $2 and revision = $3 and line = $4",
        statement["agreement"],
        statement["period"],
        statement["revision"],
        line,
    )
    return found


async def open_dispute(
    connection: Connection, agreement: str, period: str, contested: Contested
) -> UUID | None:
    """The undecided dispute about a thing. Keeps others from raising one meanwhile.

    The lock also makes positions follow the order of commits.
    """
    await connection.execute("lock table dispute in share row exclusive mode")
    found: UUID | None = await connection.fetchval(
        "select dispute_id from open_dispute where agreement = $1 and period = $2 and thing = $3",
        agreement,
        period,
        thing(contested),
    )
    return found


async def how_many(
    connection: Connection, agreement: str, period: str, contested: Contested
) -> int:
    """How many disputes about a thing there were, whatever became of them."""
    line = contested.line
    found: int = await connection.fetchval(
        "select count(*) from dispute where agreement = $1 and period = $2"
        " and line is not distinct from $3 and about is not distinct from $4",
        agreement,
        period,
        line,
        None if line is not None else _about(contested),
    )
    return found


async def insert(connection: Connection, new: NewDispute) -> None:
    """Write down a dispute; its first event follows in the same transaction."""
    line = new.contested.line
    await connection.execute(
        "insert into dispute (dispute_id, agreement, vendor, buyer, period, revision, line, about,"
        " metric, effect, error, raised_by, withholds_minor, disputed_minor, currency)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        new.dispute_id,
        new.agreement,
        new.vendor,
        new.buyer,
        new.period,
        new.revision,
        line,
        None if line is not None else _about(new.contested),
        new.metric,
        new.effect,
        new.error,
        new.raised_by,
        *(astuple(new.withholds) if new.withholds is not None else (None, None, None)),
    )
    await connection.execute(
        "insert into open_dispute (dispute_id, agreement, period, thing) values ($1, $2, $3, $4)",
        new.dispute_id,
        new.agreement,
        new.period,
        thing(new.contested),
    )


async def hold(connection: Connection, dispute_id: UUID) -> None:
    """Lock a dispute, so that two acts follow each other."""
    await connection.execute(
        "select from dispute where dispute_id = $1 for no key update", dispute_id
    )


async def add_event(
    connection: Connection,
    dispute_id: UUID,
    *,
    act: DisputeAct | None,
    state: DisputeState,
    actor: str,
    comment: str,
) -> None:
    """Add a step to a dispute's history."""
    await connection.execute(
        "insert into dispute_event (dispute_id, number, act, state, actor, comment)"
        " select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5"
        "   from dispute_event where dispute_id = $1",
        dispute_id,
        act.value if act is not None else None,
        state.value,
        actor,
        comment,
    )
    if state not in OPEN:
        await connection.execute("delete from open_dispute where dispute_id = $1", dispute_id)


async def disputes(
    connection: Connection,
    scope: tuple[str | None, str | None],
    *,
    agreement: str | None,
    state: DisputeState | None,
    after: int,
    limit: int,
) -> list[DatabaseRow]:
    """Disputes in the order in which they were raised."""
    rows: list[DatabaseRow] = await connection.fetch(
        f"select * from ({_DISPUTE}) d where position > $3"  # noqa: S608
        " and ($4::text is null or agreement = $4) and ($5::text is null or state = $5)"
        " order by position limit $6",
        *scope,
        after,
        agreement,
        state.value if state is not None else None,
        limit,
    )
    return rows


def name_of(row: DatabaseRow) -> str:
    """What a dispute is called where it cannot be read."""
    return f"dispute {row['dispute_id']}"


async def of_period(
    connection: Connection, agreement: str, period: str
) -> tuple[list[Dispute], list[str]]:
    """All disputes of a period, in the order in which they were raised; the names of those that
    this release cannot read."""
    rows = await connection.fetch(
        f"{_DISPUTE} and d.agreement = $3 and d.period = $4 order by position",
        None,
        None,
        agreement,
        period,
    )
    return readable(rows, from_row, name_of)


async def several(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Dispute]:
    """Disputes by their ids, as far as this release can read them."""
    rows = await connection.fetch(
        f"{_DISPUTE} and d.dispute_id = any($3::uuid[])", None, None, list(ids)
    )
    found, _ = readable(rows, from_row, name_of)
    return {one.dispute_id: one for one in found}


async def dispute(
    connection: Connection, scope: tuple[str | None, str | None], dispute_id: UUID
) -> DatabaseRow | None:
    """One dispute."""
    return await connection.fetchrow(f"{_DISPUTE} and d.dispute_id = $3", *scope, dispute_id)
