"""The command `earnback`. Each function reads its arguments, calls one thing, and prints."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Settles the service levels of many vendors: what each owes, to the cent, and why.",
)
contract = typer.Typer(no_args_is_help=True, help="Check and apply contract files.")
violation = typer.Typer(
    no_args_is_help=True, help="Misses as TMF623 violations: out of statements, in as events."
)
key = typer.Typer(no_args_is_help=True, help="API keys for vendors, procurement and finance.")
app.add_typer(contract, name="contract")
app.add_typer(violation, name="violation")
app.add_typer(key, name="key")

REFUSED = 1
"""Exit code: something that was handed in is wrong; the output says what."""
CANNOT = 70
"""Exit code: the command could not do its work."""

ContractPath = Annotated[Path, typer.Argument(help="A contract file, or a folder of them.")]
Files = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
RevisionOption = Annotated[int | None, typer.Option(min=1, help="Absent: the latest.")]


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
        sys.stderr.write(f"{error}\n")  # each line names its own place
        sys.exit(REFUSED)
    if isinstance(error, ValueError | BadSettings):
        _fail(str(error), REFUSED)
    if isinstance(error, OSError | RuntimeError):
        _fail(str(error), CANNOT)
    raise error


def _fail(text: str, code: int) -> None:
    sys.stderr.write(f"earnback: {text}\n")
    sys.exit(code)


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option(help="Leave everything running afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Three vendors, one quarter: from events to statements on real Kafka and Postgres."""
    _stop_at_once()
    from services.cli.demo import run

    run(keep=keep)


@app.command()
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
            started = stack(home(), workers=workers, progress=report, asked=asked)
            where = running.enter_context(started).addresses
        running.enter_context(announced(home(), where))
        show.out.print(f"ingest      {where.ingest}/openapi.json")
        show.out.print(f"settlement  {where.settlement}/openapi.json")
        show.out.print(f"Kafka       {where.kafka}")
        show.out.print(f"logs        {home() / 'logs'}")
        show.out.print("Ctrl-C stops everything. Other commands find it by themselves.")
        asked.wait()
    show.out.print("Stopped.")


def _stop_at_once() -> None:
    """Until something runs that must be stopped in order, a signal simply ends the command."""

    def end(number: int, frame: object) -> None:
        typer.echo("Stopped.")
        os._exit(0)  # an exception would be taken for a failure of whatever is being imported

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


@app.command()
def prepare(
    profile: Annotated[str, typer.Option(help="trial or production.")] = "trial",
    kafka: Annotated[str, typer.Option(envvar="EARNBACK_KAFKA")] = "",
    postgres: Annotated[str, typer.Option(envvar="EARNBACK_POSTGRES")] = "",
    grow_partitions: Annotated[bool, typer.Option(help="Read infra/README.md first.")] = False,
) -> None:
    """Bring tables and topics of given servers up to date. Safe to repeat."""
    from services.cli.prepare import prepare as bring_up_to_date

    if not kafka or not postgres:
        _fail("set EARNBACK_KAFKA and EARNBACK_POSTGRES to the servers to prepare", REFUSED)
    if profile not in ("trial", "production"):
        _fail(f"--profile {profile}: choose trial or production", REFUSED)
    work = bring_up_to_date(
        kafka,
        postgres,
        profile,  # type: ignore[arg-type]
        grow_partitions=grow_partitions,
    )
    for done in asyncio.run(work):
        typer.echo(done)


@contract.command("check")
def check(files: Files) -> None:
    """Check contract files, beside what is applied where an earnback runs.

    Every fault with its line, column, reason and remedy. Nothing is applied.
    """
    from services.cli.applied import applied
    from services.cli.files import read_contracts

    beside = applied()
    found = read_contracts(files, beside.programmes, beside.agreements)
    for line in (*found.faults(), *beside.lacked(found)):
        typer.echo(line, err=True)
    if found.refusals:
        raise typer.Exit(REFUSED)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for document in found.documents:
        noun = document.noun
        name = noun.programme if noun.kind == "programme" else noun.agreement
        typer.echo(f"{document.file}: {noun.kind} {name} version {noun.version} is in order")


@contract.command("show")
def show_contract(files: Files) -> None:
    """Show agreements with all they inherit, and where each term came from."""
    from services.cli import show
    from services.cli.applied import applied
    from services.cli.contracts import terms_and_origins

    for heading, rows in terms_and_origins(files, applied()):
        show.out.print(f"[bold]{heading}[/bold]")
        show.table(("term", "from"), rows)


