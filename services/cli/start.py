"""The program `earnback`, as it is installed; it says so where the command's packages are not."""

from __future__ import annotations

import sys

NOT_INSTALLED = 70


def main() -> None:
    """Run the command; end with 70 and a sentence where it was installed without its packages."""
    try:
        from services.cli.app import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f"earnback: {error.name} is not installed; install earnback[cli] for the command, or "
            "earnback[embedded] for demo and up, too",
            file=sys.stderr,
        )
        sys.exit(NOT_INSTALLED)
    run()
