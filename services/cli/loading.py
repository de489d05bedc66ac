"""The example of docs/settlement-api.md, loaded into a running earnback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote as quoted
from urllib.parse import quote

import msgspec

from schemas.role import Role
from services.cli import keys
from services.cli.applying import apply_files
from services.cli.client import Client
from services.cli.files import read_events
from services.cli.stack import Addresses

FOLDER = Path(__file__).parent / "example"
AGREEMENT, CLOSED = "hosting", "2025-01"
KEYS: dict[str, tuple[str, Role]] = {
    "KEY": ("nimbus", "vendor"),
    "BUYER_KEY": ("town", "procurement"),
    "FINANCE_KEY": ("town", "finance"),
}
"""The keys that the page's commands name, and whose they are."""
SECONDS = 60.0


def load_example(where: Addresses, client: Client, report: Callable[[str], None]) -> Iterator[str]:
    """Apply the contract, submit its events, close January; yield a shell's exports of new keys.

    Safe to repeat: what is there already stays, and the keys are new ones. ``report`` is called
    with a sentence for each step. Raises RequestRefused, and RuntimeError where it takes too long.
    """
    for line in asyncio.run(apply_files(where, [FOLDER])):
        report(line)
    events = [raw for _, raw in read_events([FOLDER])]
    results: list[str] = []
    _until(lambda: _taken(client, events, results), "ingest to know the contract")
    report(f"{len(events)} events submitted")
    last = {(one["source"], one["id"]) for one in map(msgspec.json.decode, events)}
    _until(lambda: all(_is_seen(client, *one) for one in last), "the events to be counted")
    order = client.close_period(AGREEMENT, CLOSED)
    report(f"{AGREEMENT} {CLOSED}: {order['outcome']}")
    _until(lambda: _is_settled(client), f"the statement of {AGREEMENT} {CLOSED}")
    for name, (party, role) in KEYS.items():
        text, _ = asyncio.run(keys.make(where.postgres, party, role, "example"))
        yield f"export {name}={quoted(text)}"


def _taken(client: Client, events: list[bytes], results: list[str]) -> bool:
    """Whether ingest takes the events: it hears of a new contract a moment later."""
    results[:] = [one["status"] for batch in client.submit(events) for one in batch]
    return "rejected" not in results


def _is_seen(client: Client, source: str, identity: str) -> bool:
    found = client.get(f"/v1/events/{quote(source, safe='')}/{quote(identity, safe='')}")
    return bool(found["standing"] != "not_seen")


def _is_settled(client: Client) -> bool:
    return any(True for _ in client.items("/v1/statements", agreement=AGREEMENT, period=CLOSED))


def _until(happened: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not happened():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {SECONDS:.0f} s for {what}; try again")
        time.sleep(0.2)
