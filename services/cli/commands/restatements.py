"""`earnback restate`: what today's rules would settle otherwise, and the order to post it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from services.cli.commands.common import REFUSED, AsJson, client_of_running, fail
from services.cli.terminal import echo


def restate(
    agreement: Annotated[
        str | None, typer.Argument(help="Whose periods; with --dry-run absent: of all agreements.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be posted; post nothing.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Why it is restated; kept with the run.")
    ] = None,
    period: Annotated[
        list[str] | None, typer.Option(help="Only this period; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Restate periods that an earlier release settled otherwise than today's rules would.

    A new release posts nothing by itself: the differences are held until they are ordered here,
    and are posted as a run of its own.
    """
    from services.cli import show
    from services.cli.books import held_restatements, order_restatement

    if dry_run == (reason is not None):
        fail("give --dry-run to look, or --reason with an agreement to restate", REFUSED)
    if reason is not None and agreement is None:
        fail("name the agreement that is to be restated", REFUSED)
    with client_of_running() as client:
        if reason is None:
            held = held_restatements(client, agreement, period or ())
            if as_json:
                echo(json.dumps(held, indent=1))
            else:
                show.held_restatements(held)
            return
        run = order_restatement(client, str(agreement), period or (), reason)
    if as_json:
        echo(json.dumps(run, indent=1))
        return
    echo(f"run {run['number']} of {run['agreement']}, restated by rules {run['rules']}:")
    for each in run["restated"]:
        total = each["total"]
        echo(
            f"{each['period']}: revision {each['revision']}, {total['amount']} {total['currency']}"
        )
