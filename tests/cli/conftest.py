"""A running installation that commands find, as after ``earnback up``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.stack import announced
from tests.command import Said, run
from tests.integration.living import Living, living


@dataclass(frozen=True)
class Shell:
    """Somebody's shell: the folder in which earnback runs, and what else is set."""

    home: Path
    settings: dict[str, str]

    def run(self, *arguments: str | Path) -> Said:
        """Run ``earnback`` with arguments."""
        own = {"EARNBACK_HOME": str(self.home), "COLUMNS": "160", "NO_COLOR": "1", **self.settings}
        return run(*map(str, arguments), settings=own)


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
