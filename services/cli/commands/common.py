"""What the commands share: options, exit codes, the client, how faults are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.terminal import complain, document, echo

REFUSED = 1
"""Exit code: something that was handed in is wrong; the output says what."""
CANNOT = 70
"""Exit code: the command could not do its work."""

ContractPath = Annotated[
    Path, typer.Argument(help="A contract file, or a folder of them; - reads standard input.")
]
Files = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]
ContractFilesOption = Annotated[
    list[Path],
    typer.Argument(help="Contract files or folders; - reads standard input.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
RevisionOption = Annotated[int | None, typer.Option(min=1, help="Absent: the latest.")]


def fail(text: str, code: int) -> None:
    """Print what is wrong and end the process with an exit code."""
    complain(f"earnback: {text}")
    sys.exit(code)


def check_period(text: str, usage: str) -> None:
    """End the process where a text is no period, with how the command is used."""
    from schemas.period import period_length

    try:
        period_length(text)
    except ValueError as error:
        fail(f"{error}. Usage: {usage}", REFUSED)


def print_rejected(events: Iterable[Any]) -> None:
    """Print the events that do not count, with place and reason, to stderr; many equal as one."""
    from services.cli.grouped import grouped

    for line in grouped(line for aside in events for line in aside.lines()):
        echo(line, err=True)


def print_made(text: str, told: Iterable[str]) -> None:
    """Print what was made to stdout and what goes with it, such as losses, to stderr."""
    for line in told:
        echo(line, err=True)
    document(text, nl=False)


def print_made_of_many(made: Any) -> None:
    """The same of several documents. Ends the process where one is refused."""
    print_made(made.text, [*made.refused, *made.lost])
    if made.refused:
        raise typer.Exit(REFUSED)


@contextmanager
def client_of_running() -> Iterator[Any]:
    """A client of the earnback that runs, closed at the end. Raises NothingRuns where none does."""
    from services.cli.client import Client
    from services.cli.person import named_person
    from services.cli.where import reached

    where = reached("ingest", "settlement", "key")
    client = Client(
        ingest=where.ingest, settlement=where.settlement, key=where.key, person=named_person()
    )
    try:
        yield client
    finally:
        client.close()
