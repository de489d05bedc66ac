"""The SQL of disputes."""

from __future__ import annotations

import json
from uuid import UUID

from schemas.dispute import Dispute, DisputeAct, DisputeEvent, DisputeState
from services.settlement.queries import DatabaseRow
from services.shell.postgres import Connection

_DISPUTE = """
    select d.dispute_id, d.position, d.agreement, d.vendor, d.period, d.revision, d.line,
           (select json_agg(json_build_object('act', e.act, 'state', e.state, 'actor', e.actor,
                            'comment', e.comment, 'at', e.recorded_at) order by e.number)
              from dispute_event e where e.dispute_id = d.dispute_id) as history,
           (select e.state from dispute_event e where e.dispute_id = d.dispute_id
             order by e.number desc limit 1) as state
      from dispute d
     where ($1::text is null or d.vendor = $1) and ($2::text is null or d.buyer = $2)
"""


def from_row(row: DatabaseRow) -> Dispute:
    """A dispute with its history."""
    history = tuple(DisputeEvent.model_validate(each) for each in json.loads(row["history"]))
    return Dispute(
        history=history,
        state=history[-1].state,
        **{
            name: row[name]
            for name in ("dispute_id", "agreement", "vendor", "period", "revision", "line")
        },
    )


async def has_line(connection: Connection, statement: DatabaseRow, line: str) -> bool:
    """Whether a statement has a line of that name."""
    found = await connection.fetchval(
        "select true from statement_line"
        " where agreement = $1 and period = $2 and revision = $3 and line = $4",
        statement["agreement"],
        statement["period"],
        statement["revision"],
        line,
    )
    return bool(found)


async def open_dispute(connection: Connection, statement: DatabaseRow, line: str) -> UUID | None:
    """The dispute of a line that has not come to its end. Keeps others from raising one meanwhile.

    The lock also makes positions follow the order of commits.
    """
    await connection.execute("lock table dispute in share row exclusive mode")
    found: UUID | None = await connection.fetchval(
        f"select dispute_id from ({_DISPUTE}) d where agreement = $3 and period = $4"  # noqa: S608
        " and line = $5 and state in ('raised', 'under_review')",
        None,
        None,
        statement["agreement"],
        statement["period"],
        line,
    )
    return found


async def insert(
    connection: Connection, dispute_id: UUID, statement: DatabaseRow, line: str
) -> None:
    """Write down a dispute; its first event follows in the same transaction."""
    await connection.execute(
        "insert into dispute (dispute_id, agreement, vendor, buyer, period, revision, line)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        dispute_id,
        statement["agreement"],
        statement["vendor"],
        statement["buyer"],
        statement["period"],
        statement["revision"],
        line,
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


async def dispute(
    connection: Connection, scope: tuple[str | None, str | None], dispute_id: UUID
) -> DatabaseRow | None:
    """One dispute."""
    return await connection.fetchrow(f"{_DISPUTE} and d.dispute_id = $3", *scope, dispute_id)
