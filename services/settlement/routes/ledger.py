"""The ledger: entries, balances, and the runs that booked them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from itertools import groupby
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from schemas.base import Instant
from schemas.finance import EntryBooked
from schemas.ledger_entry import SettlementRun
from schemas.money import MoneyAmount, amount_text
from services.core.books.ledger import vendor_account
from services.settlement import balance_store, queries
from services.settlement.access import BookReaderPrincipal, Principal, not_found
from services.settlement.queries import DatabaseRow
from services.settlement.responses import (
    AccountBalance,
    Balances,
    EntryAnswer,
    Page,
    RunAnswer,
    RunSummary,
    VendorBalance,
)
from services.settlement.routes.common import (
    Cursor,
    IfNoneMatch,
    InPeriod,
    PageSize,
    listed,
    page,
    parts_of,
    router,
    shown,
)
from services.settlement.routes.statements import statement_summary

routes = router("ledger")


AsOf = Annotated[
    Instant | None,
    Query(description="As the book stood before this moment (RFC 3339 with offset). Absent: now."),
]


def entry_answer(asker: Principal, row: DatabaseRow) -> EntryAnswer:
    """An entry as it was booked."""
    stored = {name: row[name] for name in EntryBooked.model_fields if name != "amount"}
    return EntryAnswer(
        **{**stored, "position": asker.book_position(row["position"])},
        amount=amount_text(row["minor_units"], row["currency"]),
        recorded_at=row["recorded_at"],
    )


@routes.get("/ledger-entries", response_model=Page[EntryAnswer])
async def list_entries(
    request: Request,
    asker: BookReaderPrincipal,
    vendor: str | None = None,
    agreement: str | None = None,
    period: InPeriod = None,
    line: str | None = None,
    run_id: UUID | None = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List entries in the order of the book. A walk shows the book as it stood when it began."""
    asker.check_filters(agreement, vendor)
    scope = listed("entries", *asker.scope, vendor, agreement, period, line, run_id)
    async with parts_of(request).reading(asker) as connection:
        cut, after = (
            parts_of(request).seal.keys(scope, cursor, [int, int])
            if cursor
            else (await queries.book_position(connection), 0)
        )
        rows = await queries.entries(
            connection,
            asker.scope,
            agreement=agreement,
            period=period,
            vendor=vendor,
            line=line,
            run_id=run_id,
            after=after,
            cut=cut,
            limit=limit + 1,
        )
    return page(
        request,
        rows,
        partial(entry_answer, asker),
        limit=limit,
        scope=scope,
        keys=lambda row: (cut, row["position"]),
        named=lambda row: f"ledger entry {row['entry_id']}",
    )


@routes.get("/ledger-entries/{entry_id}", response_model=EntryAnswer)
async def get_entry(
    request: Request, asker: BookReaderPrincipal, entry_id: UUID, if_none_match: IfNoneMatch = None
) -> Response:
    """Show one entry."""
    async with parts_of(request).reading(asker) as connection:
        row = await queries.entry(connection, asker.scope, entry_id)
    if row is None:
        raise not_found(f"ledger entry {entry_id}")
    return shown(request, entry_answer(asker, row))


@routes.get("/balances", response_model=Balances)
async def get_balances(
    request: Request, asker: BookReaderPrincipal, vendor: str | None = None, as_of: AsOf = None
) -> Response:
    """Tell who owes what: per vendor, buyer and currency, now or at a past moment."""
    asker.check_filters(vendor=vendor)
    async with parts_of(request).reading(asker) as connection:
        position = await queries.book_position(connection)
        rows = await balance_store.balances(connection, asker.scope, vendor=vendor, as_of=as_of)
        withheld = await queries.withheld(connection, asker.scope, vendor=vendor, as_of=as_of)
    between = groupby(rows, key=lambda row: (row["vendor"], row["buyer"], row["currency"]))
    items = tuple(_balance(*key, list(accounts), withheld.get(key, 0)) for key, accounts in between)
    return shown(
        request, Balances(position=asker.book_position(position), as_of=as_of, items=items)
    )


def _balance(
    vendor: str, buyer: str, currency: str, rows: Sequence[DatabaseRow], withheld: int
) -> VendorBalance:
    held = {row["account"]: int(row["minor_units"]) for row in rows}
    assert sum(held.values()) == 0, f"the books of {vendor} and {buyer} do not balance"
    owed = held[vendor_account(vendor)]
    return VendorBalance(
        vendor=vendor,
        buyer=buyer,
        owes="vendor" if owed > 0 else "buyer" if owed < 0 else "nobody",
        owed=MoneyAmount.of(abs(owed), currency),
        withheld=MoneyAmount.of(withheld, currency),
        due=MoneyAmount.of(owed - withheld, currency),
        accounts=tuple(
            AccountBalance(account=account, balance=MoneyAmount.of(amount, currency))
            for account, amount in held.items()
        ),
    )


def _run_fields(row: DatabaseRow, seen: Collection[str]) -> dict[str, object]:
    """``seen``: the agreements that the asker may see; the name of another one is left out."""
    extra = ("recorded_at", "statements", "entries")
    fields = {name: row[name] for name in (*SettlementRun.model_fields, *extra)}
    return fields if row["caused_by"] in seen else {**fields, "caused_by": None}


@routes.get("/runs", response_model=Page[RunSummary])
async def list_runs(
    request: Request,
    asker: BookReaderPrincipal,
    agreement: str | None = None,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> Response:
    """List settlement runs by agreement and number."""
    asker.check_filters(agreement)
    seen = asker.agreements()
    names = [agreement] if agreement is not None else seen
    scope = listed("runs", *asker.scope, agreement)
    after = parts_of(request).seal.keys(scope, cursor, [str, int]) if cursor else ("", 0)
    async with parts_of(request).reading(asker) as connection:
        rows = await queries.runs(connection, names, after=(after[0], after[1]), limit=limit + 1)
    return page(
        request,
        rows,
        lambda row: RunSummary.model_validate(_run_fields(row, seen)),
        limit=limit,
        scope=scope,
        keys=lambda row: (row["agreement"], row["number"]),
        named=lambda row: f"settlement run {row['run_id']}",
    )


@routes.get("/runs/{run_id}", response_model=RunAnswer)
async def get_run(
    request: Request, asker: BookReaderPrincipal, run_id: UUID, if_none_match: IfNoneMatch = None
) -> Response:
    """Show a run and the statements that it posted."""
    async with parts_of(request).reading(asker) as connection:
        row = await queries.run(connection, run_id)
        if row is None or row["agreement"] not in asker.agreements():
            raise not_found(f"settlement run {run_id}")
        posted = await queries.statements_of_run(connection, run_id)
    return shown(
        request,
        RunAnswer.model_validate(
            {
                **_run_fields(row, asker.agreements()),
                "posted": tuple(statement_summary(asker, each) for each in posted),
            }
        ),
    )