@contract.command("diff")
def diff(old: Path, new: Path) -> None:
    """Every change from one version of a document to another, in words."""
    from services.cli.contracts import changes

    for line in changes(old, new):
        typer.echo(line)


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
        Path | None, typer.Option(help="The contracts in force as files: asks nothing that runs.")
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
        _fail("--contracts and --events go together; give both, or none of them", REFUSED)
    if contracts is not None and events:
        told = simulate_files(contracts, events, file, against, now_us())
    else:
        with _client() as client:
            told = asyncio.run(simulate_running(reached("postgres"), client, file, against))
    _tell_set_aside(told.set_aside)
    show.simulation(told.simulation, told.counted_anew)
    for label in told.not_closed:
        typer.echo(f"{label}: not closed yet, so it is left out; close it first", err=True)
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
            typer.echo(f"{name:<18} {templates.about(name)}")
    else:
        typer.echo(templates.text(family), nl=False)


@contract.command("import")
def import_(
    form: Annotated[str, typer.Argument(help="openslo, sla4oai (iAgree too) or tmf623.")],
    file: Path,
) -> None:
    """Print a contract file made from another format; what is lost or missing goes to stderr."""
    from services.cli.interchange import import_contract

    _print_made(*import_contract(form, file))


@contract.command("export")
def export(
    form: Annotated[str, typer.Argument(help="openslo or tmf623.")],
    files: Files,
) -> None:
    """Print agreements in another format, as JSON; what it has no place for goes to stderr."""
    from services.cli.interchange import export_contract

    _print_made(*export_contract(form, files))


@app.command()
def goal(
    revenue: Annotated[str, typer.Argument(help="Revenue to reach.")],
    per_deal: Annotated[str, typer.Argument(help="Revenue per deal.")],
    conversion: Annotated[str, typer.Argument(help="Percent of units that become deals.")],
) -> None:
    """From a revenue target to the number of units owed, such as leads per month."""
    from schemas.base import exact
    from services.core.whatif.goals import units_owed

    found = units_owed(exact(revenue), exact(per_deal), exact(conversion))
    for line in found.steps:
        typer.echo(line)
    typer.echo(f"{found.units} units are owed")


@contract.command("apply")
def apply(files: Files) -> None:
    """Apply contract files to a running earnback. An applied version never changes."""
    from services.cli.applying import apply_files
    from services.cli.where import reached

    for line in asyncio.run(apply_files(reached("kafka", "postgres"), files)):
        typer.echo(line)


@app.command()
def submit(files: Files) -> None:
    """Submit event files through the ingest API; a line for all that is wrong with an event."""
    from services.cli.files import read_events

    events = list(read_events(files))
    places = iter([place for place, _ in events])
    taken = duplicates = refused = 0
    with _client() as client:
        for results in client.submit([raw for _, raw in events]):
            for result in results:
                place = next(places)
                taken += result["status"] == "accepted"
                duplicates += result["status"] == "duplicate"
                if result["status"] == "rejected":
                    refused += 1
                    for fault in _in_words(result["problem"]):
                        typer.echo(f"{place}: {fault}", err=True)
    typer.echo(f"{taken} accepted, {duplicates} known before, {refused} refused")
    if refused:
        raise typer.Exit(REFUSED)


@app.command()
def close(agreement: str, period: str) -> None:
    """Close a period now, whatever the watermark says; or look again at a closed one.

    Tells what the statement comes to, or what it waits for.
    """
    from services.cli.books import after_close

    with _client() as client:
        order = client.close_period(agreement, period)
        detail = f": {order['detail']}" if order.get("detail") else ""
        typer.echo(f"{agreement} {period}: {order['outcome']}{detail}")
        if order["outcome"] in ("refused", "alarm"):
            raise typer.Exit(REFUSED)
        typer.echo(after_close(client, order))


@app.command()
def statements(
    agreement: Annotated[str | None, typer.Argument()] = None,
    period: Annotated[str | None, typer.Argument()] = None,
    revision: RevisionOption = None,
    as_json: AsJson = False,
) -> None:
    """List statements, or show one."""
    from services.cli import books, show

    with _client() as client:
        if agreement and period:
            if as_json:
                typer.echo(books.document(client, agreement, period, revision).decode())
                return
            found = books.statement(client, agreement, period, revision)
            show.statement(_statement(found["statement"]), found["revision"])
            show.revisions(books.history(client, agreement, period))
            return
        if revision is not None:
            _fail("--revision: it counts those of one period; name agreement and period", REFUSED)
        rows = books.statements(client, agreement)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        show.statements(rows)


