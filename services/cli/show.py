"""What the command prints: statements, explanations, problems, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from infra.progress import Progress as Report
from schemas.money import amount_text
from schemas.statement import SettlementStatement
from services.cli import statement_text
from services.cli.terminal import PlainConsole, plain, styled
from services.core.exact.arithmetic import number_text
from services.core.whatif.simulation import SimulatedLine, SimulatedPeriod, Simulation

EVENTS_SHOWN = 10
"""So many events of a figure are shown at once."""

WIDTH_OF_FILES = 160
"""Columns of a text that goes to a file or another program, where `COLUMNS` says nothing."""


def _columns() -> int | None:
    """The terminal's own width (None), or that of files."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_FILES


out = PlainConsole(width=_columns())
err = PlainConsole(stderr=True)


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
    """One statement, whole: how each level stood, each line, the total, and all figures."""
    which = "" if revision is None else f"  revision {revision}"
    heading = f"  {found.agreement} version {found.version}  {found.period}{which}"
    out.print(
        Text.assemble(styled(found.vendor, "bold"), plain(heading)), soft_wrap=True
    )  # wider than the table it may well be
    columns, rows = statement_text.result_rows(found)
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        numeric = column not in ("level", "standing")
        table.add_column(column, no_wrap=column == "level", justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    _notes(statement_text.result_notes(found))
    lines = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "left"):
        lines.add_column(justify=justify, overflow="fold")
    for line in found.lines:
        lines.add_row(*statement_text.line_row(line, found))
    total = amount_text(abs(found.total_minor), found.currency)
    lines.add_row(styled("total", "bold"), _who(found), styled(total, "bold"), found.currency)
    out.print(lines)
    claim = statement_text.claim_note(found)
    _notes(statement_text.line_notes(found))
    _notes([claim] if claim else [])
    _notes(statement_text.right_notes(found))
    figures = Table.grid(padding=(0, 2))
    for label, value in statement_text.figure_rows(found):
        figures.add_row(styled(f"  {label}", "dim"), styled(value, "dim"))
    if figures.row_count:
        out.print(figures)
    out.print()


def due(answer: Mapping[str, Any]) -> None:
    """What of a statement is not due, where a dispute withholds anything of it."""
    withheld = answer["withheld"]
    if withheld is not None and withheld["minor_units"]:
        currency = withheld["currency"]
        out.print(
            f"  in dispute and withheld  {withheld['amount']} {currency}; "
            f"due  {answer['due']['amount']} {currency}"
        )
        out.print()


