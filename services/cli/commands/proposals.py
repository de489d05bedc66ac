"""`earnback proposal`: what a party stated whose word does not count, and the answers to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from services.cli.commands.common import REFUSED, AsJson, check_period, client_of_running, fail
from services.cli.terminal import echo

proposal = typer.Typer(no_args_is_help=True, help="Proposals: listed, accepted, rejected.")
ProposalSource = Annotated[str, typer.Argument(help="The proposal's source.")]
ProposalId = Annotated[str, typer.Argument(help="The proposal's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words.")]
OwnSource = Annotated[
    str | None,
    typer.Option("--from", help="The source of the answer; needed where you have several."),
]
ProposalAgreement = Annotated[str | None, typer.Argument(help="Only of this agreement.")]
ProposalPeriod = Annotated[str | None, typer.Argument(help="Only for this period.")]
ProposalStateOption = Annotated[
    Literal["open", "accepted", "rejected"] | None, typer.Option("--state", help="Only such.")
]


@proposal.command("list")
def list_proposals(
    agreement: ProposalAgreement = None,
    period: ProposalPeriod = None,
    state: ProposalStateOption = None,
    as_json: AsJson = False,
) -> None:
    """List what was proposed: what each states, its state, and who can answer."""
    from services.cli import show

    filters = {"agreement": agreement, "period": period, "state": state}
    query = {name: text for name, text in filters.items() if text is not None}
    if period is not None:
        check_period(period, "earnback proposal list [AGREEMENT [PERIOD]]")
    with client_of_running() as client:
        found = list(client.items("/v1/proposals", **query))
    if as_json:
        echo(json.dumps(found, indent=1))
    elif found:
        columns = ("agreement", "source", "id", "of", "states", "state", "awaits")
        show.table(columns, map(_cells, found))
    else:
        echo(f"nobody has proposed anything{_about(agreement, period)}")


@proposal.command("show")
def show_proposal(
    agreement: str, period: str, source: ProposalSource, number: ProposalId, as_json: AsJson = False
) -> None:
    """Show one proposal with its amount: what the statement would change by."""
    with client_of_running() as client:
        one = _found(client, agreement, period, (source, number), "show")
        found = client.get(f"/v1/proposals/{one['proposal_id']}")
    if as_json:
        echo(json.dumps(found, indent=1))
        return
    effect = found["effect"]
    echo("  ".join(_cells(found)))
    if effect["change"] is None:
        _tell_what_it_waits_for(effect)
    else:
        without, accepted, change = (
            f"{effect[name]['amount']} {effect[name]['currency']}"
            for name in ("without", "accepted", "change")
        )
        echo(f"accepted, {effect['period']} comes to {accepted} instead of {without}: {change}")


def _tell_what_it_waits_for(effect: Mapping[str, Any]) -> None:
    """Why the period cannot be settled, without the proposal and with it."""
    from services.cli import show

    now = show.with_references(effect["waits_for"], effect["references"])
    then = show.with_references(effect["accepted_waits_for"], effect["accepted_references"])
    if now:
        echo(f"{effect['period']} cannot be settled yet: {now}")
    if then:
        echo(f"accepted, {effect['period']} could not be settled yet: {then}")


@proposal.command("accept")
def accept(
    agreement: str,
    period: str,
    source: ProposalSource,
    number: ProposalId,
    reason: Reason,
    own: OwnSource = None,
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
    own: OwnSource = None,
) -> None:
    """Reject a proposal: it stays without effect."""
    _answer(agreement, period, (source, number), "reject", reason, own)


def _answer(
    agreement: str,
    period: str,
    of: tuple[str, str],
    answer: Literal["accept", "reject"],
    reason: str,
    own: str | None,
) -> None:
    with client_of_running() as client:
        one = _found(client, agreement, period, of, f"{answer} --reason WHY")
        decision = {"reason": reason} if own is None else {"reason": reason, "source": own}
        done = client.post(f"/v1/proposals/{one['proposal_id']}/{answer}", decision)
    echo(f"{done['event']['id']}  {answer} of {of[1]} of {of[0]} is sent")


def _found(
    client: Any, agreement: str, period: str, of: tuple[str, str], usage: str
) -> dict[str, Any]:
    """The proposal of that source and id. Ends the process where there is none."""
    check_period(period, f"earnback proposal {usage} AGREEMENT PERIOD SOURCE ID")
    source, number = of
    event = {"source": source, "id": number}
    listed = client.items("/v1/proposals", agreement=agreement, period=period)
    found: dict[str, Any] = next((one for one in listed if one["proposal"]["event"] == event), {})
    if not found:
        fail(
            f"{agreement} has no proposal {number} of {source} for {period}; "
            f"list them with: earnback proposal list {agreement} {period}",
            REFUSED,
        )
    return found


def _about(agreement: str | None, period: str | None) -> str:
    of = "" if agreement is None else f" for {agreement}"
    return of if period is None else f"{of} in {period}"


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    proposal = one["proposal"]
    return (
        one["agreement"],
        proposal["event"]["source"],
        proposal["event"]["id"],
        proposal["party"],
        _stated(one, proposal[one["states"]]),
        f"{one['state']} by silence" if proposal["by_silence"] else one["state"],
        ", ".join(proposal["awaits"]) or "nobody",
    )


def _stated(one: dict[str, Any], stated: dict[str, Any]) -> str:
    states = one["states"]
    if states == "charge":
        return f"charge {stated['base']}: {one['amount']['amount']} {one['amount']['currency']}"
    if states == "figure":
        return f"figure {stated['metric']}: {stated['value']} {stated['unit']}"
    if states == "correction" and stated.get("corrects") is None:
        return f"told after the close: {stated['name']} of {stated['period']}"
    if states == "correction":
        takes = "puts another in place of" if stated["data"] or stated["time"] else "takes back"
        return f"correction: {takes} {stated['corrects']} of {stated['name']}"
    value = "" if stated.get("value") is None else f": {stated['value']}"
    return f"circumstance {stated['circumstance']}{value}"
