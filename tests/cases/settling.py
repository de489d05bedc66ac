"""Small inputs through the command `earnback settle`: contract file and events in, statements out.

A folder holds `contracts.yaml`, in language 1 as it was first written, and `events.ndjson`. The
contract is upgraded first; a test may then decide what the upgrade left to a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.contracts.upgrading import Upgrade, upgrade_text
from tests.command import run

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Settled:
    """What the command answered. ``code``: its exit code."""

    code: int
    statements: Sequence[Mapping[str, Any]]
    err: str

    def totals(self, agreement: str) -> dict[str, int]:
        """The total of each settled period of an agreement, in minor units."""
        return {
            one["period"]: one["total_minor"]
            for one in self.statements
            if one["agreement"] == agreement
        }


def upgraded(folder: str) -> str:
    """The folder's contract file in today's language."""
    text = (FOLDER / folder / "contracts.yaml").read_text(encoding="utf-8")
    found = upgrade_text(text, "contracts.yaml")
    assert isinstance(found, Upgrade), found
    return found.text


def decided(text: str, *changes: tuple[str, str]) -> str:
    """A contract with each text replaced that must be in it."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def settle(
    folder: str,
    through: str,
    home: Path,
    text: str | None = None,
    *more: str,
    events: Path | None = None,
) -> Settled:
    """Settle a folder's events by its upgraded contract, or by the text given instead.

    ``home``: a folder of the test's own. ``more``: further options of the command. ``events``: a
    file that is settled instead of the folder's own.
    """
    contracts = home / "contracts.yaml"
    contracts.write_text(upgraded(folder) if text is None else text, encoding="utf-8")
    facts = events or FOLDER / folder / "events.ndjson"
    command = ("settle", str(contracts), str(facts), "--through", through, "--json", *more)
    done = run(*command)
    statements = [json.loads(line) for line in done.out.splitlines()]
    return Settled(done.code, statements, done.err)
