"""`earnback request`: acts that wait until another agrees, and the answers to them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from services.cli.commands.common import AsJson, client_of_running
from services.cli.terminal import echo

request = typer.Typer(
    no_args_is_help=True, help="What a programme's four_eyes asks for: listed, agreed to, declined."
)
RequestId = Annotated[str, typer.Argument(help="As listed.")]
AnswerReason = Annotated[str, typer.Argument(help="Why, in words.")]


@request.command("list")
def list_requests(
    every: Annotated[bool, typer.Option("--all", help="Not only those that are open.")] = False,
    as_json: AsJson = False,
) -> None:
    """List requests of one's own party: what is asked for, by whom, and until when."""
    from services.cli import show

    query = {} if every else {"state": "open"}
    with client_of_running() as client:
        rows = list(client.items("/v1/requests", **query))
    if as_json:
        echo(json.dumps(rows, indent=1))
    elif rows:
        show.table(
            ("request", "kind", "of", "about", "asked by", "until", "state"), map(_cells, rows)
        )
    else:
        echo("nothing is asked for")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    asked = row["asked"]
    who = ", ".join(filter(None, (asked["role"], asked["key"], asked["person"])))
    of = row["agreement"] or row["programme"] or row["party"]
    until = row["expires_at"][:16]
    return row["request_id"], row["kind"], of, row["about"], who, until, row["state"]


@request.command("agree")
def agree(request_id: RequestId, reason: AnswerReason) -> None:
    """Agree to a request with another key than the one that asked, and carry it out.

    Versions of a programme and ends of keys are carried out by their own command, given again.
    """
    found = _answer(request_id, "agree", reason)
    if found["kind"] == "decision":
        echo(f"{found['about']} is taken by ingest, as soon as it sees the agreement")
    elif found["outcome"] is not None:
        echo(f"it is carried out: {found['outcome']}")
    else:
        echo("give the command that asked for it again: it is carried out then")


@request.command("decline")
def decline(request_id: RequestId, reason: AnswerReason) -> None:
    """Decline a request, or take back one's own."""
    _answer(request_id, "decline", reason)


def _answer(request_id: str, what: Literal["agree", "decline"], reason: str) -> dict[str, Any]:
    path = f"/v1/requests/{quote(request_id, safe='')}/answers"
    with client_of_running() as client:
        found: dict[str, Any] = client.post(path, {"answer": what, "reason": reason})
    echo(f"{found['request_id']}  {found['state']}")
    return found
