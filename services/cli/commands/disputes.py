"""`earnback dispute`: contest something of a period, and decide on it."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from services.cli.commands.common import (
    REFUSED,
    AsJson,
    RevisionOption,
    check_period,
    client_of_running,
    fail,
)
from services.cli.terminal import echo

dispute = typer.Typer(
    no_args_is_help=True, help="Disputes of lines, figures, measurements, and that there are none."
)
_NAMED = ("dispute_id", "agreement", "period")
_STANDS = ("raised_by", "state")
Comment = Annotated[str, typer.Argument(help="The reason, in words.")]


@dispute.command("list")
def list_disputes(as_json: AsJson = False) -> None:
    """List disputes: what each is about, who raised it, and its state."""
    from services.cli import show

    with client_of_running() as client:
        rows = list(client.items("/v1/disputes"))
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.table(
            ("dispute", "agreement", "period", "about", "by", "state"),
            ((*map(row.get, _NAMED), show.contested(row), *map(row.get, _STANDS)) for row in rows),
        )
    else:
        echo("there are no disputes")


@dispute.command("raise")
def raise_dispute(
    agreement: str,
    period: str,
    comment: Comment,
    line: Annotated[str | None, typer.Option(help="A line of the statement.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="Its figure; with --start and --end: that there is none.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Of the metric. Absent: of all.")] = None,
    start: Annotated[str | None, typer.Option(help="When nothing was reported from.")] = None,
    end: Annotated[str | None, typer.Option(help="When nothing was reported until.")] = None,
    source: Annotated[str | None, typer.Option(help="Source of an event.")] = None,
    event: Annotated[str | None, typer.Option(help="Id of an event of --source.")] = None,
    effect: Annotated[
        str | None, typer.Option(help="By how much the amount is wrong, in main units.")
    ] = None,
    error: Annotated[
        bool | None, typer.Option("--error/--no-error", help="Whether it is an error.")
    ] = None,
    revision: RevisionOption = None,
) -> None:
    """Contest a line, a figure, a measurement or that there is none, as either party.

    Prints the number of the dispute.
    """
    check_period(period, "earnback dispute raise AGREEMENT PERIOD COMMENT --line LINE")
    if (source is None) != (event is None) or (start is None) != (end is None):
        fail("--source and --event go together, and so do --start and --end", REFUSED)
    of_metric = {"metric": metric, "subject": subject}
    absent = start is not None
    order = {
        "agreement": agreement,
        "period": period,
        "comment": comment,
        "line": line,
        "figure": of_metric if metric is not None and not absent else None,
        "absence": {**of_metric, "window": {"start": start, "end": end}} if absent else None,
        "measurement": {"source": source, "id": event} if source is not None else None,
        "effect": effect,
        "error": error,
        "revision": revision,
    }
    with client_of_running() as client:
        made = client.post("/v1/disputes", order)
    echo(f"{made['dispute_id']}  {made['state']}")


@dispute.command("act")
def act(
    dispute_id: str,
    what: Annotated[
        str, typer.Argument(help="withdraw (who raised it); review, uphold or dismiss (the other).")
    ],
    comment: Comment,
) -> None:
    """Take a dispute one step further."""
    with client_of_running() as client:
        made = client.post(
            f"/v1/disputes/{quote(dispute_id, safe='')}/acts", {"act": what, "comment": comment}
        )
    echo(f"{made['dispute_id']}  {made['state']}")
