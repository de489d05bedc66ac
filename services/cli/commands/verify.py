"""`earnback verify`: whether what is stored is what a recount from the beginning comes to."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.common import REFUSED, AsJson
from services.cli.terminal import echo

if TYPE_CHECKING:
    from services.settlement.verification import VerifiedAgreement


def verify(
    agreements: Annotated[
        list[str] | None, typer.Argument(help="Which agreements; absent: all.")
    ] = None,
    books_only: Annotated[
        bool, typer.Option("--books-only", help="Take the figures as stored; count no facts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recount facts, figures, statements and ledger, and report the first difference of each
    agreement. Nothing is written. Ends with 1 where something differs."""
    from services.cli.where import reached

    differ = asyncio.run(
        _verified(reached("postgres").postgres, agreements or [], not books_only, as_json)
    )
    if differ:
        sys.exit(REFUSED)


async def _verified(postgres: str, agreements: list[str], facts: bool, as_json: bool) -> bool:
    """Tell of each agreement as it is recounted; whether any differs."""
    from services.cli.verifying import verified

    differ, told = False, []
    async for one in verified(postgres, agreements, facts=facts):
        differ = differ or one.difference is not None
        told.append(_as_json(one))
        if not as_json:
            echo(_line(one))
    if as_json:
        echo(json.dumps(told, indent=1))
    return differ


def _line(one: VerifiedAgreement) -> str:
    if one.difference is not None:
        return one.difference.text()
    if one.parked:
        return f"{one.agreement}: not compared, as it is parked: {one.parked}"
    held = f"; held for a restatement: {', '.join(one.held)}" if one.held else ""
    periods = "1 period" if one.periods == 1 else f"{one.periods} periods"
    return f"{one.agreement}: {periods}, as stored{held}"


def _as_json(one: VerifiedAgreement) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(one)
