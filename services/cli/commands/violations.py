"""`earnback violation`: misses as TMF623 violations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.common import ContractPath, print_made_of_many

violation = typer.Typer(
    no_args_is_help=True, help="Misses as TMF623 violations: out of statements, in as events."
)


@violation.command("export")
def export_violation(
    contracts: ContractPath,
    statements: Annotated[
        list[Path], typer.Argument(help="Statements, as `settle --json` writes them.")
    ],
) -> None:
    """Print a violation for every level that a statement says was missed, as JSON.

    What the format has no place for goes to stderr.
    """
    from services.cli.violations import export_violations

    print_made_of_many(export_violations(contracts, statements))


@violation.command("import")
def import_violation(
    contracts: ContractPath,
    violations: Annotated[list[Path], typer.Argument(help="Violations (JSON, NDJSON, .gz).")],
    source: Annotated[str, typer.Option(help="The source that the events come from.")],
    period: Annotated[
        str | None, typer.Option(help="What they are about. Absent: the period over last.")
    ] = None,
) -> None:
    """Print violations as events that declare their period's figure, ready for `submit`.

    Only metrics whose measure is `declared` can be told so. What is lost goes to stderr.
    """
    from services.cli.violations import import_violations

    print_made_of_many(import_violations(contracts, violations, source, period))
