"""`earnback contract`: check, show, compare, simulate, import, export and apply contract files."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.common import (
    REFUSED,
    ContractFilesOption,
    Files,
    client_of_running,
    fail,
    print_made,
    print_made_of_many,
    print_rejected,
)
from services.cli.terminal import echo, styled

contract = typer.Typer(no_args_is_help=True, help="Check and apply contract files.")


@contract.command("check")
def check(files: ContractFilesOption) -> None:
    """Check contract files, beside what is applied where an earnback runs.

    Every fault with its line, column, reason and remedy. Nothing is applied.
    """
    from services.cli.applied import applied
    from services.cli.files import read_contracts

    beside = applied()
    found = read_contracts(files, beside.programmes, beside.agreements)
    for line in (*found.faults(), *beside.lacked(found)):
        echo(line, err=True)
    if found.refusals:
        raise typer.Exit(REFUSED)
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    for document in found.documents:
        noun = document.noun
        name = noun.programme if noun.kind == "programme" else noun.agreement
        echo(f"{document.file}: {noun.kind} {name} version {noun.version} is in order")


@contract.command("upgrade")
def upgrade(
    files: Annotated[
        list[Path], typer.Argument(help="Files or folders; - reads stdin.", show_default=False)
    ],
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Print the upgraded text, change no file.")
    ] = False,
) -> None:
    """Bring contract files of an earlier language to today's, in place.

    What was implicit is written out, so that every period is settled as before; comments and
    layout stay. Printed: what was added, and what a person should decide.
    """
    from services.cli.upgrading import replace_file, upgraded_files, upgraded_text

    if str(files[0]) == "-" and len(files) == 1:
        found = upgraded_text(sys.stdin.buffer.read().decode("utf-8"), "stdin")
        print_made(found.upgrade.text, found.report())
        return
    upgraded = upgraded_files(files)
    if stdout and len(upgraded) != 1:
        fail(f"--stdout prints one file, and there are {len(upgraded)}; name one", REFUSED)
    for path, file in upgraded:
        if stdout:
            print_made(file.upgrade.text, file.report())
            continue
        if file.upgrade.added:
            replace_file(path, file.upgrade.text)
        for line in file.report():
            echo(line)


@contract.command("show")
def show_contract(files: Files) -> None:
    """Show agreements with all they inherit, and where each term came from."""
    from services.cli import show
    from services.cli.applied import applied
    from services.cli.contracts import terms_and_origins

    for heading, rows in terms_and_origins(files, applied()):
        show.out.print(styled(heading, "bold"))
        show.table(("term", "from"), rows)


@contract.command("diff")
def diff(old: Path, new: Path) -> None:
    """Every change from one version of a document to another, in words."""
    from services.cli.contracts import changes

    for line in changes(old, new):
        echo(line)


@contract.command("simulate")
def simulate(
    file: Annotated[
        Path,
        typer.Argument(help="The agreement as it might be, with its programme where that changes."),
    ],
    against: Annotated[
        str, typer.Option(help="Settled periods: 2025-01, or 2025-01..2025-03 for several.")
    ],
    contracts: Annotated[
        Path | None,
        typer.Option(help="The contracts in force, as files: no running earnback is needed."),
    ] = None,
    events: Annotated[
        list[Path] | None, typer.Option(help="With --contracts: event files or folders.")
    ] = None,
) -> None:
    """What settled periods would have cost under another version, beside what they did cost.

    Figures that it would count in another way are counted anew: from the events that a running
    earnback has stored, or from files.
    """
    from services.cli import show
    from services.cli.simulating import simulate_files, simulate_running
    from services.cli.where import reached
    from services.shell.clock import now_us

    if (contracts is None) != (not events):
        fail("--contracts and --events go together; give both, or none of them", REFUSED)
    if contracts is not None and events:
        told = simulate_files(contracts, events, file, against, now_us())
    else:
        with client_of_running() as client:
            told = asyncio.run(simulate_running(reached("postgres"), client, file, against))
    print_rejected(told.set_aside)
    show.simulation(told.simulation, told.counted_anew)
    for label in told.not_closed:
        echo(f"{label}: not closed yet, so it is left out; close it first", err=True)
    if told.set_aside or told.not_closed:
        raise typer.Exit(REFUSED)


@contract.command("new")
def new(
    family: Annotated[str | None, typer.Argument(help="Without one: the list.")] = None,
) -> None:
    """Print a contract template to begin with."""
    from services.cli import templates

    if family is None:
        for name in templates.names():
            echo(f"{name:<18} {templates.about(name)}")
    else:
        echo(templates.text(family), nl=False)


@contract.command("import")
def import_(
    form: Annotated[str, typer.Argument(help="openslo, sla4oai (iAgree too) or tmf623.")],
    file: Path,
) -> None:
    """Print a contract file made from another format; what is lost or missing goes to stderr."""
    from services.cli.interchange import import_contract

    print_made(*import_contract(form, file))


@contract.command("export")
def export(
    form: Annotated[str, typer.Argument(help="openslo or tmf623.")],
    files: Files,
) -> None:
    """Print agreements in another format, as JSON; what it has no place for goes to stderr."""
    from services.cli.interchange import export_contract

    print_made_of_many(export_contract(form, files))


@contract.command("apply")
def apply(
    files: ContractFilesOption,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit.")] = None,
) -> None:
    """Apply contract files to a running earnback. An applied version never changes."""
    from services.cli.applying import apply_files
    from services.cli.where import reached

    for line in asyncio.run(apply_files(reached("kafka", "postgres"), files, reason)):
        echo(line)
