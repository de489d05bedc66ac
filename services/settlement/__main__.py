"""`python -m services.settlement`: run one settlement process until it is told to stop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from services.settlement.app import settlement_app
from services.settlement.consumer import SETTLE_SECONDS
from services.shell.kafka import run_worker
from services.shell.settings import BadSettings, read


def address(environ: Mapping[str, str], name: str) -> str | None:
    """Where another service answers, from EARNBACK_EVALUATOR or EARNBACK_INGEST; None where it is
    not set.

    Raises BadSettings for what is no address.
    """
    text = environ.get(name)
    if not text:
        return None
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise BadSettings(f"{name} is no address: give http://host:port")
    return text


def settle_seconds(environ: Mapping[str, str]) -> float:
    """What settling one evaluation may take, from EARNBACK_SETTLE_SECONDS.

    Raises BadSettings for what is no number of seconds.
    """
    text = environ.get("EARNBACK_SETTLE_SECONDS") or str(SETTLE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise BadSettings("EARNBACK_SETTLE_SECONDS cannot be used: give seconds, 1 to 3600")
    return seconds


def main() -> None:
    """Read the environment and run; exit 78 when it does not describe a process that can run."""
    try:
        app = settlement_app(
            read("settlement"),
            evaluator=address(os.environ, "EARNBACK_EVALUATOR"),
            ingest=address(os.environ, "EARNBACK_INGEST"),
            seconds=settle_seconds(os.environ),
        )
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(78)
    run_worker(app)


if __name__ == "__main__":
    main()