@app.command()
def explain(
    agreement: str,
    period: str,
    line: str,
    revision: RevisionOption = None,
    as_json: AsJson = False,
) -> None:
    """Lead one amount back to rule, contract version, figures, windows and event ids."""
    from services.cli import books, show

    with _client() as client:
        found = books.explanation(client, agreement, period, line, revision)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show.explanation(found)


@app.command()
def settle(
    contracts: ContractPath,
    events: Annotated[Path, typer.Argument(help="An event file (JSON, NDJSON, .gz), or a folder.")],
    through: Annotated[
        str, typer.Option(help="Settle periods that end by this day, such as 2025-01-31.")
    ],
    as_json: AsJson = False,
) -> None:
    """Settle files offline: the same figures as the services give, without broker or database.

    Exit code 1 where a contract is refused, an event is set aside, or a period cannot be settled;
    what can be settled is settled all the same.
    """
    from services.cli.files import read_contracts, read_events
    from services.cli.offline import settle_files
    from services.shell.clock import now_us

    found = read_contracts([contracts]).in_order()
    outcome = settle_files(found, read_events([events]), _day(through), now_us())
    _tell_set_aside(outcome.set_aside)
    for waits in outcome.waiting:
        typer.echo(f"{waits.agreement} {waits.period} waits: {'; '.join(waits.reasons)}", err=True)
    _print_outcome(outcome, as_json)
    if outcome.set_aside or outcome.waiting:
        raise typer.Exit(REFUSED)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"--through {text}: no day of the calendar; write year, month and day, as in 2025-01-31"
        ) from None


def _tell_set_aside(events: Iterable[Any]) -> None:
    for aside in events:
        for line in aside.lines():
            typer.echo(line, err=True)


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
    typer.echo(f"{outcome.counted} events counted, {outcome.duplicates} came again")


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

    _print_violations(export_violations(contracts, statements))


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

    _print_violations(import_violations(contracts, violations, source, period))


def _print_violations(made: Any) -> None:
    _print_made(made.text, [*made.refused, *made.lost])
    if made.refused:
        raise typer.Exit(REFUSED)


def _print_made(text: str, told: Iterable[str]) -> None:
    for line in told:
        typer.echo(line, err=True)
    typer.echo(text, nl=False)


@key.command("create")
def create_key(
    party: Annotated[str, typer.Argument(help="A vendor, or the buyer.")],
    role: Annotated[str, typer.Argument(help="vendor, probe, procurement, finance or admin.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "made by the command",
) -> None:
    """Create a key and show it, once. Its party must be named by a programme that is applied."""
    from services.cli.keys import make
    from services.cli.where import reached

    text, warning = asyncio.run(make(reached("postgres").postgres, party, role, label))
    if warning:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(text)


@key.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys: who they speak for, and whether they are taken. Their texts are not kept."""
    from services.cli import show
    from services.cli.keys import as_json as written
    from services.cli.keys import cells, every
    from services.cli.where import reached

    found = asyncio.run(every(reached("postgres").postgres))
    if as_json:
        typer.echo(json.dumps([written(one) for one in found], indent=1))
    else:
        show.table(
            ("prefix", "party", "role", "label", "created", "revoked"),
            map(cells, found),
        )


@key.command("revoke")
def revoke_key(prefix: str, reason: str) -> None:
    """Revoke the key with a prefix (the part between the two underscores)."""
    from services.cli.keys import end
    from services.cli.where import reached

    asyncio.run(end(reached("postgres").postgres, prefix, reason))
    typer.echo(f"{prefix} is no longer taken")


@contextmanager
def _client() -> Iterator[Any]:
    from services.cli.client import Client
    from services.cli.where import reached

    where = reached("ingest", "settlement", "key")
    client = Client(ingest=where.ingest, settlement=where.settlement, key=where.key)
    try:
        yield client
    finally:
        client.close()


def _statement(body: dict[str, Any]) -> Any:
    from schemas.statement import SettlementStatement

    return SettlementStatement.model_validate_json(json.dumps(body))


def _in_words(problem: dict[str, Any]) -> Iterator[str]:
    """A line for each thing that is wrong with an event."""
    for fault in problem.get("errors") or [{"reason": problem["detail"]}]:
        field = f"{fault['pointer']}: " if fault.get("pointer") else ""
        remedy = f"; {fault['remedy']}" if fault.get("remedy") else ""
        yield f"{field}{fault['reason']}{remedy}"


if __name__ == "__main__":
    main()
