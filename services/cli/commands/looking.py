"""`earnback preview`, `pending`, `corrections` and others: what stands, on request."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.cli.commands.common import REFUSED, AsJson, check_period, client_of_running
from services.cli.terminal import echo


def preview(agreement: str, period: str, as_json: AsJson = False) -> None:
    """What a period that is not closed would come to now. Nothing is stored.

    Exit code 1 where it could not be settled yet; the output says what it waits for.
    """
    from services.cli import show

    check_period(period, "earnback preview AGREEMENT PERIOD")
    with client_of_running() as client:
        path = f"/v1/previews/{quote(agreement, safe='')}/{quote(period, safe='')}"
        found = client.get(path)
    if as_json:
        echo(json.dumps(found, indent=1))
    elif found["statement"] is not None:
        show.out.print("preview: nothing is stored")
        show.statement(statement_of(found["statement"]))
    else:
        echo(f"{agreement} {period} waits: {'; '.join(found['waits_for'])}")
    if not as_json:
        for one in found["references"]:
            echo(show.stands_for(one))
    if found["statement"] is None:
        raise typer.Exit(REFUSED)


def pending(as_json: AsJson = False) -> None:
    """Closed periods without a statement, failed work, open disputes and proposals, and why."""
    _list(
        "/v1/pending",
        ("agreement", "period", "since", "state", "waits for"),
        lambda row: (
            row["agreement"] or f"programme {row['parked']['programme']}",
            row["period"] or "-",
            row["since"][:16],
            row["state"],
            _why(row),
        ),
        as_json,
        "nothing is pending",
    )


def _why(row: dict[str, Any]) -> str:
    from services.cli.show import with_references

    reasons, parked = with_references(row["reasons"], row["references"]), row["parked"]
    if parked is None:
        return reasons
    times = "once" if parked["attempts"] == 1 else f"{parked['attempts']} times"
    return f"{reasons} (tried {times}, trace {parked['trace_id']})"


def quarantine(
    item: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None,
    as_json: AsJson = False,
) -> None:
    """Events in quarantine, which never count: rejected, in conflict, too late, or unreadable."""
    if item is not None:
        with client_of_running() as client:
            address = f"/v1/quarantine/{quote(item, safe='')}"
            echo(json.dumps(client.get(address), indent=1))
        return
    _list(
        "/v1/quarantine",
        ("item", "by", "reason", "source", "id", "problem"),
        lambda row: (
            row["item_id"],
            row["set_aside_by"],
            row["reason"],
            row["source"] or "-",
            row["event_id"] or "-",
            row["problem"],
        ),
        as_json,
        "the quarantine is empty",
    )


def usage(as_json: AsJson = False) -> None:
    """What is kept of your refused events, day by day, what is beyond the quota, and subjects."""
    _list(
        "/v1/usage",
        ("party", "day", "kept", "of", "KiB", "of", "beyond", "by code", "subjects"),
        lambda row: (
            row["party"],
            row["day"],
            str(row["kept"]),
            str(row["quota_events"]),
            str(row["kept_bytes"] // 1024),
            str(row["quota_bytes"] // 1024),
            str(row["beyond"]),
            ", ".join(f"{code} {number}" for code, number in sorted(row["codes"].items())),
            ", ".join(
                f"{metric} {number} of {row['quota_subjects']}"
                for metric, number in sorted(row["subjects"].items())
            ),
        ),
        as_json,
        "of refused events nothing is kept",
    )


def balances(
    as_of: Annotated[
        str | None, typer.Option(help="As the book stood before a moment: 2025-04-01T00:00:00Z.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Who owes what, by vendor, buyer and currency."""
    from services.cli import show

    with client_of_running() as client:
        found = client.get("/v1/balances", **({"as_of": as_of} if as_of else {}))
    if as_json:
        echo(json.dumps(found, indent=1))
        return
    for one in found["items"]:
        show.out.print(show.owed_between(one))
    if not found["items"]:
        echo("nothing is booked")


def corrections(agreement: str, period: str, as_json: AsJson = False) -> None:
    """Corrections of events that count for a period: who made them, when, of what and why."""
    check_period(period, "earnback corrections AGREEMENT PERIOD")
    _list(
        f"/v1/corrections/{quote(agreement, safe='')}/{quote(period, safe='')}",
        ("at", "by", "event", "was", "became", "proposal", "reason"),
        lambda row: (
            row["time"][:16],
            row["party"],
            f"{row['source']} {row['corrects']}",
            json.dumps(row["event"]["data"]),
            became(row),
            row["proposed"] or "",
            row["reason"],
        ),
        as_json,
        "nothing was corrected",
    )


def became(row: dict[str, Any]) -> str:
    """What a correction makes of its event, in words."""
    if row["takes_back"]:
        return "taken back"
    data = json.dumps(row["data"]) if row["data"] is not None else ""
    moved = f"moved to {row['moved_to']}" if row["moved_to"] else ""
    return " ".join(filter(None, (data, moved)))


def _list(path: str, columns: tuple[str, ...], cells: Any, as_json: bool, nothing: str) -> None:
    from services.cli import show

    with client_of_running() as client:
        rows = list(client.items(path))
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.table(columns, map(cells, rows))
    else:
        echo(nothing)


def statement_of(body: dict[str, Any]) -> Any:
    """A statement as the API answers it, as the noun."""
    from schemas.statement import SettlementStatement

    return SettlementStatement.model_validate_json(json.dumps(body))
