"""`earnback close`, `statements`, `explain`: what a running earnback settled."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from services.cli.commands.common import (
    REFUSED,
    AsJson,
    RevisionOption,
    check_period,
    client_of_running,
    fail,
)
from services.cli.commands.looking import statement_of
from services.cli.terminal import document, echo


def close(
    agreement: str,
    period: Annotated[
        str, typer.Argument(help="Such as 2025-01, or 2025-01..2025-03 for several, in order.")
    ],
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit.")] = None,
) -> None:
    """Close a period now, whatever the watermark says; or look again at a closed one.

    Shows the statement, or what it waits for. Of several periods the first that is refused ends it.
    """
    from services.cli.books import labels_of

    with client_of_running() as client:
        for label in labels_of(period):
            _close(client, agreement, label, reason)


def _close(client: Any, agreement: str, period: str, reason: str | None) -> None:
    from services.cli import books, show

    order = client.close_period(agreement, period, reason)
    detail = f": {order['detail']}" if order.get("detail") else ""
    echo(f"{agreement} {period}: {order['outcome']}{detail}")
    if order["outcome"] in ("refused", "alarm"):
        raise typer.Exit(REFUSED)
    waits = books.waits_after_close(client, order)
    if waits is not None:
        echo(waits)
        return
    found = books.statement(client, agreement, period, None)
    show.statement(statement_of(found["statement"]), found["revision"])
    show.due(found)


def statements(
    agreement: Annotated[str | None, typer.Argument()] = None,
    period: Annotated[str | None, typer.Argument()] = None,
    revision: RevisionOption = None,
    as_json: AsJson = False,
) -> None:
    """List statements, or show one."""
    from services.cli import books, show

    if period:
        check_period(period, "earnback statements AGREEMENT PERIOD")
    with client_of_running() as client:
        if agreement and period:
            if as_json:
                document(books.document(client, agreement, period, revision).decode())
                return
            found = books.statement(client, agreement, period, revision)
            show.statement(statement_of(found["statement"]), found["revision"])
            show.due(found)
            show.revisions(books.history(client, agreement, period))
            return
        if revision is not None:
            fail("--revision: it counts those of one period; name agreement and period", REFUSED)
        rows = books.statements(client, agreement)
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.statements(rows)
    else:
        echo("there are no statements; periods that are closed and wait: earnback pending")


def explain(
    agreement: str,
    period: str,
    line: str,
    revision: RevisionOption = None,
    events: Annotated[
        bool, typer.Option("--events", help="List all events behind it instead, one a line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Lead one amount back to rule, contract version, figures, windows and event ids.

    The events are those that were counted, whenever they lie, and the corrections of these.
    """
    from services.cli import books, show

    check_period(period, "earnback explain AGREEMENT PERIOD LINE")
    with client_of_running() as client:
        if events:
            for event in books.events_behind(client, agreement, period, line, revision):
                echo(json.dumps(event) if as_json else show.event_line(event))
            return
        found = books.explanation(client, agreement, period, line, revision)
    if as_json:
        echo(json.dumps(found, indent=1))
    else:
        show.explanation(found)
