"""`earnback proposal`: what a party stated whose word does not count, and the answers to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import uuid4

import typer

from services.cli.commands.common import (
    REFUSED,
    AsJson,
    check_period,
    client_of_running,
    fail,
    send_event,
)
from services.cli.terminal import echo

proposal = typer.Typer(no_args_is_help=True, help="Proposals: listed, accepted, rejected.")
ProposalSource = Annotated[str, typer.Argument(help="The proposal's source.")]
ProposalId = Annotated[str, typer.Argument(help="The proposal's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words.")]
OwnSource = Annotated[
    str, typer.Option("--from", help="A source of your own, from which the answer is sent.")
]


@proposal.command("list")
def list_proposals(agreement: str, period: str, as_json: AsJson = False) -> None:
    """List the proposals of a closed period: what each states, its state, and who can answer."""
    from services.cli import show

    found = _proposals(agreement, period, "earnback proposal list AGREEMENT PERIOD")
    if as_json:
        echo(json.dumps(found, indent=1))
    elif found:
        show.table(("source", "id", "of", "states", "state", "awaits"), map(_cells, found))
    else:
        echo(f"nobody has proposed anything for {agreement} in {period}")


@proposal.command("accept")
def accept(
    agreement: str,
    period: str,
    source: ProposalSource,
    number: ProposalId,
    reason: Reason,
    own: OwnSource,
) -> None:
    """Take a proposal over: it counts from then on, in a later revision of the period."""
    _answer(agreement, period, (source, number), "accept", reason, own)


@proposal.command("reject")
def reject(
    agreement: str,
    period: str,
    source: ProposalSource,
    number: ProposalId,
    reason: Reason,
    own: OwnSource,
) -> None:
    """Reject a proposal: it stays without effect."""
    _answer(agreement, period, (source, number), "reject", reason, own)


def _proposals(agreement: str, period: str, usage: str) -> list[dict[str, Any]]:
    check_period(period, usage)
    path = f"/v1/agreements/{quote(agreement, safe='')}/evaluations/{quote(period, safe='')}"
    with client_of_running() as client:
        found: list[dict[str, Any]] = client.get(path)["evaluation"]["proposals"]
    return found


def _answer(
    agreement: str,
    period: str,
    of: tuple[str, str],
    answer: Literal["accept", "reject"],
    reason: str,
    own: str,
) -> None:
    usage = f"earnback proposal {answer} AGREEMENT PERIOD SOURCE ID --reason WHY --from SOURCE"
    found = _proposals(agreement, period, usage)
    source, number = of
    one = next((each for each in found if each["event"] == {"source": source, "id": number}), None)
    if one is None:
        fail(
            f"{agreement} has no proposal {number} of {source} in {period}; "
            f"list them with: earnback proposal list {agreement} {period}",
            REFUSED,
        )
        return
    event = answer_event(agreement, one, answer, reason, own)
    with client_of_running() as client:
        send_event(client, event)
    echo(f"{event['id']}  {answer} of {number} of {source} is sent")


def answer_event(
    agreement: str, one: dict[str, Any], answer: str, reason: str, own: str
) -> dict[str, Any]:
    """The event that answers a proposal, as it is listed; its id is new, its time is now."""
    states = _kind(one)
    stated = one[states]
    return {
        "specversion": "1.0",
        "id": f"answer-{uuid4()}",
        "source": own,
        "type": "earnback.answer.v1",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "data": {
            "agreement": agreement,
            "states": states,
            "name": stated[_NAMED_BY[states]],
            "period": stated["period"],
            "of_source": one["event"]["source"],
            "of_id": one["event"]["id"],
            "of_payload": one["payload"],
            "answer": answer,
            "reason": reason,
        },
    }


_NAMED_BY = {
    "charge": "base",
    "circumstance": "circumstance",
    "figure": "metric",
    "correction": "name",
}
"""Each kind of statement, to the field that names it."""


def _kind(one: dict[str, Any]) -> str:
    return next(kind for kind in _NAMED_BY if one.get(kind))


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    states = _kind(one)
    return (
        one["event"]["source"],
        one["event"]["id"],
        one["party"],
        _stated(states, one[states]),
        f"{one['state']} by silence" if one["by_silence"] else one["state"],
        ", ".join(one["awaits"]) or "nobody",
    )


def _stated(states: str, stated: dict[str, Any]) -> str:
    if states == "charge":
        return f"charge {stated['base']}: {stated['amount']} {stated['currency']}"
    if states == "figure":
        return f"figure {stated['metric']}: {stated['value']} {stated['unit']}"
    if states == "correction":
        takes = "puts another in place of" if stated["data"] or stated["time"] else "takes back"
        return f"correction: {takes} {stated['corrects']} of {stated['name']}"
    value = "" if stated.get("value") is None else f": {stated['value']}"
    return f"circumstance {stated['circumstance']}{value}"
