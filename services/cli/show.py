"""What the command prints: statements, explanations, problems, progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from infra.progress import Progress as Report
from schemas.money import amount_text
from schemas.statement import SettlementStatement
from services.core.whatif.simulation import SimulatedLine, SimulatedPeriod, Simulation

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def bars() -> Iterator[Report]:
    """A bar per long step, drawn on the error stream so that output stays clean."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(28), TimeElapsedColumn())
    with Progress(*columns, console=err) as drawn:
        tasks: dict[str, Any] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = drawn.add_task(step, total=total or None)
            drawn.update(tasks[step], completed=done, total=total or None)

        yield report


def statements(rows: Iterable[Mapping[str, Any]]) -> None:
    """Statements as the API lists them, one a row."""
    table(
        ("vendor", "agreement", "period", "revision", "total"),
        (
            (
                row["vendor"],
                row["agreement"],
                row["period"],
                str(row["revision"]),
                f"{row['total']['amount']} {row['total']['currency']}",
            )
            for row in rows
        ),
    )


def revisions(told: Sequence[str]) -> None:
    """What became of a period, revision by revision; nothing where there is only one."""
    if len(told) > 1:
        for line in told:
            out.print(line)


def statement(found: SettlementStatement, revision: int | None = None) -> None:
    """One statement: how each level stood, each line, the total."""
    which = "" if revision is None else f"  revision {revision}"
    out.print(_heading(found) + which, soft_wrap=True)  # wider than the table it may well be
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("level", no_wrap=True)
    table.add_column("measured", justify="right")
    table.add_column("promised", justify="right")
    table.add_column("standing")
    for result in found.results:
        table.add_row(
            result.level + (f" ({result.subject})" if result.subject else ""),
            _number(result.result if result.result is not None else result.figure),
            _number(result.expected),
            result.standing.replace("_", " "),
        )
    out.print(table)
    lines = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "left"):
        lines.add_column(justify=justify, overflow="fold")
    for line in found.lines:
        amount = amount_text(line.minor_units, found.currency)
        lines.add_row(line.kind.replace("_", " "), line.line, amount, found.currency)
    total = amount_text(abs(found.total_minor), found.currency)
    lines.add_row("[bold]total[/bold]", _who(found), f"[bold]{total}[/bold]", found.currency)
    out.print(lines)
    out.print()


def _heading(found: SettlementStatement) -> str:
    return f"[bold]{found.vendor}[/bold]  {found.agreement} version {found.version}  {found.period}"


def _who(found: SettlementStatement) -> str:
    if found.total_minor == 0:
        return "nobody owes anything"
    payer, payee = (
        (found.vendor, found.buyer) if found.total_minor > 0 else (found.buyer, found.vendor)
    )
    return f"{payer} owes {payee}"


def _number(value: Any) -> str:
    if value is None:
        return "-"
    whole, places = divmod(round(abs(value) * 10**4), 10**4)
    text = f"{whole}.{places:04d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def explanation(found: Mapping[str, Any]) -> None:
    """An amount, led back to rules, terms, figures, windows and event ids."""
    amount = found["amount"]
    tree = Tree(f"[bold]{amount['amount']} {amount['currency']}[/bold]  {found['line']}")
    rules = tree.add(f"rules, by version {found['contract_version']} of {found['agreement']}")
    for step in found["steps"]:
        rules.add(f"{step['text']}  [dim]{step['term']}[/dim]")
    for result in found["results"]:
        branch = tree.add(
            f"level {result['level']} in {result['period']}: {result['standing'].replace('_', ' ')}"
        )
        for step in result.get("steps", ()):
            branch.add(f"{step['text']}  [dim]{step['term']}[/dim]")
    for figure in found["figures"]:
        window = figure["window"]
        branch = tree.add(f"figure {figure['metric']} = {figure['value']}")
        branch.add(f"window {window['start']} to {window['end']}")
        branch.add(f"{figure['facts']} facts, digest {figure['digest'][:16]}…")
        _add_events(branch, figure["telling"], "events that moved it down")
    told = [event for figure in found["figures"] for event in figure["telling"]]
    stated = [event for event in found["events"] if event not in told]
    _add_events(tree, stated, "events that state what it is reckoned from")
    page = found["facts"]
    if page.get("unavailable"):
        tree.add(f"events: {page['unavailable']}")
    else:
        _add_events(tree, page["items"], "events behind it, the first page")
    out.print(tree)


def _add_events(tree: Tree, events: Iterable[Mapping[str, str]], title: str) -> None:
    shown = list(events)
    if not shown:
        return
    branch = tree.add(title)
    for event in shown[:5]:
        branch.add(f"{event['source']}  {event['id']}")
    if len(shown) > 5:
        branch.add(f"… and {len(shown) - 5} more on this page")


def simulation(found: Simulation, counted_anew: Sequence[str] = ()) -> None:
    """Each period and line, as it was and as it would have been; metrics that were counted anew."""
    rows = []
    for period in found.periods:
        told = [*period.waits_for, *period.would_wait_for]
        rows.append((period.period, "total", *_both(period, found.currency), "; ".join(told)))
        rows += [("", line.line, *_both(line, found.currency), "") for line in period.lines]
    table(("period", "line", "was", "would be", "cannot be told"), rows)
    was, would = (amount_text(each, found.currency) for each in (found.was, found.would_be))
    out.print(f"in all {was} {found.currency} was, {would} {found.currency} would be")
    if counted_anew:
        out.print(f"counted anew, from the stored events: {', '.join(counted_anew)}")


def _both(found: SimulatedPeriod | SimulatedLine, currency: str) -> tuple[str, str]:
    was, would = (
        "-" if each is None else amount_text(each, currency) for each in (found.was, found.would_be)
    )
    return was, would


def held_restatements(rows: Sequence[Mapping[str, Any]]) -> None:
    """What today's rules would settle otherwise, period by period, with the lines that differ."""
    if not rows:
        out.print("nothing is held: today's rules settle every period as it stands")
        return
    drawn = []
    for row in rows:
        place = (row["agreement"], row["period"])
        waits = "; ".join(row["waits_for"])
        told = f"waits by rules {row['rules_now']}: {waits}" if waits else ""
        drawn.append((*place, "total", *_three(row), told))
        drawn += [("", "", each["line"], *_three(each), "") for each in row["lines"]]
        drawn += [("", "", "", "", "", "", other) for other in row["other"]]
    table(("agreement", "period", "line", "standing", "today", "difference", ""), drawn)
    out.print("nothing of this is posted; order it with: earnback restate AGREEMENT --reason TEXT")


def _three(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Standing, today's amount, and the difference where the currency is the same."""
    standing, today = row["standing"], row["today"]
    then, now = ("-" if each is None else str(each["amount"]) for each in (standing, today))
    apart = standing and today and standing["currency"] != today["currency"]
    if apart or ("difference" in row and row["difference"] is None):
        return then, now, "-"
    currency = (standing or today)["currency"]
    units = [0 if each is None else each["minor_units"] for each in (standing, today)]
    return then, now, f"{amount_text(units[1] - units[0], currency)} {currency}"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A plain table."""
    drawn = Table(show_edge=False, pad_edge=False)
    for column in columns:
        drawn.add_column(column)
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn)
