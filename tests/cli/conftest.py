"""A running installation that commands find, as after ``earnback up``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.stack import announced
from tests.integration.living import Living, living


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Somebody's shell: the folder in which earnback runs, and what else is set."""

    home: Path
    settings: dict[str, str]

    def run(self, *arguments: str | Path) -> Said:
        """Run ``earnback`` with arguments."""
        clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
        own = {"EARNBACK_HOME": str(self.home), "COLUMNS": "160", "NO_COLOR": "1", **self.settings}
        done = subprocess.run(
            [sys.executable, "-m", "services.cli.app", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**clean, **own},
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Installation:
    """A running earnback and the operator's shell beside it."""

    living: Living
    shell: Shell

    def shell_of(self, key: str) -> Shell:
        """The shell of somebody who was given addresses and a key, on another machine."""
        where = self.living.stack.addresses
        return Shell(
            self.shell.home / "elsewhere",
            {
                "EARNBACK_INGEST": where.ingest,
                "EARNBACK_SETTLEMENT": where.settlement,
                "EARNBACK_KEY": key,
            },
        )


@pytest.fixture(scope="package")
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation for all commands."""
    home = tmp_path_factory.mktemp("home")
    with living(home, request.config) as running, announced(home, running.stack.addresses):
        yield Installation(running, Shell(home, {}))
