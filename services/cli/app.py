"""The command `earnback`: its commands put together, and how it ends."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands import (
    audit,
    contracts,
    disputes,
    events,
    example,
    holidays,
    keys,
    looking,
    offline,
    proposals,
    requests,
    restatements,
    running,
    statements,
    verify,
    violations,
)
from services.cli.commands.common import CANNOT, REFUSED, fail
from services.cli.terminal import complain, echo

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Settles the service levels of many vendors: what each owes, to the cent, and why.",
)
app.add_typer(contracts.contract, name="contract")
app.add_typer(violations.violation, name="violation")
app.add_typer(keys.key, name="key")
app.add_typer(disputes.dispute, name="dispute")
app.add_typer(proposals.proposal, name="proposal")
app.add_typer(requests.request, name="request")
app.add_typer(example.example, name="example")
for command in (
    running.demo,
    running.up,
    running.env,
    running.prepare,
    running.recover,
    offline.goal,
    holidays.holidays,
    events.submit,
    statements.close,
    statements.statements,
    statements.explain,
    restatements.restate,
    looking.preview,
    looking.pending,
    looking.corrections,
    looking.quarantine,
    looking.usage,
    looking.balances,
    audit.audit,
    verify.verify,
    offline.settle,
):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        echo(f"earnback {version('earnback')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Settles the service levels of many vendors: what each owes, to the cent, and why."""


def main() -> None:
    """Run the command; end every expected failure with a sentence instead of a trace."""
    try:
        app()
    except Exception as error:
        _end_with(error)


def _end_with(error: Exception) -> None:
    # Imported late: a command must be able to hear a signal before it has read half the project.
    from services.cli.files import Faulty
    from services.shell.settings import BadSettings

    if isinstance(error, Faulty):
        complain(str(error))  # each line names its own place
        sys.exit(REFUSED)
    if isinstance(error, ValueError | BadSettings):
        fail(str(error), REFUSED)
    if isinstance(error, OSError | RuntimeError):
        fail(str(error), CANNOT)
    fail(_unforeseen(error), CANNOT)


def _unforeseen(error: Exception) -> str:
    """A defect of ours, in a sentence: what was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return (
        f"{type(error).__name__}{where}: {error}. This was not foreseen, and is a defect of "
        "earnback: report this line, with the command and the files that it was given"
    )


if __name__ == "__main__":
    main()
