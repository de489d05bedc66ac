"""`earnback submit`: event files through the ingest API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import typer

from services.cli.commands.common import REFUSED, Files, client_of_running
from services.cli.grouped import PlacedLine, grouped
from services.cli.terminal import echo


def submit(files: Files) -> None:
    """Submit event files through the ingest API; one line per problem of an event.

    Of many events with the same fault one is named, with their number.
    """
    from services.cli.files import read_events

    events = list(read_events(files))
    places = iter([place for place, _ in events])
    counts: Counter[str] = Counter()
    faults: list[PlacedLine] = []
    with client_of_running() as client:
        for results in client.submit([raw for _, raw in events]):
            for result in results:
                place = next(places)
                counts[result["status"]] += 1
                if result["status"] == "rejected":
                    faults += _in_words(place, result["problem"])
    for line in grouped(faults):
        echo(line, err=True)
    echo(
        f"{counts['accepted']} accepted, {counts['duplicate']} duplicates, "
        f"{counts['rejected']} rejected"
    )
    if counts["rejected"]:
        raise typer.Exit(REFUSED)


def _in_words(place: str, problem: dict[str, Any]) -> Iterator[PlacedLine]:
    """A line for each thing that is wrong with an event."""
    for fault in problem.get("errors") or [{"reason": problem["detail"]}]:
        field = f"{fault['pointer']}: " if fault.get("pointer") else ""
        remedy = f"; {fault['remedy']}" if fault.get("remedy") else ""
        yield PlacedLine(place, "", f"{field}{fault['reason']}{remedy}")
