"""`earnback settle` and `goal`: files and numbers in, figures out, nothing running."""

from __future__ import annotations

import sys
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands.common import (
    REFUSED,
    AsJson,
    ContractPath,
    fail,
    print_rejected,
)
from services.cli.terminal import echo


def goal(
    revenue: Annotated[str, typer.Argument(help="Revenue to reach.")],
    per_deal: Annotated[str, typer.Argument(help="Revenue per deal.")],
    conversion: Annotated[str, typer.Argument(help="Percent of units that become deals.")],
) -> None:
    """From a revenue target to the number of units owed, such as leads per month."""
    from services.core.whatif.goals import units_owed

    found = units_owed(
        _number("REVENUE", revenue),
        _number("PER_DEAL", per_deal),
        _number("CONVERSION", conversion),
    )
    for line in found.steps:
        echo(line)
    echo(f"{found.units} units are owed")


def settle(
    contracts: ContractPath,
    events: Annotated[Path, typer.Argument(help="An event file (JSON, NDJSON, .gz), or a folder.")],
    through: Annotated[
        str | None,
        typer.Option(
            help="Settle periods that end by this day, such as 2025-01-31. Default: the day of "
            "--as-of; one of the two is needed."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Settle as if this day had just ended: to try a contract on past or future events."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Settle files offline: the same figures as the services give, without broker or database.

    Exit code 0: everything is settled. 1: a contract is refused (then nothing is settled), an event
    is rejected or a period waits, such as one that is not over (the rest is settled all the same),
    or an option is wrong. 2: the command is not used as shown here. 70: a file cannot be read or
    the work not be done.
    """
    from services.cli.files import read_contracts, read_events
    from services.cli.offline import settle_files
    from services.shell.clock import now_us

    last = through or as_of
    if last is None:
        fail("settle: give --through DAY, the last day of the periods to settle", REFUSED)
        return
    found = read_contracts([contracts]).in_order()
    outcome = settle_files(
        found,
        read_events([events]),
        _day("--through" if through else "--as-of", last),
        now_us(),
        None if as_of is None else _day("--as-of", as_of),
    )
    print_rejected(outcome.set_aside)
    for line in (*outcome.notes, *outcome.failed):
        echo(line, err=True)
    for waits in outcome.waiting:
        echo(f"{waits.agreement} {waits.period} waits: {'; '.join(waits.reasons)}", err=True)
    _print_outcome(outcome, as_json)
    if outcome.set_aside or outcome.waiting or outcome.failed:
        raise typer.Exit(REFUSED)


def _number(argument: str, text: str) -> Fraction:
    from schemas.base import exact

    try:
        return exact(text)
    except ValueError as error:
        raise ValueError(f"{argument} '{text}': {error}") from None


def _day(option: str, text: str) -> date:
    from schemas.base import day_of

    try:
        return day_of(text)
    except ValueError:
        raise ValueError(
            f"{option} {text}: not a valid date; use YYYY-MM-DD, such as 2025-01-31"
        ) from None


def _print_outcome(outcome: Any, as_json: bool) -> None:
    if as_json:
        from schemas.statement import canonical

        # A statement a line: byte for byte what the settlement API gives as the document.
        for statement in outcome.statements:
            sys.stdout.buffer.write(canonical(statement) + b"\n")
        return
    from services.cli import show

    for statement in outcome.statements:
        show.statement(statement)
    echo(f"{outcome.counted} events counted, {outcome.duplicates} duplicates")
