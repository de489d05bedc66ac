"""What of disputed lines is not due: worked out, written down and told to finance with each change.

The head of the book is locked first, as by everything that publishes: what is withheld follows the
revisions of the statement, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from schemas.finance import WithholdingChanged
from schemas.money import amount_text
from services.core.books.withholding import withheld
from services.settlement.finance_events import SettlementTopics, withholding_event
from services.shell.outbox import Outgoing, enqueue_many
from services.shell.postgres import Connection

Because = Literal["raised", "revised", "ended"]

_STANDS = """
    select d.dispute_id, d.agreement, d.period, d.line, d.vendor, d.buyer, d.raised_by, d.currency,
           d.withholds_minor, d.disputed_minor, s.programme, s.currency as posted_in,
           coalesce(l.minor_units, 0) as posted,
           coalesce(w.withheld_minor, 0) as withheld, coalesce(w.number, 0) as number
      from dispute d
      join lateral (select programme, currency, revision from statement
                     where agreement = d.agreement and period = d.period
                     order by revision desc limit 1) s on true
      left join statement_line l on (l.agreement, l.period, l.revision, l.line)
                                  = (d.agreement, d.period, s.revision, d.line)
      left join lateral (select withheld_minor, number from withholding
                          where dispute_id = d.dispute_id order by number desc limit 1) w on true
     where d.withholds_minor is not null
"""


async def change_withheld(
    connection: Connection,
    dispute_id: UUID,
    because: Because,
    *,
    topics: SettlementTopics,
    at: datetime,
) -> None:
    """Withhold what a dispute withholds from now on, and tell finance where that is a change."""
    await connection.execute("select from book_head for no key update")
    row = await connection.fetchrow(f"{_STANDS} and d.dispute_id = $1", dispute_id)
    told = await _changed(connection, row, because, at)
    await enqueue_many(connection, topics.settlements, told)


async def after_posting(
    connection: Connection, periods: Sequence[tuple[str, str]], *, at: datetime
) -> list[Outgoing]:
    """What finance is to be told, after new revisions were posted, of lines still in dispute.

    ``periods``: agreement and period of each. The caller holds the head of the book.
    """
    rows = await connection.fetch(
        f"{_STANDS} and d.dispute_id in (select dispute_id from open_dispute"  # noqa: S608
        " join unnest($1::text[], $2::text[]) as posted(agreement, period)"
        " using (agreement, period)) order by d.position",
        [agreement for agreement, _ in periods],
        [period for _, period in periods],
    )
    return [one for row in rows for one in await _changed(connection, row, "revised", at)]


async def _changed(
    connection: Connection, row: Any, because: Because, at: datetime
) -> list[Outgoing]:
    """Write a change down. Nothing where what is withheld stays as it is."""
    now = 0
    # In another currency the effect that was stated says nothing of the line.
    if because != "ended" and row["posted_in"] == row["currency"]:
        now = withheld(
            row["raised_by"],
            effect=row["withholds_minor"],
            disputed=row["disputed_minor"],
            posted=row["posted"],
        )
    if now == row["withheld"]:
        return []
    change = _told(row, because, now)
    await connection.execute(
        "insert into withholding (dispute_id, number, agreement, period, line, vendor, buyer,"
        " currency, because, line_minor, withheld_minor, difference_minor, recorded_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        change.dispute_id,
        change.number,
        change.agreement,
        change.period,
        change.line,
        change.vendor,
        change.buyer,
        change.currency,
        because,
        change.line_minor,
        change.withheld_minor,
        change.difference_minor,
        at,
    )
    return [withholding_event(change, at=at)]


def _told(row: Any, because: Because, now: int) -> WithholdingChanged:
    currency, posted = row["currency"], row["posted"]
    if row["posted_in"] != currency:
        posted = 0  # nothing of the line is in the currency that was withheld
    names = ("programme", "agreement", "vendor", "buyer", "period", "line", "dispute_id")
    return WithholdingChanged(
        **{name: row[name] for name in names},
        number=row["number"] + 1,
        because=because,
        currency=currency,
        line_minor=posted,
        withheld_minor=now,
        difference_minor=now - row["withheld"],
        due_minor=posted - now,
        withheld=amount_text(now, currency),
        due=amount_text(posted - now, currency),
    )
