"""`earnback dispute`: contest a line of a statement, and decide on it."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.cli.commands.common import AsJson, RevisionOption, client_of_running
from services.cli.terminal import echo

dispute = typer.Typer(no_args_is_help=True, help="Disputes of lines of statements.")
Comment = Annotated[str, typer.Argument(help="The reason, in words.")]


@dispute.command("list")
def list_disputes(as_json: AsJson = False) -> None:
    """List disputes, with the state of each."""
    from services.cli import show

    with client_of_running() as client:
        rows = list(client.items("/v1/disputes"))
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.table(("dispute", "agreement", "period", "line", "state"), map(_cells, rows))
    else:
        echo("there are no disputes")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return row["dispute_id"], row["agreement"], row["period"], row["line"], row["state"]


@dispute.command("raise")
def raise_dispute(
    agreement: str, period: str, line: str, comment: Comment, revision: RevisionOption = None
) -> None:
    """Contest a line of a statement, with a vendor's key. Prints the number of the dispute."""
    order = {"agreement": agreement, "period": period, "line": line, "comment": comment}
    with client_of_running() as client:
        made = client.post(
            "/v1/disputes", order if revision is None else {**order, "revision": revision}
        )
    echo(f"{made['dispute_id']}  {made['state']}")


@dispute.command("act")
def act(
    dispute_id: str,
    what: Annotated[
        str, typer.Argument(help="withdraw (vendor); review, uphold or dismiss (buyer).")
    ],
    comment: Comment,
) -> None:
    """Take a dispute one step further."""
    with client_of_running() as client:
        made = client.post(
            f"/v1/disputes/{quote(dispute_id, safe='')}/acts", {"act": what, "comment": comment}
        )
    echo(f"{made['dispute_id']}  {made['state']}")