def _notes(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        out.print(f"  {sentence}", soft_wrap=True)


def _who(found: SettlementStatement) -> str:
    if found.total_minor == 0:
        return "nobody owes anything"
    payer, payee = (
        (found.vendor, found.buyer) if found.total_minor > 0 else (found.buyer, found.vendor)
    )
    return f"{payer} owes {payee}"


def explanation(found: Mapping[str, Any]) -> None:
    """An amount, led back to rules, terms, figures, windows and event ids."""
    amount = found["amount"]
    total = styled(f"{amount['amount']} {amount['currency']}", "bold")
    tree = Tree(Text.assemble(total, plain(f"  {found['line']}")))
    rules = tree.add(f"rules, by version {found['contract_version']} of {found['agreement']}")
    _add_steps(rules, found["steps"])
    for result in found["results"]:
        standing = result["standing"].replace("_", " ")
        branch = tree.add(
            f"level {_named(result['level'], result)} in {result['period']}: {standing}"
        )
        _add_steps(branch, result.get("steps", ()))
    page = found["facts"]
    for number, figure in enumerate(found["figures"]):
        branch = tree.add(_figure_heading(figure))
        window = figure["window"]
        branch.add(f"window {window['start']} to {window['end']}")
        branch.add(f"{figure['facts']} facts, digest {figure['digest'][:16]}…")
        if number in page.get("changed_since", ()):
            branch.add("the counted events have changed since: those listed are today's")
        _add_events(branch, figure["telling"], "the first events that made it worse")
        moved = [_of_figure(one, figure) for one in page["items"] if one.get("figure") == number]
        _add_events(branch, moved, "events behind it, and their corrections")
    if found["events"]:
        own = tree.add("events that the amount itself is calculated from")
        for event in found["events"]:
            own.add(Text(plain(event_line(event))))
    for one in found.get("disputes", ()):
        branch = tree.add(Text(plain(f"disputed by the {one['raised_by']}: {contested(one)}")))
        for step in one["history"]:
            said = f"{step['state'].replace('_', ' ')} by {step['actor']}: {step['comment']}"
            branch.add(Text(plain(said)))
    if found.get("references"):
        stand = tree.add("references to what is another vendor's")
        for one in found["references"]:
            stand.add(Text(plain(stands_for(one))))
    if found.get("unread"):
        tree.add(
            f"evaluations that cannot be read, without their figures: {', '.join(found['unread'])}"
        )
    if page.get("unavailable"):
        tree.add(f"events: {page['unavailable']}")
    if page["withheld"]:
        tree.add(f"{page['withheld']} events of other parties are not shown")
    if page.get("next"):
        tree.add("there are more events: list all of them with --events")
    out.print(tree)


def contested(row: Mapping[str, Any]) -> str:
    """What a dispute is about, in words."""
    if row["line"] is not None:
        return f"line {row['line']}"
    if row["measurement"] is not None:
        return f"measurement {row['measurement']['id']} of {row['measurement']['source']}"
    kind = "figure" if row["figure"] is not None else "absence"
    said = row[kind]
    of = f"{said['metric']} of {said['subject']}" if said["subject"] else said["metric"]
    if kind == "figure":
        return f"figure {of}"
    return f"absence of {of}, {said['window']['start']} to {said['window']['end']}"


def stands_for(one: Mapping[str, Any]) -> str:
    """What a reference stands for, as its reader may see it."""
    what = one.get("occurrence") or f"event {one.get('event')}"
    whose = f" of {one['vendor']}" if one.get("vendor") else ""
    source = f", reported by {one['source']}" if one.get("source") else ""
    return f"{one['reference']}: {what}{whose}{source}"


def with_references(reasons: Iterable[str], references: Sequence[Mapping[str, Any]]) -> str:
    """Reasons in one text, with what the references in them stand for."""
    told = "; ".join(reasons)
    return f"{told} ({'; '.join(map(stands_for, references))})" if references else told


def _figure_heading(figure: Mapping[str, Any]) -> str:
    given = figure["value"]
    value = "nothing measured" if given is None else number_text(Fraction(given))
    parts = (
        f", {figure['good']} of {figure['total']}"
        if figure["good"] is not None and figure["total"] is not None
        else ""
    )
    name = _named(figure["metric"], figure)
    return f"figure {name} of {figure['period']} = {value}{parts}"


def _named(name: str, about: Mapping[str, Any]) -> str:
    return f"{name} ({about['subject']})" if about.get("subject") else name


@dataclass(frozen=True, slots=True)
class _StepAndTerm:
    """A step with the term of the contract behind it; below it where the line is too short."""

    text: str
    term: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        term = Text(plain(self.term), style="dim", overflow="fold")
        line = Text.assemble(plain(self.text), "  ", term)
        if line.cell_len <= options.max_width:
            yield line
        else:
            yield Text(plain(self.text))
            yield Padding(term, (0, 0, 0, 2), expand=False)


def _add_steps(tree: Tree, steps: Iterable[Mapping[str, Any]]) -> None:
    for step in steps:
        tree.add(_StepAndTerm(step["text"], step["term"]))


def _of_figure(event: Mapping[str, Any], figure: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event without what the heading of its figure says already."""
    same = ("metric", "subject")
    if any(event.get(name) != figure.get(name) for name in same):
        return event
    return {name: value for name, value in event.items() if name not in same}


def _add_events(tree: Tree, events: Iterable[Mapping[str, Any]], title: str) -> None:
    shown = list(events)
    if not shown:
        return
    branch = tree.add(title)
    for event in shown[:EVENTS_SHOWN]:
        branch.add(Text(plain(event_line(event)), overflow="fold"))
    if len(shown) > EVENTS_SHOWN:
        branch.add(f"and {len(shown) - EVENTS_SHOWN} more; list all of them with --events")


def event_line(event: Mapping[str, Any]) -> str:
    """An event by its identity; and, where that is known, its time, and what it corrects."""
    about = [event["source"], event["id"]]
    if event.get("time"):
        about.append(event["time"])
    if event.get("metric"):
        about.append(_named(event["metric"], event))
    if event.get("corrects"):
        about.append(f"corrects {event['corrects']}")
    return "  ".join(about)


def simulation(found: Simulation, counted_anew: Sequence[str] = ()) -> None:
    """Each period and line, as it was and as it would have been; metrics that were counted anew."""
    rows = []
    for period in found.periods:
        told = [*period.waits_for, *period.would_wait_for]
        rows.append((period.period, "total", *_both(period, found.currency), "; ".join(told)))
        rows += [("", line.line, *_both(line, found.currency), "") for line in period.lines]
    table(("period", "line", "was", "would be", "cannot be worked out"), rows)
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
        waits = with_references(row["waits_for"], row["references"])
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


def owed_between(balance: Mapping[str, Any]) -> str:
    """Who owes what, of one vendor and buyer."""
    owed = balance["owed"]
    vendor, buyer = balance["vendor"], balance["buyer"]
    text = f"{owed['amount']} {owed['currency']}"
    if balance["owes"] == "nobody":
        return f"{vendor} and {buyer}: nothing is owed"
    payer, payee = (vendor, buyer) if balance["owes"] == "vendor" else (buyer, vendor)
    return f"{payer} owes {payee} {text}{_withheld(balance)}"


def _withheld(balance: Mapping[str, Any]) -> str:
    if not balance["withheld"]["minor_units"]:
        return ""
    due, withheld = balance["due"]["amount"], balance["withheld"]["amount"]
    return f"; {withheld} of it is in dispute and withheld, {due} is due"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A plain table."""
    drawn = Table(show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):  # the first one names the row: it stays whole
        drawn.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        drawn.add_row(*(cell.replace("\n", "\\n") for cell in row))
    out.print(drawn)
