"""`earnback example`: the example of the API's page, ready in one command."""

from __future__ import annotations

import typer

from services.cli.commands.common import client_of_running
from services.cli.terminal import echo

example = typer.Typer(no_args_is_help=True, help="The example of docs/settlement-api.md.")


@example.callback()
def _example() -> None:
    """The example of docs/settlement-api.md."""


@example.command("load")
def load() -> None:
    """Load the example, and print exports of its three keys: eval "$(earnback example load)".

    It applies the contract `hosting`, submits its events and closes January. Safe to repeat.
    """
    from services.cli.loading import load_example
    from services.cli.where import reached

    where = reached("kafka", "postgres", "ingest", "settlement", "key")
    with client_of_running() as client:
        for line in load_example(where, client, lambda said: echo(said, err=True)):
            echo(line)
