"""Which earnback a command talks to: what the environment names, else what `earnback up` left."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from services.cli.stack import RUNNING, Addresses, home
from services.shell.settings import BadSettings

NOWHERE = Addresses(kafka="", postgres="", ingest="", evaluator="", settlement="")


class NothingRuns(RuntimeError):
    """No running earnback is known. The text says what to start or to set."""


def reached(*needed: str) -> Addresses:
    """Each address and the key: from the environment where it is set, else from `earnback up`.

    ``needed``: fields of Addresses that the command cannot do without. Raises NothingRuns where one
    is known from neither, and BadSettings where the key that `earnback up` left would be sent to
    another address than its own.
    """
    left = running(home()) or NOWHERE
    said = given()
    found = Addresses(**(asdict(left) | said))
    missing = [variable(name) for name in needed if not getattr(found, name)]
    if missing:
        raise NothingRuns(
            f"no running earnback found in {home()}: start it with 'earnback up', or set "
            f"{_listed(missing)}"
        )
    if "key" in needed and "key" not in said:
        _stays_at_home(left, found)
    return found


def running(folder: Path) -> Addresses | None:
    """The addresses that ``earnback up`` left in a folder, while it runs."""
    try:
        return Addresses(**json.loads((folder / RUNNING).read_text()))
    except FileNotFoundError:
        return None


def given() -> dict[str, str]:
    """What the environment says, by field of Addresses; an empty variable says nothing."""
    said = {name: os.environ.get(variable(name), "") for name in asdict(NOWHERE)}
    return {name: value for name, value in said.items() if value}


def variable(name: str) -> str:
    """The variable that a field of Addresses is given by."""
    return f"EARNBACK_{name.upper()}"


def _stays_at_home(left: Addresses, found: Addresses) -> None:
    away = [
        variable(name)
        for name in ("ingest", "settlement")
        if getattr(found, name).rstrip("/") != getattr(left, name).rstrip("/")
    ]
    if away:
        raise BadSettings(
            f"{_listed(away)}: set, and not to the address of the earnback that runs in {home()}, "
            f"whose key is sent to no other; set EARNBACK_KEY as well, or unset {_listed(away)}"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
