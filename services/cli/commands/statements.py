"""`earnback close`, `statements`, `explain`: what a running earnback settled."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from services.cli.commands.common import REFUSED, AsJson, RevisionOption, client_of_running, fail


def close(agreement: str, period: str) -> None:
    """Close a period now, whatever the watermark says; or look again at a closed one.

    Tells what the statement comes to, or what it waits for.
    """
    from services.cli.books import after_close

    with client_of_running() as client:
        order = client.close_period(agreement, period)
        detail = f": {order['detail']}" if order.get("detail") else ""
        typer.echo(f"{agreement} {period}: {order['outcome']}{detail}")
        if order["outcome"] in ("refused", "alarm"):
            raise typer.Exit(REFUSED)
        typer.echo(after_close(client, order))


def statements(
    agreement: Annotated[str | None, typer.Argument()] = None,
    period: Annotated[str | None, typer.Argument()] = None,
    revision: RevisionOption = None,
    as_json: AsJson = False,
) -> None:
    """List statements, or show one."""
    from services.cli import books, show

    with client_of_running() as client:
        if agreement and period:
            if as_json:
                typer.echo(books.document(client, agreement, period, revision).decode())
                return
            found = books.statement(client, agreement, period, revision)
            show.statement(_statement(found["statement"]), found["revision"])
            show.revisions(books.history(client, agreement, period))
            return
        if revision is not None:
            fail("--revision: it counts those of one period; name agreement and period", REFUSED)
        rows = books.statements(client, agreement)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        show.statements(rows)


def explain(
    agreement: str,
    period: str,
    line: str,
    revision: RevisionOption = None,
    as_json: AsJson = False,
) -> None:
    """Lead one amount back to rule, contract version, figures, windows and event ids."""
    from services.cli import books, show

    with client_of_running() as client:
        found = books.explanation(client, agreement, period, line, revision)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show.explanation(found)


def _statement(body: dict[str, Any]) -> Any:
    from schemas.statement import SettlementStatement

    return SettlementStatement.model_validate_json(json.dumps(body))
