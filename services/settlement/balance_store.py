"""What accounts stand at: kept with each posting, and read at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from schemas.ledger_entry import LedgerEntry
from services.settlement.queries import DatabaseRow
from services.shell.postgres import Connection

_NOTE = """
    with delta as (
        select * from unnest($1::text[], $2::text[], $3::bpchar[], $4::text[], $5::numeric[])
                   as d(vendor, buyer, currency, account, amount)
    ), opened as (
        insert into account select vendor, buyer, currency, account from delta
        on conflict do nothing
    )
    insert into account_balance
        (vendor, buyer, currency, account, position, minor_units, recorded_at)
    select d.vendor, d.buyer, d.currency, d.account,
           $6, d.amount + coalesce(last.minor_units, 0), $7
      from delta d
      left join lateral (
            select minor_units from account_balance b
             where b.vendor = d.vendor and b.buyer = d.buyer and b.currency = d.currency
               and b.account = d.account
             order by position desc limit 1) last on true
"""


async def note(
    connection: Connection,
    booked: Iterable[tuple[str, LedgerEntry]],
    *,
    position: int,
    at: datetime,
) -> None:
    """Keep what accounts stand at after a posting.

    ``booked``: its entries, each with the buyer; ``position``: of the last of them. To be called
    under the lock of the book's head, so that the last balance is the one before.
    """
    delta: Counter[tuple[str, str, str, str]] = Counter()
    for buyer, entry in booked:
        between = entry.vendor, buyer, entry.currency
        delta[*between, entry.debit_account] += entry.minor_units
        delta[*between, entry.credit_account] -= entry.minor_units
    if delta:
        columns = ([key[column] for key in delta] for column in range(4))
        await connection.execute(_NOTE, *columns, list(delta.values()), position, at)


async def balances(
    connection: Connection,
    scope: tuple[str | None, str | None],
    *,
    vendor: str | None,
    as_of: datetime | None,
) -> list[DatabaseRow]:
    """Debits minus credits by vendor, buyer, currency and account.

    ``scope``: vendor and buyer whose accounts are asked for, None for everyone's.
    """
    rows: list[DatabaseRow] = await connection.fetch(
        "select a.vendor, a.buyer, a.currency, a.account, b.minor_units"
        "  from account a cross join lateral ("
        "    select minor_units from account_balance b"
        "     where b.vendor = a.vendor and b.buyer = a.buyer and b.currency = a.currency"
        "       and b.account = a.account and ($4::timestamptz is null or recorded_at < $4)"
        "     order by position desc limit 1) b"
        " where ($1::text is null or vendor = $1) and ($2::text is null or buyer = $2)"
        "   and ($3::text is null or vendor = $3)"
        " order by 1, 2, 3, 4",
        *scope,
        vendor,
        as_of,
    )
    return rows


async def unlike_the_ledger(connection: Connection) -> DatabaseRow | None:
    """The first account whose last balance is not the sum of its entries, with both amounts; None
    where there is none. Reads the whole book."""
    return await connection.fetchrow(
        "with summed as (select vendor, buyer, currency, side.account, sum(side.amount) as amount"
        "    from ledger_entry cross join lateral"
        "         (values (debit_account, minor_units), (credit_account, -minor_units))"
        "         as side(account, amount) group by 1, 2, 3, 4),"
        " kept as (select distinct on (vendor, buyer, currency, account) vendor, buyer, currency,"
        "    account, minor_units from account_balance"
        "   order by vendor, buyer, currency, account, position desc)"
        " select vendor, buyer, currency, account, coalesce(minor_units, 0) as kept,"
        "        coalesce(amount, 0) as summed"
        "   from summed full join kept using (vendor, buyer, currency, account)"
        "  where minor_units is distinct from amount order by 1, 2, 3, 4 limit 1"
    )
