"""`earnback submit`: event files through the ingest API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from services.cli.commands.common import REFUSED, Files, client_of_running


def submit(files: Files) -> None:
    """Submit event files through the ingest API; one line per validation error."""
    from services.cli.files import read_events

    events = list(read_events(files))
    places = iter([place for place, _ in events])
    taken = duplicates = refused = 0
    with client_of_running() as client:
        for results in client.submit([raw for _, raw in events]):
            for result in results:
                place = next(places)
                taken += result["status"] == "accepted"
                duplicates += result["status"] == "duplicate"
                if result["status"] == "rejected":
                    refused += 1
                    for fault in _in_words(result["problem"]):
                        typer.echo(f"{place}: {fault}", err=True)
    typer.echo(f"{taken} accepted, {duplicates} duplicates, {refused} rejected")
    if refused:
        raise typer.Exit(REFUSED)


def _in_words(problem: dict[str, Any]) -> Iterator[str]:
    """A line for each thing that is wrong with an event."""
    for fault in problem.get("errors") or [{"reason": problem["detail"]}]:
        field = f"{fault['pointer']}: " if fault.get("pointer") else ""
        remedy = f"; {fault['remedy']}" if fault.get("remedy") else ""
        yield f"{field}{fault['reason']}{remedy}"
