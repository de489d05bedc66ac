"""`earnback demo`, `up`, `prepare` and `recover`: start what runs, or bring servers up to date."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.common import REFUSED, fail
from services.cli.terminal import echo

if TYPE_CHECKING:
    from infra.cluster import Prepared

LOST = 70
"""Exit code of `up` where a server is given up."""


LEFT = 3
"""Exit code of `prepare` and `recover` where something is not as declared and was left so."""


def demo(
    keep: Annotated[
        bool, typer.Option(help="Leave everything running afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Three vendors, one quarter: from events to statements on real Kafka and Postgres."""
    _stop_at_once()
    from services.cli.demo import run

    run(keep=keep)


def up(
    evaluators: Annotated[int, typer.Option(min=1)] = 1,
    settlements: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Start everything and keep it running until Ctrl-C. Data stays in EARNBACK_HOME."""
    _stop_at_once()
    from contextlib import ExitStack, suppress

    from infra.supervisor import stop_on_signals
    from services.cli import show
    from services.cli.stack import Interrupted, Workers, announced, home, stack

    asked = stop_on_signals()
    workers = Workers(evaluator=evaluators, settlement=settlements)
    with suppress(Interrupted), ExitStack() as running:
        with show.bars() as report:
            started = stack(home(), workers=workers, progress=report, asked=asked, say=typer.echo)
            started_stack = running.enter_context(started)
        where = started_stack.addresses
        running.enter_context(announced(home(), where))
        show.out.print(f"ingest      {where.ingest}/openapi.json")
        show.out.print(f"settlement  {where.settlement}/openapi.json")
        show.out.print(f"Kafka       {where.kafka}")
        show.out.print(f"logs        {home() / 'logs'}")
        show.out.print("Ctrl-C stops everything. Other commands find it by themselves.")
        show.out.print('For curl and other programs, in another terminal: eval "$(earnback env)"')
        while not asked.wait(0.5):
            if started_stack.keeper.gave_up:
                running.close()
                fail(started_stack.keeper.gave_up, LOST)
    show.out.print("Stopped.")


def env() -> None:
    """Print the exports that other programs need: eval "$(earnback env)".

    Addresses of the earnback that runs, and its operator's key.
    """
    from dataclasses import asdict
    from shlex import quote

    from services.cli.where import reached, variable

    where = reached("ingest", "settlement", "key")
    for name, value in asdict(where).items():
        if value:
            echo(f"export {variable(name)}={quote(value)}")


def _stop_at_once() -> None:
    """Until something runs that must be stopped in order, a signal simply ends the command."""

    def end(number: int, frame: object) -> None:
        echo("Stopped.")
        os._exit(0)  # an exception would be taken for a failure of whatever is being imported

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def prepare(
    profile: Annotated[str, typer.Option(help="trial or production.")] = "trial",
    kafka: Annotated[str, typer.Option(envvar="EARNBACK_KAFKA")] = "",
    postgres: Annotated[str, typer.Option(envvar="EARNBACK_POSTGRES")] = "",
    grow_partitions: Annotated[bool, typer.Option(help="Read infra/README.md first.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and changed; change nothing.")
    ] = False,
) -> None:
    """Bring tables, roles and topics of given servers up to date. Safe to repeat.

    Ends with 3 where something is left that is not as declared, and says what.
    """
    from services.cli.prepare import prepare as bring_up_to_date
    from services.shell.settings import read_prefix

    if not kafka or not postgres:
        fail("set EARNBACK_KAFKA and EARNBACK_POSTGRES to the servers to prepare", REFUSED)
    if profile not in ("trial", "production"):
        fail(f"--profile {profile}: choose trial or production", REFUSED)
    work = bring_up_to_date(
        kafka,
        postgres,
        profile,  # type: ignore[arg-type]
        prefix=read_prefix(),
        grow_partitions=grow_partitions,
        dry_run=dry_run,
    )
    _tell(asyncio.run(work))


def recover(
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only compare the topics with the database."),
    ] = False,
) -> None:
    """Make a database that was restored from a backup go on where the topics are.

    Stop the processes first. Ends with 3 where something needs a person, and says what.
    """
    from services.cli.recover import recover as go_on

    _tell(asyncio.run(go_on(dry_run=dry_run)))


def _tell(found: Prepared) -> None:
    """Say what was done, and what was left on stderr. Ends with 3 where anything was."""
    for done in found.done:
        echo(done)
    for left in found.left:
        echo(left, err=True)
    if found.left:
        raise typer.Exit(LEFT)
