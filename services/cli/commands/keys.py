"""`earnback key`: API keys of a running earnback."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from services.cli.commands.common import AsJson
from services.cli.terminal import echo

key = typer.Typer(no_args_is_help=True, help="API keys for vendors, procurement and finance.")


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
        echo(f"warning: {warning}", err=True)
    echo(text)


@key.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys: who they speak for, and whether they are revoked. Their texts are not kept."""
    from services.cli import show
    from services.cli.keys import as_json as written
    from services.cli.keys import cells, every
    from services.cli.where import reached

    found = asyncio.run(every(reached("postgres").postgres))
    if as_json:
        echo(json.dumps([written(one) for one in found], indent=1))
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
    echo(f"{prefix} revoked")
