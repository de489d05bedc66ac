"""`earnback audit`: who changed what, when and why."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from services.cli.commands.common import AsJson, client_of_running
from services.cli.terminal import echo


def audit(
    agreement: Annotated[str | None, typer.Option(help="Only changes of this agreement.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this kind, as key-revoked.")] = None,
    as_json: AsJson = False,
) -> None:
    """Who changed what, when and why: contracts, keys, closes, requests, disputes."""
    from services.cli import show

    given = {"agreement": agreement, "action": action}
    with client_of_running() as client:
        rows = list(client.items("/v1/audit", **{k: v for k, v in given.items() if v}))
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.table(("at", "action", "of", "about", "who", "reason"), map(_cells, rows))
    else:
        echo("no change is written down")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    of = " ".join(filter(None, (row["agreement"] or row["programme"], row["period"])))
    who = ", ".join(filter(None, (row["party"], row["role"], row["key"], row["person"])))
    return row["at"][:19], row["action"], of or "-", row["about"], who, row["reason"] or ""
